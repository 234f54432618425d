/* SPDX-License-Identifier: BSD-2-Clause */
/* Large packets as the kernel has them, and checks for the tests that cut them. */
#ifndef TEST_UNIT_LARGE_H
#define TEST_UNIT_LARGE_H

#include "lib/packet/segment.h"

#define TCP  6
#define UDP  17
#define SCTP 132

#define SEQ   0xfffffff0u /* wraps within the packet */
#define ID    0xfffe	  /* wraps, too */
#define ALL   0xff	  /* every TCP flag */
#define INNER 12	  /* bytes of TCP options */

/* The sum of big-endian words, added to another sum; the sum of the pseudo header. */
uint32_t sum_words(uint32_t sum, const uint8_t *p, uint32_t len);
uint32_t sum_pseudo(const uint8_t *p, uint8_t proto, uint32_t len);
/* Returns 0xffff if the checksum is right. */
uint32_t sum_transport(const uint8_t *p, uint8_t proto, uint32_t at, uint32_t len);

/* A record of its exact size, so that a read or write beyond it is caught. */
struct divert_record *make(uint32_t len);
/* opts: bytes of IPv4 options, or of one IPv6 extension header. head: bytes before the payload. */
struct divert_record *make_ip(int version, uint8_t proto, uint32_t opts, uint32_t payload,
			      uint32_t *at, uint32_t *head);
/*
 * The checksum as a sender leaves it to its network card: the sum of the pseudo header, not
 * complemented.
 */
void make_partial(struct divert_record *rec, uint8_t proto, uint32_t at, uint32_t offset);

static inline uint8_t *packet_of(struct divert_record *rec)
{
	return (uint8_t *)(rec + 1);
}

struct sample {
	int version;
	uint8_t proto;
	uint32_t opts, payload;
	uint16_t size, type, flags;
	uint32_t segments;
};
#define SAMPLES 14
extern const struct sample samples[SAMPLES];

/* It is one segment, the packet's own bytes, and nothing reads or writes beyond them. */
void check_whole(struct divert_record *rec);

#endif
