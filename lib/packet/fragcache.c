// SPDX-License-Identifier: BSD-2-Clause
#include "fragcache.h"

#include <string.h>

#define HEADER6 40
/* bytes after the header that distinguish packets: ports, checksum, sequence number */
#define BEHIND	24

static uint32_t hash_of(const uint8_t *packet, uint32_t len)
{
	uint32_t h = len, word, at, end = len < HEADER6 + BEHIND ? len : HEADER6 + BEHIND;

	/* next header, addresses and what follows, but not the hop limit */
	h = (h ^ packet[6]) * 0x9e3779b1u;
	for (at = 8; at + 4 <= end; at += 4) {
		memcpy(&word, packet + at, 4);
		h = (h ^ word) * 0x9e3779b1u;
		h ^= h >> 15;
	}
	return h ? h : 1;
}

void fragcache_put(struct fragcache *o, const uint8_t *packet, uint32_t len, uint32_t id,
		   uint32_t size)
{
	o->last = (struct fragcache_entry){hash_of(packet, len), id, size};
	o->last_len = len;
	o->slot[o->last.hash % FRAGCACHE_SLOTS] = o->last;
}

bool fragcache_take(struct fragcache *o, const uint8_t *packet, uint32_t len, uint32_t *id,
		    uint32_t *size)
{
	uint32_t hash = hash_of(packet, len);
	struct fragcache_entry *slot = &o->slot[hash % FRAGCACHE_SLOTS];

	if (slot->hash == hash) {
		*id = slot->id;
		*size = slot->size;
		slot->hash = 0;
		return true;
	}
	if (o->last_len != len)
		return false;
	*size = o->last.size;
	return true;
}
