/* SPDX-License-Identifier: BSD-2-Clause */
/* Large packets, for the tests of segmentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/bytes.h"
#include "tests/unit/large.h"

/* ---- an independent check of checksums ---- */

uint32_t sum_words(uint32_t sum, const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len & 1)
		sum += p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint32_t sum_pseudo(const uint8_t *p, uint8_t proto, uint32_t len)
{
	uint32_t sum = p[0] >> 4 == 4 ? sum_words(0, p + 12, 8) : sum_words(0, p + 8, 32);
	uint8_t tail[4] = {0, proto, len >> 8, len};

	return sum_words(sum, tail, 4);
}

/* Returns 0xffff if the checksum is right. */
uint32_t sum_transport(const uint8_t *p, uint8_t proto, uint32_t at, uint32_t len)
{
	return sum_words(sum_pseudo(p, proto, len - at), p + at, len - at);
}

/* ---- packets ---- */

/* A record of its exact size, so that a read or write beyond it is caught. */
struct divert_record *make(uint32_t len)
{
	struct divert_record *rec = calloc(1, sizeof(*rec) + len);

	assert_non_null(rec);
	rec->len = len;
	return rec;
}

/* opts: bytes of IPv4 options, or of one IPv6 extension header. head: bytes before the payload. */
struct divert_record *make_ip(int version, uint8_t proto, uint32_t opts, uint32_t payload,
			      uint32_t *at, uint32_t *head)
{
	uint32_t inner = proto == TCP ? 20 + INNER : proto == UDP ? 8 : 12, i;
	struct divert_record *rec;
	uint8_t *p;

	*at = (version == 4 ? 20 : 40) + opts;
	*head = *at + inner;
	rec = make(*head + payload);
	p = packet_of(rec);
	for (i = *at; i < rec->len; i++)
		p[i] = i * 7 + (i >> 8);
	if (version == 4) {
		p[0] = 0x40 | *at / 4;
		p[1] = 0x12;
		put16(p + 2, rec->len);
		put16(p + 4, ID);
		p[6] = 0x40;
		p[8] = 63;
		p[9] = proto;
		memset(p + 20, 1, opts);
		memcpy(p + 12, "\12\1\0\1\12\2\0\1", 8);
		put16(p + 10, 0xffff - sum_words(0, p, *at));
	} else {
		p[0] = 0x61;
		p[1] = 0x20;
		put16(p + 4, rec->len - 40);
		p[6] = opts ? 60 : proto;
		p[7] = 63;
		memcpy(p + 8,
		       "\375\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1\375\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 32);
		if (opts) {
			memset(p + 40, 0, opts);
			p[40] = proto;
			p[41] = opts / 8 - 1;
		}
	}
	p += *at;
	if (proto == TCP) {
		put16(p + 4, SEQ >> 16);
		put16(p + 6, SEQ & 0xffff);
		p[12] = inner / 4 << 4;
		p[13] = ALL;
	} else if (proto == UDP) {
		put16(p + 4, rec->len - *at);
	}
	return rec;
}

/*
 * The checksum as a sender leaves it to its network card: the sum of the pseudo header, not
 * complemented.
 */
void make_partial(struct divert_record *rec, uint8_t proto, uint32_t at, uint32_t offset)
{
	rec->flags |= DIVERT_REC_PARTIAL;
	rec->csum_start = at;
	rec->csum_offset = offset;
	put16(packet_of(rec) + at + offset, sum_pseudo(packet_of(rec), proto, rec->len - at));
}

const struct sample samples[SAMPLES] = {
	{4, TCP, 0, 4000, 1000, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 4},
	{4, TCP, 0, 4001, 1000, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 5},
	{4, TCP, 0, 3999, 1000, DIVERT_GSO_TCP, 0, 4},
	{4, TCP, 40, 2801, 1401, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 2},
	{4, TCP, 8, 3000, 1448, DIVERT_GSO_TCP | DIVERT_GSO_FIXEDID, DIVERT_REC_PARTIAL, 3},
	{4, TCP, 0, 100, 1, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 100},
	{4, TCP, 0, 65483, 1448, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 46},
	{6, TCP, 0, 4000, 1428, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 3},
	{6, TCP, 0, 3999, 1333, DIVERT_GSO_TCP, 0, 3},
	{6, TCP, 16, 4001, 1333, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 4},
	{4, UDP, 0, 4000, 1000, DIVERT_GSO_UDP, DIVERT_REC_PARTIAL, 4},
	{4, UDP, 4, 4001, 1001, DIVERT_GSO_UDP, DIVERT_REC_PARTIAL, 4},
	{6, UDP, 0, 4000, 1001, DIVERT_GSO_UDP, DIVERT_REC_PARTIAL, 4},
	{6, UDP, 8, 2, 1, DIVERT_GSO_UDP, 0, 2},
};

/* It is one segment, the packet's own bytes, and nothing reads or writes beyond them. */
void check_whole(struct divert_record *rec)
{
	struct cut cut;
	uint8_t *p = malloc(rec->len + 1);

	assert_non_null(p);
	p[rec->len] = 0xa5;
	segment_plan(rec, &cut);
	assert_int_equal(cut.segments, 1);
	assert_int_equal(segment_len(rec, &cut, 0), rec->len);
	segment_build(rec, &cut, 0, p);
	assert_memory_equal(p, packet_of(rec), rec->len);
	assert_int_equal(p[rec->len], 0xa5);
	free(p);
}
