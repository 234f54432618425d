// SPDX-License-Identifier: BSD-2-Clause
#include "pktcache.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "hash.h"

/* bytes after the IP header that are hashed, with TCP's sequence number and checksum */
#define IDENTITY 40

#define FIRST(hash, value) ((uint64_t)(hash) << 32 | (value))

static uint32_t nonzero(uint32_t h)
{
	return h ? h : 1;
}

uint32_t pktcache_identity(const uint8_t *packet, uint32_t len)
{
	uint32_t h = hash_mix(flow_key_hash(packet, len), len), at = 40;

	if (packet[0] >> 4 == 4) {
		h = hash_mix(h, packet[4] << 8 | packet[5]);
		h = hash_mix(h, packet[6] << 8 | packet[7]);
		at = (packet[0] & 15) * 4;
	}
	if (at < len)
		h = hash_bytes(h, packet + at, len - at < IDENTITY ? len - at : IDENTITY);
	return h;
}

static uint32_t destination(const uint8_t *packet)
{
	uint32_t h =
		packet[0] >> 4 == 4 ? hash_bytes(4, packet + 12, 8) : hash_bytes(6, packet + 8, 32);

	return nonzero(h);
}

static void put(uint64_t **slots, uint32_t hash, uint32_t value)
{
	uint64_t *fresh, *none = NULL;

	if (!__atomic_load_n(slots, __ATOMIC_ACQUIRE)) {
		fresh = calloc(PKTCACHE_SLOTS, sizeof(*fresh));
		if (!fresh)
			return; /* nothing is cached then */
		if (!__atomic_compare_exchange_n(slots, &none, fresh, 0, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			free(fresh);
	}
	__atomic_store_n(&(*slots)[hash % PKTCACHE_SLOTS], FIRST(hash, value), __ATOMIC_RELAXED);
}

static int get(uint64_t *const *slots, uint32_t hash, uint32_t *value)
{
	uint64_t *table = __atomic_load_n(slots, __ATOMIC_ACQUIRE);
	uint64_t slot;

	if (!table)
		return 0;
	slot = __atomic_load_n(&table[hash % PKTCACHE_SLOTS], __ATOMIC_RELAXED);
	*value = (uint32_t)slot;
	return slot >> 32 == hash;
}

static uint32_t last_of(uint16_t tag, int out)
{
	return 1u << 31 | (out ? 1u << 16 : 0) | tag;
}

void pktcache_put(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
		  uint32_t len)
{
	int out = rec->flags & DIVERT_REC_OUT;

	if (rec->mark || r->mark) {
		put(&r->mark, flow_key_hash(packet, len), rec->mark);
		__atomic_store_n(&r->last, FIRST(last_of(rec->tag, out), rec->mark),
				 __ATOMIC_RELAXED);
	}
	if (out && flow_needs_link(packet)) {
		put(&r->link, destination(packet), rec->oif);
		put(&r->link, nonzero(pktcache_identity(packet, len)), rec->oif);
	}
}

uint32_t pktcache_mark(const struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		       int out)
{
	uint32_t mark;
	uint64_t last;

	if (!r->mark)
		return 0;
	if (get(&r->mark, flow_key_hash(packet, len), &mark))
		return mark;
	/* most likely its addresses were changed: assume that it is the last packet received */
	last = __atomic_load_n(&r->last, __ATOMIC_RELAXED);
	return last >> 32 == last_of(tag, out) ? (uint32_t)last : 0;
}

uint32_t pktcache_link(const struct pktcache *r, const uint8_t *packet, uint32_t len)
{
	uint32_t link;

	/*
	 * By packet first: DHCP uses the same addresses on every link. A modified packet is found
	 * by addresses.
	 */
	if (get(&r->link, nonzero(pktcache_identity(packet, len)), &link))
		return link;
	return get(&r->link, destination(packet), &link) ? link : 0;
}

/* ---- large packets ---- */

/*
 * A TCP stream is the same with other segment sizes; in UDP each segment is a message, so len
 * counts.
 */
static uint32_t large(uint32_t h, const uint8_t *packet, uint32_t len)
{
	int tcp = (packet[0] >> 4 == 4 ? packet[9] : packet[6]) == IPPROTO_TCP;

	return tcp ? h : nonzero(hash_mix(h, len));
}

void pktcache_put_gso(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
		      uint32_t len, uint32_t gso_size)
{
	uint32_t key, last, was;

	if (!gso_size && !r->gso)
		return;
	key = large(flow_key_hash(packet, len), packet, len);
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

uint32_t pktcache_gso(const struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		      int out)
{
	uint32_t gso_size;
	uint64_t last;

	if (get(&r->gso, large(flow_key_hash(packet, len), packet, len), &gso_size))
		return gso_size;
	last = __atomic_load_n(&r->last_gso, __ATOMIC_RELAXED);
	return last >> 32 == large(last_of(tag, out), packet, len) ? (uint32_t)last : 0;
}

/* ---- hops ---- */

/* A value: the number of such packets outstanding, and their hops. */
#define HOPS_ONE  0x100u
#define HOPS_MASK 0xffu
#define HOPS_FULL 0xffffff00u

static void hops_add(struct pktcache *r, uint32_t key, uint32_t hops)
{
	uint32_t was;

	if (!get(&r->hops, key, &was) || (was & HOPS_MASK) != hops)
		was = hops;
	put(&r->hops, key, was < HOPS_FULL ? was + HOPS_ONE : was);
}

/* Count one down. 0: there was none. */
static int hops_take(struct pktcache *r, uint32_t key, uint32_t *hops)
{
	uint32_t was;

	if (!get(&r->hops, key, &was) || was < HOPS_ONE)
		return 0;
	put(&r->hops, key, was - HOPS_ONE);
	*hops = was & HOPS_MASK;
	return 1;
}

void pktcache_put_hops(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
		       uint32_t len)
{
	uint32_t stage, id;

	if (!rec->hops && !r->hops)
		return;
	stage = last_of(rec->tag, rec->flags & DIVERT_REC_OUT);
	id = pktcache_identity(packet, len);
	hops_add(r, nonzero(hash_mix(id, stage)), rec->hops);
	hops_add(r, stage, rec->hops);
	put(&r->hops, nonzero(id), rec->hops);
	__atomic_store_n(&r->last_hops, rec->hops, __ATOMIC_RELAXED);
}

uint32_t pktcache_hops(struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		       int out)
{
	uint32_t stage, id, hops, same;

	if (!r->hops)
		return 0;
	stage = last_of(tag, out);
	id = pktcache_identity(packet, len);
	if (hops_take(r, nonzero(hash_mix(id, stage)), &hops)) {
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

void pktcache_put_origin(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
			 uint32_t len)
{
	const bool out = rec->flags & DIVERT_REC_OUT;
	const uint32_t addr = out ? 0 : rec->addr ? rec->addr : INADDR_BROADCAST;

	if (!rec->ifindex)
		return;
	if (addr)
		__atomic_store_n(&r->last_in, FIRST(addr, rec->ifindex), __ATOMIC_RELAXED);
	if (__atomic_load_n(&r->keeps_origin, __ATOMIC_RELAXED))
		put(&r->origin, nonzero(hash_mix(pktcache_identity(packet, len), addr)),
		    rec->ifindex);
}

uint32_t pktcache_origin(struct pktcache *r, const uint8_t *packet, uint32_t len, uint32_t addr)
{
	uint32_t ifindex;
	uint64_t last;

	if (!__atomic_load_n(&r->keeps_origin, __ATOMIC_RELAXED))
		__atomic_store_n(&r->keeps_origin, true, __ATOMIC_RELAXED);
	/* locally made outbound packets have no interface: cache and hash nothing for them */
	if (__atomic_load_n(&r->origin, __ATOMIC_RELAXED) &&
	    get(&r->origin, nonzero(hash_mix(pktcache_identity(packet, len), addr)), &ifindex))
		return ifindex;
	last = __atomic_load_n(&r->last_in, __ATOMIC_RELAXED);
	return addr && last >> 32 == addr ? (uint32_t)last : 0;
}

void pktcache_free(struct pktcache *r)
{
	free(r->origin);
	free(r->mark);
	free(r->link);
	free(r->gso);
	free(r->hops);
	memset(r, 0, sizeof(*r));
}
