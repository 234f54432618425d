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
	uint8_t proto;
};

/* A record whose headers do not bear cutting out is left whole. */
void segment_plan(const struct divert_record *rec, struct cut *cut);
/* Bytes of segment i. */
uint32_t segment_len(const struct divert_record *rec, const struct cut *cut, uint32_t i);
/* Build it at to, which has room for segment_len(). */
void segment_build(const struct divert_record *rec, const struct cut *cut, uint32_t i, void *to);

#endif
