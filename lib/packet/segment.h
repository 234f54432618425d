/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turn what the kernel hands over into packets as they appear on the wire: split GSO packets into
 * segments and complete partial checksums.
 */
#ifndef LIB_SEGMENT_H
#define LIB_SEGMENT_H

#include <stdint.h>

#include "engine/layout.h"

/* How to split a record. */
struct cut {
	uint32_t size;	   /* payload bytes of each segment but the last */
	uint32_t segments; /* 1: do not split */
	uint32_t head;	   /* bytes of headers, which each segment repeats */
	/*
	 * bytes of a jumbo option after the IPv6 header, part of head; the segments do not have it
	 */
	uint32_t jumbo;
	uint32_t transport; /* offset of the transport header */
	/*
	 * the segments are GSO packets themselves, of this segment size; 0: they are single packets
	 */
	uint32_t gso_size;
	uint8_t proto;
};

/* Plan the split. A record whose headers do not allow one is left whole. */
void segment_plan(const struct divert_record *rec, struct cut *cut);
/*
 * The same for sockets with DIVERT_GSO: leave the record whole, or, if it is longer than an IP
 * packet can be, split it into GSO packets as large as possible. gso_types: enum divert_gso, the
 * types that may be sent back as GSO; others are split as above.
 */
void segment_plan_whole(const struct divert_record *rec, uint32_t gso_types, struct cut *cut);
/* Segment size of segment i, if it is a GSO packet itself; 0: it is a single packet. */
uint32_t segment_gso(const struct divert_record *rec, const struct cut *cut, uint32_t i);
/* Length of segment i, bytes. */
uint32_t segment_len(const struct divert_record *rec, const struct cut *cut, uint32_t i);
/* Build segment i at `to`, which has room for segment_len() bytes. */
void segment_build(const struct divert_record *rec, const struct cut *cut, uint32_t i, void *to);

/* Where the headers of a GSO packet end. */
struct heads {
	uint32_t transport; /* offset of the transport header */
	uint32_t len;	    /* bytes of all headers */
	uint32_t sum;	    /* offset of the transport checksum */
	uint8_t proto;	    /* TCP or UDP */
};

/*
 * Find the ends of the headers. have: bytes of the packet that are there; len: bytes of the whole
 * packet. -1: it is no TCP or UDP packet that could be split into segments.
 */
int segment_heads(const uint8_t *packet, uint32_t have, uint32_t len, struct heads *h);
/*
 * Write a partial checksum, for the one who splits the packet: that of the pseudo header, not
 * complemented. packet: the headers; len: bytes of the whole packet.
 */
void segment_set_partial(uint8_t *packet, uint32_t len, const struct heads *h);

#endif
