/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet cut into fragments: RFC 791, RFC 8200. Bytes in, bytes out. */
#ifndef LIB_FRAGMENT_H
#define LIB_FRAGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "piece.h"

struct fragments {
	const uint8_t *packet;
	uint32_t len;
	uint32_t size;	    /* of the longest piece */
	uint32_t at;	    /* bytes of what is cut that are behind it */
	struct piece whole; /* the packet itself, which may be a fragment */
	/* IPv4: the header of all but the first, which has less options */
	uint8_t later[60];
	uint32_t later_len;
};

/*
 * Begin. packet: checked to be len bytes and to have its IP header, and in one piece; it stays as
 * it is until the end. size: bytes at most of a piece. id: of IPv6, network order; a fragment keeps its own.
 * -EMSGSIZE: it may not be cut (DF), is nothing but headers, or size has no room for these.
 */
int fragments_begin(struct fragments *f, const uint8_t *packet, uint32_t len, uint32_t size,
		    uint32_t id);
/* The next piece to `to`, which has room for size bytes. Its length; 0: there is none. */
uint32_t fragments_next(struct fragments *f, uint8_t *to);

#endif
