/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what the kernel had to what goes over a wire: large packets (GSO, GRO)
 * cut into segments, partial checksums completed.
 */
#ifndef LIB_SEGMENT_H
#define LIB_SEGMENT_H

#include <stdint.h>

#include "engine/layout.h"

/* How a record is to be cut. */
struct cut {
	uint32_t size;	    /* bytes of payload in each but the last */
	uint32_t segments;  /* 1: as it is */
	uint32_t head;	    /* bytes of headers, which each segment has */
	uint32_t jumbo;	    /* of them, after the IPv6 header: a jumbo option, which none has */
	uint32_t transport; /* offset of the transport header */
	uint32_t
		gso_size; /* pieces stay large, to be cut by this later; 0: they are single packets */
	uint8_t proto;
};

/* A record whose headers do not bear cutting out is left whole. */
void segment_plan(const struct divert_record *rec, struct cut *cut);
/*
 * For sockets with DIVERT_GSO: whole, or where that is longer than any packet in pieces that are as
 * large as they may be. gso_types: enum divert_gso, those that can be taken back; others are cut as above.
 */
void segment_plan_whole(const struct divert_record *rec, uint32_t gso_types, struct cut *cut);
/* Payload bytes of each packet that piece i stands for; 0: it is a single one. */
uint32_t segment_gso(const struct divert_record *rec, const struct cut *cut, uint32_t i);
/* Bytes of segment i. */
uint32_t segment_len(const struct divert_record *rec, const struct cut *cut, uint32_t i);
/* Build it at to, which has room for segment_len(). */
void segment_build(const struct divert_record *rec, const struct cut *cut, uint32_t i, void *to);

/* Where the headers of a large packet end. */
struct heads {
	uint32_t transport; /* offset of the transport header */
	uint32_t len;	    /* bytes of all headers */
	uint32_t sum;	    /* offset of the transport checksum */
	uint8_t proto;	    /* TCP or UDP */
};

/*
 * have: bytes of the packet that are there, len: of the whole of it. -1: there is no TCP or UDP in it
 * that could be cut into segments.
 */
int segment_heads(const uint8_t *packet, uint32_t have, uint32_t len, struct heads *h);
/*
 * The checksum as it is left for whoever cuts the packet: that of the pseudo header, not complemented.
 * packet: the headers; len: of the whole packet.
 */
void segment_set_partial(uint8_t *packet, uint32_t len, const struct heads *h);

#endif
