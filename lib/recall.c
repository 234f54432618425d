// SPDX-License-Identifier: BSD-2-Clause
#include "recall.h"

#include <stdlib.h>
#include <string.h>

#define FIRST(hash, value) ((uint64_t)(hash) << 32 | (value))

static uint32_t mix(uint32_t h, uint32_t word)
{
	h = (h ^ word) * 0x9e3779b1u;
	return h ^ h >> 15;
}

static uint32_t mix_bytes(uint32_t h, const uint8_t *p, uint32_t n)
{
	uint32_t word;

	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&word, p, 4);
		h = mix(h, word);
	}
	return h;
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
	return h ? h : 1;
}

static uint32_t destination(const uint8_t *packet)
{
	uint32_t h =
		packet[0] >> 4 == 4 ? mix_bytes(4, packet + 12, 8) : mix_bytes(6, packet + 8, 32);

	return h ? h : 1;
}

int recall_needs_link(const uint8_t *packet)
{
	if (packet[0] >> 4 == 4)
		return packet[16] >> 4 == 14 || !memcmp(packet + 16, "\377\377\377\377", 4);
	return packet[24] == 0xff || (packet[24] == 0xfe && (packet[25] & 0xc0) == 0x80);
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
	if (out && recall_needs_link(packet))
		put(&r->link, destination(packet), rec->oif);
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

	return get(&r->link, destination(packet), &link) ? link : 0;
}

void recall_free(struct recall *r)
{
	free(r->mark);
	free(r->link);
	memset(r, 0, sizeof(*r));
}
