// SPDX-License-Identifier: BSD-2-Clause
#include "metacache.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "flow.h"
#include "hash.h"
#include "pktcache.h"

#define HOP  (DIVERT_META_LINK | DIVERT_META_DIRECT)
#define SAME (HOP | DIVERT_META_IFACE | DIVERT_META_HASH)

#define MS   1000000 /* ns */
#define SOON 10	     /* ms */

/*
 * A packet that was read counts as outstanding for up to two periods: see struct metacache_reads.
 */
#define PERIOD_NS  (1ull << 33)
#define PERIODS_MS (2 * PERIOD_NS / MS)

/*
 * Keys for a packet that is cached singly. It has several, because other packets may evict it while
 * the program has it.
 */
#define SINGLY 3u

/*
 * Key of the flow, or, with place from 1 to SINGLY, of the single packet. Multicast packets look
 * the same on each link, so theirs is always that of the packet. Never 0.
 */
static uint32_t key_of(const uint8_t *packet, uint32_t len, uint16_t tag, bool out, uint32_t place)
{
	const uint32_t h = place || flow_needs_link(packet) ? pktcache_identity(packet, len)
							    : flow_key_hash(packet, len);

	return hash_mix(h, place << 17 | (uint32_t)tag << 1 | out) | 1;
}

static bool leads_to(const struct metacache_flow *meta, const uint8_t *packet)
{
	return packet[0] >> 4 == 4 ? !memcmp(meta->destination, packet + 16, 4)
				   : !memcmp(meta->destination, packet + 24, 16);
}

static struct metacache_table *table_of(struct metacache *w)
{
	struct metacache_table *fresh, *none = NULL;

