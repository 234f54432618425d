// SPDX-License-Identifier: BSD-2-Clause
#include "recall.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "mix.h"

#define IDENTITY                                                                                   \
	40 /* bytes behind the IP header that count: TCP's header has checksum and number there */

#define FIRST(hash, value) ((uint64_t)(hash) << 32 | (value))

static uint32_t nonzero(uint32_t h)
{
	return h ? h : 1;
}

/* Of addresses, protocol and ports; of a fragment without ports. Never 0. */
static uint32_t flow(const uint8_t *packet, uint32_t len)
{
	uint32_t h, at;

	if (packet[0] >> 4 == 4) {
		at = (packet[0] & 15) * 4;
		h = mix(mix_bytes(4, packet + 12, 8), packet[9]);
		if ((packet[6] & 0x3f) | packet[7])
			at = len;
	} else {
		at = 40;
		h = mix(mix_bytes(6, packet + 8, 32), packet[6]);
	}
	if (at + 4 <= len)
		h = mix_bytes(h, packet + at, 4);
	return nonzero(h);
}

/* Of what tells a packet from others of its flow, and a router does not change. */
static uint32_t identity(const uint8_t *packet, uint32_t len)
{
	uint32_t h = mix(flow(packet, len), len), at = 40;

	if (packet[0] >> 4 == 4) {
		h = mix(h, packet[4] << 8 | packet[5]);
		h = mix(h, packet[6] << 8 | packet[7]);
		at = (packet[0] & 15) * 4;
	}
	if (at < len)
		h = mix_bytes(h, packet + at, len - at < IDENTITY ? len - at : IDENTITY);
	return h;
}

static uint32_t destination(const uint8_t *packet)
{
	uint32_t h =
		packet[0] >> 4 == 4 ? mix_bytes(4, packet + 12, 8) : mix_bytes(6, packet + 8, 32);

	return nonzero(h);
}

static int link_local(const uint8_t *six)
{
	return six[0] == 0xfe && (six[1] & 0xc0) == 0x80;
}

int recall_needs_link(const uint8_t *packet)
{
	if (packet[0] >> 4 == 4)
		return packet[16] >> 4 == 14 || !memcmp(packet + 16, "\377\377\377\377", 4);
	return packet[24] == 0xff || link_local(packet + 24) || link_local(packet + 8);
}

