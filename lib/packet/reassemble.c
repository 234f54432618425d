// SPDX-License-Identifier: BSD-2-Clause
#include "reassemble.h"

#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "wire.h"

#define HEADER6	    40
#define PACKET_MAX  65535
#define ALLOCATION  32 /* bytes, about, of malloc's overhead */
#define ROOM_FIRST  4  /* fragments */
#define ECN_NOT_ECT 0
#define ECN_CE	    3

/* Fields that all fragments of a packet share. No padding, because it is compared as bytes. */
struct key {
	uint8_t src[16], dst[16];
	uint32_t id, ifindex, oif;
	uint16_t tag;
	uint8_t proto; /* IPv4's; IPv6 ids are shared by all protocols */
	uint8_t kind;  /* IP version, with 0x80 if outbound */
};

struct fragment {
	struct fraghdr hdr;
	struct divert_record rec; /* followed by the packet */
};

/* An incomplete packet. */
struct waiting {
	struct waiting *next; /* in the same bucket */
	struct waiting *older, *newer;
	struct key key;
	int64_t due;
	/* not 0: given up for this cause; later fragments are dropped, too */
	enum divert_cause dead;
	struct fragment **part; /* sorted by offset */
	uint32_t parts, room;
	uint32_t got;  /* bytes of data so far; fragments never overlap */
	uint32_t high; /* end of the data so far */
	uint32_t end;  /* length of the data; 0: not known yet */
};

static const uint8_t *packet_of(const struct divert_record *rec)
{
	return (const uint8_t *)(rec + 1);
}

static void lose(struct reassembly *r, enum divert_cause cause, uint32_t n)
{
	r->lost[cause - DIVERT_N_FRAG_TIMEOUT] += n;
	r->any_lost = true;
}

static void make_key(struct key *key, const struct divert_record *rec, const struct fraghdr *p)
{
	const uint8_t *packet = packet_of(rec);

	memset(key, 0, sizeof(*key));
	key->kind = packet[0] >> 4;
	if (key->kind == 4) {
		memcpy(key->src, packet + 12, 4);
		memcpy(key->dst, packet + 16, 4);
		key->proto = p->next;
	} else {
		memcpy(key->src, packet + 8, 16);
		memcpy(key->dst, packet + 24, 16);
	}
	if (rec->flags & DIVERT_REC_OUT)
		key->kind |= 0x80;
	key->id = p->id;
	key->ifindex = rec->ifindex;
	key->oif = rec->oif;
	key->tag = rec->tag;
}

/* ---- incomplete packets ---- */

static uint32_t bucket_of(const struct reassembly *r, const struct key *key)
{
	const uint8_t *p = (const uint8_t *)key;
	uint32_t h = r->seed, word;
	size_t i;

	for (i = 0; i < sizeof(*key); i += 4) {
		memcpy(&word, p + i, 4);
		h = (h ^ word) * 0x9e3779b1u;
		h ^= h >> 15;
	}
	return h % REASSEMBLY_BUCKETS;
}

static struct waiting *find(const struct reassembly *r, const struct key *key)
{
	struct waiting *w = r->bucket[bucket_of(r, key)];

	while (w && memcmp(&w->key, key, sizeof(*key)))
		w = w->next;
	return w;
}

static int age_list(const struct waiting *w)
{
	return (w->key.kind & 15) == 6;
}

static size_t cost(const struct fragment *f)
{
	return sizeof(*f) + f->rec.len + ALLOCATION;
}

static struct waiting *waiting_new(struct reassembly *r, const struct key *key, int64_t now)
{
	struct waiting **head = &r->bucket[bucket_of(r, key)], *w;
	int list;

	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->key = *key;
	list = age_list(w);
	w->due = now + (list ? REASSEMBLY_NS6 : REASSEMBLY_NS4);
	w->next = *head;
	*head = w;
	w->older = r->newest[list];
	*(w->older ? &w->older->newer : &r->oldest[list]) = w;
	r->newest[list] = w;
	r->packets++;
	r->bytes += sizeof(*w) + ALLOCATION;
	return w;
}

