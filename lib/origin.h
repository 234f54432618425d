/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the IPv6 packets came that were put together: no router may make fragments of them, so
 * those that are written back inbound, to be forwarded perhaps, go as they came.
 */
#ifndef LIB_ORIGIN_H
#define LIB_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#define ORIGIN_SLOTS 256u

struct origin {
	uint32_t hash; /* of the packet; 0: free */
	uint32_t id;   /* of its fragments, network order */
	uint32_t size; /* of the longest, bytes */
};

struct origins {
	struct origin slot[ORIGIN_SLOTS];
	struct origin last;
	uint32_t last_len;
};

/* packet: the IPv6 header and what is behind it, len bytes. */
void origin_put(struct origins *o, const uint8_t *packet, uint32_t len, uint32_t id, uint32_t size);
/*
 * Once for each that was put: a second time its id would make two packets one. What is not known
 * but has the length of the packet that came last is that one, changed; its id then is `id`.
 */
bool origin_take(struct origins *o, const uint8_t *packet, uint32_t len, uint32_t *id,
		 uint32_t *size);

#endif