	if (__atomic_load_n(&w->table, __ATOMIC_ACQUIRE))
		return w->table;
	fresh = mmap(NULL, sizeof(*fresh), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (fresh == MAP_FAILED)
		return NULL; /* nothing is cached then */
	if (!__atomic_compare_exchange_n(&w->table, &none, fresh, 0, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		munmap(fresh, sizeof(*fresh));
	return w->table;
}

/* If another thread is changing the entry, leave it: what that thread stores is as good. */
static void replace(struct metacache_flow *at, const struct metacache_flow *by)
{
	uint32_t seq = __atomic_load_n(&at->seq, __ATOMIC_RELAXED);

	if (seq & 1 || !__atomic_compare_exchange_n(&at->seq, &seq, seq + 1, 0, __ATOMIC_ACQUIRE,
						    __ATOMIC_RELAXED))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(&at->key, &by->key, sizeof(*at) - offsetof(struct metacache_flow, key));
	__atomic_store_n(&at->seq, seq + 2, __ATOMIC_RELEASE);
}

/* Has another thread changed the entry since seq was read? Then it counts as not found. */
static bool has_changed(const struct metacache_flow *meta, uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return seq & 1 || __atomic_load_n(&meta->seq, __ATOMIC_RELAXED) != seq;
}

static uint64_t now_coarse(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The key's index in the set; METACACHE_WAYS if it is not there. */
static uint32_t place_of(const struct metacache_set *set, uint32_t key)
{
	uint32_t i;

	for (i = 0; i < METACACHE_WAYS && __atomic_load_n(&set->key[i], __ATOMIC_RELAXED) != key;
	     i++)
		;
	return i;
}

static uint32_t oldest(const struct metacache_set *set, uint32_t now)
{
	uint32_t i, place = 0;

	for (i = 0; i < METACACHE_WAYS; i++) {
		if (!set->key[i])
			return i;
		if (now - set->used[i] > now - set->used[place])
			place = i;
	}
	return place;
}

/* Do two packets of one flow have different owners? */
static bool is_anothers(const struct divert_meta *a, const struct divert_meta *b)
{
	return a->flags & b->flags & DIVERT_META_OWNER && (a->uid != b->uid || a->gid != b->gid);
}

/* read: time of an outbound packet, ms. Returns the index of the entry. */
static uint32_t put(struct metacache *w, uint32_t key, const struct divert_record *rec,
		    const uint8_t *packet, uint32_t read)
{
	const bool out = rec->flags & DIVERT_REC_OUT, six = packet[0] >> 4 == 6;
	const uint32_t ifindex = out ? rec->oif : rec->ifindex, at = key / 2 % METACACHE_SETS;
	struct metacache_set *set = &w->table->set[at];
	uint32_t i = place_of(set, key);
	const bool known = i < METACACHE_WAYS;
	struct metacache_flow *meta, fresh;

	if (!known)
		i = oldest(set, w->puts);
	meta = &w->table->meta[at * METACACHE_WAYS + i];
	if (!known || read - meta->read > PERIODS_MS)
		set->there[i] = 0;
	__atomic_store_n(&set->used[i], w->puts, __ATOMIC_RELAXED);
	if (known && meta->key == key && meta->ifindex == ifindex && leads_to(meta, packet) &&
	    !memcmp(&meta->meta, &rec->meta, sizeof(meta->meta))) {
		if (meta->read != read)
			__atomic_store_n(&meta->read, read, __ATOMIC_RELAXED);
		return at * METACACHE_WAYS + i;
	}
	fresh = (struct metacache_flow){
		.key = key,
		.ifindex = ifindex,
		.read = read,
		.tag = rec->tag,
		.out = out,
		.shared = rec->meta.flags & DIVERT_META_IFACE || (known && meta->shared),
		.meta = rec->meta,
	};
	if (out && set->there[i] && is_anothers(&meta->meta, &rec->meta)) {
		fresh.meta.uid = DIVERT_NO_USER;
		fresh.meta.gid = DIVERT_NOT_KNOWN;
	}
	memcpy(fresh.destination, packet + (six ? 24 : 16), six ? 16 : 4);
	replace(meta, &fresh);
	__atomic_store_n(&set->key[i], key, __ATOMIC_RELEASE);
	return at * METACACHE_WAYS + i;
}

/* ---- owners ---- */

/* This process has read a packet with an owner; it may write that packet to any socket. */
static bool owners_read;

static void pass_time(struct metacache_reads *r, uint64_t now)
{
	const uint32_t period = now / PERIOD_NS;
	uint32_t was = __atomic_load_n(&r->period, __ATOMIC_RELAXED), before;

	if ((int32_t)(period - was) <= 0 ||
	    !__atomic_compare_exchange_n(&r->period, &was, period, 0, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return;
	before = __atomic_exchange_n(&r->there[0], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&r->there[1], period - was == 1 ? before : 0, __ATOMIC_RELAXED);
}

static uint16_t *there_of(const struct metacache *w, uint32_t place)
{
	return &w->table->set[place / METACACHE_WAYS].there[place % METACACHE_WAYS];
}

/* Counts only packets with an owner, so that setups without owner rules do not pay for it. */
static void count_read(struct metacache *w, const struct divert_record *rec, uint32_t place,
		       uint64_t now)
{
	struct metacache_reads *r = w->reads;
	uint16_t *there = there_of(w, place);
	uint32_t others, n;

	/* a forwarded packet has no owner on this host, and a copy is not reinjected */
	if (!(rec->meta.flags & DIVERT_META_OWNER) ||
	    rec->flags & (DIVERT_REC_FORWARDED | DIVERT_REC_TEE))
		return;
	owners_read = true;
	pass_time(r, now);
	others = __atomic_fetch_add(&r->there[0], 1, __ATOMIC_RELAXED) + r->there[1];
	n = __atomic_add_fetch(&r->n, 1, __ATOMIC_RELAXED);
	w->only.read = others ? 0 : n;
	w->only.place = place;
	w->only.key = w->table->meta[place].key;
	w->only.uid = rec->meta.uid;
	w->only.gid = rec->meta.gid;
	if (*there < UINT16_MAX)
		__atomic_fetch_add(there, 1, __ATOMIC_RELAXED);
}

static bool take_one(uint32_t *n)
{
	uint32_t was = __atomic_load_n(n, __ATOMIC_RELAXED);

	while (was && !__atomic_compare_exchange_n(n, &was, was - 1, 0, __ATOMIC_RELAXED,
						   __ATOMIC_RELAXED))
		;
	return was;
}

/*
 * Results of metacache_find(): these two, or FOUND + the index of a flow that has outstanding
 * packets.
 */
#define FOUND	2u
#define GUESSED 1u
#define NOTHING 0u

/*
 * Owner of a packet whose flow has no outstanding packets. Nobody, if no packet with an owner was
 * read; the owner of the only outstanding packet, if there is one; else unknown. Returns
 * metacache_find()'s result.
 */
static uint32_t put_guess(struct metacache *w, struct divert_frame *frame)
{
	struct metacache_reads *r = w->reads;

	frame->reinject.meta |= DIVERT_META_OWNER;
	frame->reinject.uid = DIVERT_NO_USER;
	frame->reinject.gid = DIVERT_NO_USER;
	if (!owners_read && !r->n) /* most likely no rule needs owners, and nothing is counted */
		return NOTHING;
	frame->reinject.gid = DIVERT_NOT_KNOWN;
	pass_time(r, now_coarse());
	if (!w->table || !w->only.read || w->only.read != r->n || r->there[0] + r->there[1] != 1)
		return GUESSED;
	frame->reinject.uid = w->only.uid;
	frame->reinject.gid = w->only.gid;
	/* the entry may have been evicted */
	return w->table->meta[w->only.place].key == w->only.key ? w->only.place + FOUND : GUESSED;
}

void metacache_put(struct metacache *w, const struct divert_record *rec, const uint8_t *packet,
		   uint32_t len)
{
	const bool out = rec->flags & DIVERT_REC_OUT;
	const uint64_t now = out ? now_coarse() : 0;
	struct metacache_table *t = table_of(w);
	uint32_t i, flow, at;

	if (!t)
		return;
	w->puts++;
	flow = at = put(w, key_of(packet, len, rec->tag, out, 0), rec, packet, now / MS);
	if (t->meta[flow].shared)
		for (i = 1; i <= SINGLY; i++)
			at = put(w, key_of(packet, len, rec->tag, out, i), rec, packet, now / MS);
	__atomic_store_n(&w->last, at, __ATOMIC_RELAXED);
	if (out)
		count_read(w, rec, flow, now);
}

/* ---- reinjecting ---- */

/* A multicast link header is valid only for the packet that had it. */
static bool is_to_many(const struct divert_meta *meta)
{
	return meta->link[0] & 1;
}

/*
 * The flags that still apply. A program may keep a packet until its neighbour's link address has
 * changed. A packet reinjected at once goes as if it had not been diverted, even if routes change
 * meanwhile. A multicast packet depends on neither neighbour nor route. read: when an outbound
 * packet was read, ms.
 */
static uint8_t flags_now(const struct divert_meta *meta, const uint8_t *packet, bool out,
			 uint32_t read)
{
	const uint8_t flags = meta->flags & SAME;
	uint16_t age;
	uint64_t now;

	if (!out || !(flags & HOP))
		return flags;
	if (is_to_many(meta) || (flags & DIVERT_META_DIRECT && flow_needs_link(packet)))
		return flags | DIVERT_META_SOON;
	now = now_coarse();
	age = divert_meta_clock(now) - meta->when;
	if (age > DIVERT_META_AGE)
		return flags & ~HOP;
	return (uint32_t)(now / MS) - read <= SOON ? flags | DIVERT_META_SOON : flags;
}

/* which: mask of the flags to use. */
static void put_link(struct divert_frame *frame, const struct divert_meta *meta, uint8_t which,
		     const uint8_t *packet, bool out, uint32_t read)
{
	const uint8_t flags = flags_now(meta, packet, out, read) & which;

	frame->reinject.meta |= flags;
	frame->reinject.routes = meta->routes;
	if (flags & DIVERT_META_LINK)
		memcpy(frame->link, meta->link, sizeof(frame->link));
}

static void put_rest(struct divert_frame *frame, const struct divert_meta *meta, uint32_t oif)
{
	frame->reinject.oif = oif;
	frame->reinject.priority = meta->priority;
	frame->reinject.meta |= meta->flags & DIVERT_META_IPSEC;
}

/* For an inbound packet, these fields hold its flow's hash. */
static void put_owner(struct divert_frame *frame, const struct divert_meta *meta)
{
	frame->reinject.meta |= meta->flags & DIVERT_META_OWNER;
	frame->reinject.uid = meta->uid;
	frame->reinject.gid = meta->gid;
}

static const struct metacache_flow *find(const struct metacache_table *t, uint32_t key,
					 const uint8_t *packet, bool out, uint32_t *seq)
{
	const uint32_t at = key / 2 % METACACHE_SETS, i = place_of(&t->set[at], key);
	const struct metacache_flow *meta = &t->meta[at * METACACHE_WAYS + i];

	if (i == METACACHE_WAYS)
		return NULL;
	*seq = __atomic_load_n(&meta->seq, __ATOMIC_ACQUIRE);
	return meta->key == key && meta->out == out && leads_to(meta, packet) ? meta : NULL;
}

static const struct metacache_flow *find_single(const struct metacache_table *t,
						const uint8_t *packet, uint32_t len, uint16_t tag,
						bool out, uint32_t *seq)
{
	const struct metacache_flow *meta = NULL;
	uint32_t i;

	for (i = 1; i <= SINGLY && !meta; i++)
		meta = find(t, key_of(packet, len, tag, out, i), packet, out, seq);
	return meta;
}

/* The packet received last, if it can be this one. */
static const struct metacache_flow *find_last(const struct metacache *w, uint16_t tag, bool out,
					      uint32_t *seq)
{
	const struct metacache_flow *meta =
		&w->table->meta[__atomic_load_n(&w->last, __ATOMIC_RELAXED) % METACACHE_FLOWS];

	*seq = __atomic_load_n(&meta->seq, __ATOMIC_ACQUIRE);
	return meta->key && meta->out == out && meta->tag == tag ? meta : NULL;
}

/* False: the flow is not known. *found: result for metacache_find(). */
static bool find_flow(struct metacache *w, const uint8_t *packet, uint32_t len, uint16_t tag,
		      bool out, uint32_t in, struct divert_frame *frame, uint32_t *found)
{
	uint32_t seq, seq_single, place;
	const struct metacache_flow *single,
		*meta = find(w->table, key_of(packet, len, tag, out, 0), packet, out, &seq);

	if (!meta)
		return false;
	place = meta - w->table->meta;
	single = meta->shared ? find_single(w->table, packet, len, tag, out, &seq_single) : NULL;
	if (single) {
		meta = single;
		seq = seq_single;
	}
	if (out || meta->ifindex == in)
		put_link(frame, &meta->meta, 0xff, packet, out, meta->read);
	put_rest(frame, &meta->meta, out ? meta->ifindex : 0);
	put_owner(frame, &meta->meta);
	/* a forwarded packet has no owner on this host */
	if (out && !in && frame->reinject.meta & DIVERT_META_OWNER) {
		/*
		 * no packet of this flow is outstanding: this is a modified packet of another flow
		 */
		*found = *there_of(w, place) ? place + FOUND : put_guess(w, frame);
	}
	return !has_changed(meta, seq);
}

static void nothing(struct divert_frame *frame)
{
	frame->reinject.meta = 0;
	frame->reinject.oif = 0;
	frame->reinject.priority = 0;
	memset(frame->link, 0, sizeof(frame->link));
}

static uint32_t guess(struct metacache *w, const uint8_t *packet, uint16_t tag, bool out,
		      uint32_t in, struct divert_frame *frame)
{
	uint32_t seq;
	const struct metacache_flow *last = w->table ? find_last(w, tag, out, &seq) : NULL;

	/*
	 * it may be any outstanding packet, so do not give it the hash of a flow that may not be
	 * its own
	 */
	if (last &&
	    (out ? leads_to(last, packet) : last->ifindex == in && !is_to_many(&last->meta)))
		put_link(frame, &last->meta, (uint8_t)~DIVERT_META_HASH, packet, out, last->read);
	if (last)
		put_rest(frame, &last->meta, out ? last->ifindex : 0);
	if (last && has_changed(last, seq))
		nothing(frame);
	return out && !in ? put_guess(w, frame) : NOTHING;
}

uint32_t metacache_find(struct metacache *w, const uint8_t *packet, uint32_t len, uint16_t tag,
			bool out, uint32_t in, const struct metacache_owner *again,
			struct divert_frame *frame)
{
	uint32_t found = NOTHING;

	if (!__atomic_load_n(&w->table, __ATOMIC_ACQUIRE) ||
	    !find_flow(w, packet, len, tag, out, in, frame, &found)) {
		nothing(frame);
		found = guess(w, packet, tag, out, in, frame);
	}
	if (!again)
		return found;
	frame->reinject.meta = (frame->reinject.meta & ~DIVERT_META_OWNER) | again->flags;
	if (again->flags) {
		frame->reinject.uid = again->uid;
		frame->reinject.gid = again->gid;
	}
	return NOTHING;
}

void metacache_written(struct metacache *w, uint32_t found)
{
	struct metacache_reads *r = w->reads;
	uint16_t *there, was;

	if (found == NOTHING)
		return;
	if (found != GUESSED) {
		there = there_of(w, found - FOUND);
		was = __atomic_load_n(there, __ATOMIC_RELAXED);
		while (was && !__atomic_compare_exchange_n(there, &was, was - 1, 0,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
		if (!was)
			return;
	}
	if (!take_one(&r->there[0]))
		take_one(&r->there[1]);
}

void metacache_of(const struct divert_record *rec, struct divert_frame *frame)
{
	put_link(frame, &rec->meta, 0xff, (const uint8_t *)(rec + 1), rec->flags & DIVERT_REC_OUT,
		 0);
	put_rest(frame, &rec->meta, rec->oif);
	put_owner(frame, &rec->meta);
}

void metacache_forget(struct divert_frame *frame)
{
	frame->reinject.meta &= ~SAME;
	memset(frame->link, 0, sizeof(frame->link));
}

bool metacache_is_known(const struct divert_frame *frame)
{
	return frame->reinject.meta & SAME;
}

void metacache_by(struct divert_frame *frame, uint32_t oif)
{
	frame->reinject.meta |= DIVERT_META_IFACE;
	frame->reinject.oif = oif;
}

void metacache_in_child(struct metacache *w)
{
	struct metacache_flow *meta;
	uint32_t i;

	w->only.read = 0;
	for (i = 0; w->table && i < METACACHE_FLOWS; i++) {
		meta = &w->table->meta[i];
		if (!(meta->seq & 1))
			continue;
		w->table->set[i / METACACHE_WAYS].key[i % METACACHE_WAYS] = 0;
		meta->key = 0;
		meta->seq++;
	}
}

void metacache_free(struct metacache *w)
{
	if (w->table)
		munmap(w->table, sizeof(*w->table));
	memset(w, 0, sizeof(*w));
}
