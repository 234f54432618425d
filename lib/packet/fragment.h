/* SPDX-License-Identifier: BSD-2-Clause */
/* Split a packet into fragments: RFC 791, RFC 8200. Pure computation, no system calls. */
#ifndef LIB_FRAGMENT_H
#define LIB_FRAGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "fraghdr.h"

struct fragments {
	const uint8_t *packet;
	uint32_t len;
	uint32_t size;	      /* bytes of a fragment at most */
	uint32_t at;	      /* bytes of the data already split off */
	struct fraghdr whole; /* the packet itself, which may be a fragment already */
	/* IPv4: header of all fragments but the first; it has fewer options */
	uint8_t later[60];
	uint32_t later_len;
};

/*
 * Start to split a packet of len bytes. It must be contiguous, have a valid IP header, and stay
 * unchanged until the end. size: bytes of a fragment at most. id: for IPv6, network order; a packet
 * that is a fragment keeps its own. -EMSGSIZE: DF is set, there is no data, or size has no room for
 * the headers.
 */
int fragments_begin(struct fragments *f, const uint8_t *packet, uint32_t len, uint32_t size,
		    uint32_t id);
/*
 * Build the next fragment at `to`, which has room for size bytes. Returns its length; 0: no more.
 */
uint32_t fragments_next(struct fragments *f, uint8_t *to);

#endif
