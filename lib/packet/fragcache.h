/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragment cache: the id and fragment size of reassembled IPv6 packets. Routers may not fragment
 * these, so if such a packet is reinjected inbound, where it may be forwarded, it is fragmented as
 * it came.
 */
#ifndef LIB_FRAGCACHE_H
#define LIB_FRAGCACHE_H

#include <stdbool.h>
#include <stdint.h>

#define FRAGCACHE_SLOTS 256u

struct fragcache_entry {
	uint32_t hash; /* of the packet; 0: free */
	uint32_t id;   /* of its fragments, network order */
	uint32_t size; /* of the longest fragment, bytes */
};

struct fragcache {
	struct fragcache_entry slot[FRAGCACHE_SLOTS];
	struct fragcache_entry last;
	uint32_t last_len;
};

/* packet: starts with the IPv6 header and is len bytes long. */
void fragcache_put(struct fragcache *o, const uint8_t *packet, uint32_t len, uint32_t id,
		   uint32_t size);
/*
 * Consumes the entry: if an id were used twice, the receiver would merge two packets. A packet that
 * is not in the cache, but is as long as the last one put, is taken for that one, modified; *id is
 * then left as the caller set it.
 */
bool fragcache_take(struct fragcache *o, const uint8_t *packet, uint32_t len, uint32_t *id,
		    uint32_t *size);

#endif