static void free_parts(struct reassembly *r, struct waiting *w)
{
	uint32_t i;

	for (i = 0; i < w->parts; i++) {
		r->bytes -= cost(w->part[i]);
		free(w->part[i]);
	}
	r->bytes -= w->room * sizeof(*w->part);
	free(w->part);
	w->part = NULL;
	w->parts = w->room = 0;
}

static void forget(struct reassembly *r, struct waiting *w)
{
	struct waiting **at = &r->bucket[bucket_of(r, &w->key)];
	int list = age_list(w);

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	*(w->older ? &w->older->newer : &r->oldest[list]) = w->newer;
	*(w->newer ? &w->newer->older : &r->newest[list]) = w->older;
	free_parts(r, w);
	r->packets--;
	r->bytes -= sizeof(*w) + ALLOCATION;
	free(w);
}

/*
 * Give the packet up. Its fragments are lost, and one more that was not added. Later ones are
 * dropped as they come.
 */
static void give_up(struct reassembly *r, struct waiting *w, enum divert_cause cause)
{
	lose(r, cause, w->parts + 1);
	free_parts(r, w);
	w->dead = cause;
}

void reassembly_expire(struct reassembly *r, int64_t now)
{
	struct waiting *w;
	int list;

	for (list = 0; list < 2; list++) {
		while ((w = r->oldest[list]) && w->due <= now) {
			if (w->parts)
				lose(r, DIVERT_N_FRAG_TIMEOUT, w->parts);
			forget(r, w);
		}
	}
}

int64_t reassembly_due(const struct reassembly *r)
{
	const struct waiting *a = r->oldest[0], *b = r->oldest[1];

	if (!a || (b && b->due < a->due))
		a = b;
	return a ? a->due : 0;
}

/* The packet whose first fragment came first, except `keep`. */
static struct waiting *eldest(const struct reassembly *r, const struct waiting *keep)
{
	struct waiting *a = r->oldest[0], *b = r->oldest[1];

	if (a && a == keep)
		a = a->newer;
	if (b && b == keep)
		b = b->newer;
	if (!a || !b)
		return a ? a : b;
	return a->due - REASSEMBLY_NS4 <= b->due - REASSEMBLY_NS6 ? a : b;
}

/* Make room for a fragment of `keep`, or, if that is NULL, of a new packet. */
static void make_room(struct reassembly *r, const struct divert_record *rec,
		      const struct waiting *keep)
{
	size_t n = sizeof(struct fragment) + rec->len + ALLOCATION;
	struct waiting *w;

	if (!keep)
		n += sizeof(*keep) + ALLOCATION;
	if (!keep || keep->parts == keep->room)
		n += (keep && keep->room ? keep->room : ROOM_FIRST) * sizeof(*keep->part);

	while (r->bytes + n > REASSEMBLY_BYTES || (!keep && r->packets >= REASSEMBLY_PACKETS)) {
		w = eldest(r, keep);
		if (!w)
			return;
		if (w->parts)
			lose(r, DIVERT_N_FRAG_FULL, w->parts);
		forget(r, w);
	}
}

/* ---- adding a fragment ---- */

static int grow(struct reassembly *r, struct waiting *w)
{
	uint32_t room = w->room ? w->room * 2 : ROOM_FIRST;
	struct fragment **part;

	if (w->parts < w->room)
		return 0;
	part = realloc(w->part, room * sizeof(*part));
	if (!part)
		return -1;
	r->bytes += (room - w->room) * sizeof(*part);
	w->part = part;
	w->room = room;
	return 0;
}

static bool insert(struct reassembly *r, struct waiting *w, uint32_t at,
		   const struct divert_record *rec, const struct fraghdr *p)
{
	struct fragment *f;

	if (grow(r, w))
		return false;
	f = malloc(sizeof(*f) + rec->len);
	if (!f)
		return false;
	f->hdr = *p;
	memcpy(&f->rec, rec, sizeof(*rec) + rec->len);
	/* fragments mostly come in order, then nothing is moved */
	memmove(w->part + at + 1, w->part + at, (w->parts - at) * sizeof(*w->part));
	w->part[at] = f;
	w->parts++;
	w->got += p->len;
	if (w->high < p->offset + p->len)
		w->high = p->offset + p->len;
	if (!p->more)
		w->end = p->offset + p->len;
	r->bytes += cost(f);
	return true;
}