static void put(uint64_t **slots, uint32_t hash, uint32_t value)
{
	uint64_t *fresh, *none = NULL;

	if (!__atomic_load_n(slots, __ATOMIC_ACQUIRE)) {
		fresh = calloc(RECALL_SLOTS, sizeof(*fresh));
		if (!fresh)
			return; /* then it is not known later */
		if (!__atomic_compare_exchange_n(slots, &none, fresh, 0, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			free(fresh);
	}
	__atomic_store_n(&(*slots)[hash % RECALL_SLOTS], FIRST(hash, value), __ATOMIC_RELAXED);
}

static int get(uint64_t *const *slots, uint32_t hash, uint32_t *value)
{
	uint64_t *table = __atomic_load_n(slots, __ATOMIC_ACQUIRE);
	uint64_t slot;

	if (!table)
		return 0;
	slot = __atomic_load_n(&table[hash % RECALL_SLOTS], __ATOMIC_RELAXED);
	*value = (uint32_t)slot;
	return slot >> 32 == hash;
}

static uint32_t last_of(uint16_t tag, int out)
{
	return 1u << 31 | (out ? 1u << 16 : 0) | tag;
}

void recall_put(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		uint32_t len)
{
	int out = rec->flags & DIVERT_REC_OUT;

	if (rec->mark || r->mark) {
		put(&r->mark, flow(packet, len), rec->mark);
		__atomic_store_n(&r->last, FIRST(last_of(rec->tag, out), rec->mark),
				 __ATOMIC_RELAXED);
	}
	if (out && recall_needs_link(packet)) {
		put(&r->link, destination(packet), rec->oif);
		put(&r->link, nonzero(identity(packet, len)), rec->oif);
	}
}

uint32_t recall_mark(const struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		     int out)
{
	uint32_t mark;
	uint64_t last;

	if (!r->mark)
		return 0;
	if (get(&r->mark, flow(packet, len), &mark))
		return mark;
	/* its addresses were changed on the way, most likely: the packet before it was this one */
	last = __atomic_load_n(&r->last, __ATOMIC_RELAXED);
	return last >> 32 == last_of(tag, out) ? (uint32_t)last : 0;
}

uint32_t recall_link(const struct recall *r, const uint8_t *packet, uint32_t len)
{
	uint32_t link;

	/* DHCP has the same addresses on every link; a packet that was changed is none of these */
	if (get(&r->link, nonzero(identity(packet, len)), &link))
		return link;
	return get(&r->link, destination(packet), &link) ? link : 0;
}

/* ---- large packets ---- */

/* Of TCP, segments of another size are the same bytes; of UDP each segment is a message. */
static uint32_t large(uint32_t h, const uint8_t *packet, uint32_t len)
{
	int tcp = (packet[0] >> 4 == 4 ? packet[9] : packet[6]) == IPPROTO_TCP;

	return tcp ? h : nonzero(mix(h, len));
}

void recall_put_gso(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		    uint32_t len, uint32_t gso_size)
{
	uint32_t key, last, was;

	if (!gso_size && !r->gso)
		return;
	key = large(flow(packet, len), packet, len);
	last = large(last_of(rec->tag, rec->flags & DIVERT_REC_OUT), packet, len);
	if (gso_size) {
		put(&r->gso, key, gso_size);
		__atomic_store_n(&r->last_gso, FIRST(last, gso_size), __ATOMIC_RELAXED);
	} else if (large(1, packet, len) != 1) {
		if (get(&r->gso, key, &was))
			put(&r->gso, key, 0);
		if (__atomic_load_n(&r->last_gso, __ATOMIC_RELAXED) >> 32 == last)
			__atomic_store_n(&r->last_gso, 0, __ATOMIC_RELAXED);
	}
}

uint32_t recall_gso(const struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		    int out)
{
	uint32_t gso_size;
	uint64_t last;

	if (get(&r->gso, large(flow(packet, len), packet, len), &gso_size))
		return gso_size;
	last = __atomic_load_n(&r->last_gso, __ATOMIC_RELAXED);
	return last >> 32 == large(last_of(tag, out), packet, len) ? (uint32_t)last : 0;
}

/* ---- hops ---- */

/* A value: how many such packets the program has, and their hops. */
#define HOPS_ONE  0x100u
#define HOPS_MASK 0xffu
#define HOPS_FULL 0xffffff00u

static void hops_add(struct recall *r, uint32_t key, uint32_t hops)
{
	uint32_t was;

	if (!get(&r->hops, key, &was) || (was & HOPS_MASK) != hops)
		was = hops;
	put(&r->hops, key, was < HOPS_FULL ? was + HOPS_ONE : was);
}

/* One fewer. 0: there was none. */
static int hops_take(struct recall *r, uint32_t key, uint32_t *hops)
{
	uint32_t was;

	if (!get(&r->hops, key, &was) || was < HOPS_ONE)
		return 0;
	put(&r->hops, key, was - HOPS_ONE);
	*hops = was & HOPS_MASK;
	return 1;
}

void recall_put_hops(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		     uint32_t len)
{
	uint32_t stage, id;

	if (!rec->hops && !r->hops)
		return;
	stage = last_of(rec->tag, rec->flags & DIVERT_REC_OUT);
	id = identity(packet, len);
	hops_add(r, nonzero(mix(id, stage)), rec->hops);
	hops_add(r, stage, rec->hops);
	put(&r->hops, nonzero(id), rec->hops);
	__atomic_store_n(&r->last_hops, rec->hops, __ATOMIC_RELAXED);
}

uint32_t recall_hops(struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag, int out)
{
	uint32_t stage, id, hops, same;

	if (!r->hops)
		return 0;
	stage = last_of(tag, out);
	id = identity(packet, len);
	if (hops_take(r, nonzero(mix(id, stage)), &hops)) {
		hops_take(r, stage, &same);
		return hops;
	}
	if (get(&r->hops, nonzero(id), &hops))
		return hops & HOPS_MASK;
	if (hops_take(r, stage, &hops))
		return hops;
	return __atomic_load_n(&r->last_hops, __ATOMIC_RELAXED);
}

/* ---- origin ---- */

void recall_put_origin(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		       uint32_t len)
{
	const bool out = rec->flags & DIVERT_REC_OUT;
	const uint32_t addr = out ? 0 : rec->addr ? rec->addr : INADDR_BROADCAST;

	if (!rec->ifindex)
		return;
	if (addr)
		__atomic_store_n(&r->last_in, FIRST(addr, rec->ifindex), __ATOMIC_RELAXED);
	if (__atomic_load_n(&r->keeps_origin, __ATOMIC_RELAXED))
		put(&r->origin, nonzero(mix(identity(packet, len), addr)), rec->ifindex);
}

uint32_t recall_origin(struct recall *r, const uint8_t *packet, uint32_t len, uint32_t addr)
{
	uint32_t ifindex;
	uint64_t last;

	if (!__atomic_load_n(&r->keeps_origin, __ATOMIC_RELAXED))
		__atomic_store_n(&r->keeps_origin, true, __ATOMIC_RELAXED);
	/* packets that are made here and sent out have no interface: nothing is kept, nor hashed, for them */
	if (__atomic_load_n(&r->origin, __ATOMIC_RELAXED) &&
	    get(&r->origin, nonzero(mix(identity(packet, len), addr)), &ifindex))
		return ifindex;
	last = __atomic_load_n(&r->last_in, __ATOMIC_RELAXED);
	return addr && last >> 32 == addr ? (uint32_t)last : 0;
}

void recall_free(struct recall *r)
{
	free(r->origin);
	free(r->mark);
	free(r->link);
	free(r->gso);
	free(r->hops);
	memset(r, 0, sizeof(*r));
}