/* Index of the first fragment with a greater offset. */
static uint32_t position(const struct waiting *w, uint32_t offset)
{
	uint32_t low = 0, high = w->parts, mid;

	if (high && w->part[high - 1]->hdr.offset <= offset)
		return high;
	while (low < high) {
		mid = (low + high) / 2;
		if (w->part[mid]->hdr.offset <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool same(const struct fragment *f, const struct divert_record *rec, const struct fraghdr *p)
{
	return f->hdr.offset == p->offset && f->hdr.len == p->len && f->hdr.more == p->more &&
	       !memcmp(packet_of(&f->rec) + f->hdr.data, packet_of(rec) + p->data, p->len);
}

/* Insert the fragment at its place. If it does not fit there, count it as lost. */
static void place(struct reassembly *r, struct waiting *w, const struct divert_record *rec,
		  const struct fraghdr *p)
{
	uint32_t end = p->offset + p->len, at = position(w, p->offset);
	const struct fragment *before = at ? w->part[at - 1] : NULL;
	const struct fragment *behind = at < w->parts ? w->part[at] : NULL;

	if (before && same(before, rec, p))
		lose(r, DIVERT_N_FRAG_DUP, 1);
	else if ((w->end && end > w->end) || (!p->more && (end < w->high || end < w->end)))
		give_up(r, w, DIVERT_N_FRAG_BAD); /* two different ends, or data after the end */
	else if ((before && before->hdr.offset + before->hdr.len > p->offset) ||
		 (behind && end > behind->hdr.offset))
		give_up(r, w, DIVERT_N_FRAG_OVERLAP);
	else if (!p->offset && !fraghdr_headers_whole(packet_of(rec), rec->len, p))
		give_up(r, w, DIVERT_N_FRAG_BAD);
	else if (!insert(r, w, at, rec, p))
		lose(r, DIVERT_N_FRAG_FULL, 1);
}

/* ---- completing a packet ---- */

static uint8_t ecn_of(const uint8_t *packet)
{
	return (packet[0] >> 4 == 4 ? packet[1] : packet[1] >> 4) & 3;
}

/*
 * RFC 3168, 5.3: if a fragment has CE, so has the packet. True: another fragment has Not-ECT, so
 * that the sender would not understand CE, and the packet must be dropped.
 */
static bool ecn_senseless(const struct waiting *w, bool *congestion)
{
	uint32_t seen = 0, i;

	for (i = 0; i < w->parts; i++)
		seen |= 1u << ecn_of(packet_of(&w->part[i]->rec));
	*congestion = seen & 1u << ECN_CE;
	return *congestion && seen & 1u << ECN_NOT_ECT;
}

/* Build a record with the first fragment's headers and room for n bytes; NULL: out of memory. */
static struct divert_record *build(const struct divert_record *first, const struct fraghdr *p,
				   uint32_t n, bool congestion)
{
	struct divert_record *rec = malloc(sizeof(*rec) + p->head + n);
	uint8_t *packet;

	if (!rec)
		return NULL;
	packet = (uint8_t *)(rec + 1);
	*rec = *first;
	rec->len = p->head + n;
	rec->flags |= REASSEMBLED;
	/* the checksum was completed before the packet was fragmented */
	rec->flags &= ~(DIVERT_REC_PARTIAL | DIVERT_REC_UNDECIDED);
	memcpy(packet, packet_of(first), p->head);
	if (packet[0] >> 4 == 4) {
		put16(packet + 2, rec->len);
		/* clears DF, too: a packet that came in fragments may be fragmented again */
		put16(packet + 6, 0);
		if (congestion)
			packet[1] |= ECN_CE;
		checksum_ip4_set(packet);
	} else {
		put16(packet + 4, rec->len - HEADER6);
		packet[p->link] = p->next;
		if (congestion)
			packet[1] |= ECN_CE << 4;
	}
	return rec;
}

static bool complete(struct reassembly *r, struct waiting *w, struct reassembled *whole)
{
	const struct fragment *first = w->part[0], *f;
	bool congestion;
	uint8_t *packet;
	uint32_t i;

	/* the first fragment may have longer headers than the others */
	if (first->hdr.head + w->end > PACKET_MAX || ecn_senseless(w, &congestion)) {
		lose(r, DIVERT_N_FRAG_BAD, w->parts);
		forget(r, w);
		return false;
	}
	whole->rec = build(&first->rec, &first->hdr, w->end, congestion);
	if (!whole->rec) {
		lose(r, DIVERT_N_FRAG_FULL, w->parts);
		forget(r, w);
		return false;
	}
	packet = (uint8_t *)(whole->rec + 1) + first->hdr.head;
	whole->size = 0;
	whole->id = first->hdr.id;
	for (i = 0; i < w->parts; i++) {
		f = w->part[i];
		memcpy(packet + f->hdr.offset, packet_of(&f->rec) + f->hdr.data, f->hdr.len);
		if (whole->size < f->rec.len)
			whole->size = f->rec.len;
	}
	forget(r, w);
	return true;
}

/* RFC 6946: an atomic IPv6 fragment is processed on its own, whatever others have its id. */
static bool alone(struct reassembly *r, const struct divert_record *rec, const struct fraghdr *p,
		  struct reassembled *whole)
{
	if (!fraghdr_headers_whole(packet_of(rec), rec->len, p)) {
		lose(r, DIVERT_N_FRAG_BAD, 1);
		return false;
	}
	whole->rec = build(rec, p, p->len, false);
	if (!whole->rec) {
		lose(r, DIVERT_N_FRAG_FULL, 1);
		return false;
	}
	memcpy((uint8_t *)(whole->rec + 1) + p->head, packet_of(rec) + p->data, p->len);
	whole->size = rec->len;
	whole->id = p->id;
	return true;
}

/* ---- calls ---- */

void reassembly_init(struct reassembly *r, uint32_t seed)
{
	memset(r, 0, sizeof(*r));
	r->seed = seed;
}

void reassembly_free(struct reassembly *r)
{
	int list;

	for (list = 0; list < 2; list++)
		while (r->oldest[list])
			forget(r, r->oldest[list]);
}

bool reassembly_add(struct reassembly *r, const struct divert_record *rec, const struct fraghdr *p,
		    int64_t now, struct reassembled *whole)
{
	struct waiting *w;
	struct key key;

	reassembly_expire(r, now);
	if (fraghdr_impossible(p)) {
		lose(r, DIVERT_N_FRAG_BAD, 1);
		return false;
	}
	if (!p->offset && !p->more)
		return alone(r, rec, p, whole);
	make_key(&key, rec, p);
	w = find(r, &key);
	if (w && w->dead) {
		lose(r, w->dead, 1);
		return false;
	}
	make_room(r, rec, w);
	if (!w)
		w = waiting_new(r, &key, now);
	if (!w) {
		lose(r, DIVERT_N_FRAG_FULL, 1);
		return false;
	}
	place(r, w, rec, p);
	if (!w->dead && !w->parts)
		forget(r, w); /* out of memory for its first fragment */
	else if (!w->dead && w->got == w->end)
		return complete(r, w, whole);
	return false;
}

bool reassembly_has(const struct reassembly *r, const struct divert_record *rec,
		    const struct fraghdr *p)
{
	struct key key;

	make_key(&key, rec, p);
	return find(r, &key) != NULL;
}

void reassembly_release(struct reassembly *r, const struct divert_record *rec,
			const struct fraghdr *p,
			void (*out)(void *data, const struct divert_record *rec), void *data)
{
	struct waiting *w;
	struct key key;
	uint32_t i;

	make_key(&key, rec, p);
	w = find(r, &key);
	if (!w || w->dead)
		return;
	for (i = 0; i < w->parts; i++)
		out(data, &w->part[i]->rec);
	forget(r, w);
}
