// sources: lib/packet/segment.c lib/packet/chunks.c lib/packet/checksum.c tests/unit/large.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Partial checksums are completed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/checksum.h"
#include "tests/unit/bytes.h"
#include "tests/unit/large.h"

static void build_one(struct divert_record *rec, uint8_t *p)
{
	struct cut cut;

	segment_plan(rec, &cut);
	assert_int_equal(cut.segments, 1);
	segment_build(rec, &cut, 0, p);
}

static void test_partial(void **state)
{
	static const struct {
		int version;
		uint8_t proto;
		uint32_t opts, payload, offset;
	} t[] = {
		{4, TCP, 0, 0, 16},    {4, TCP, 0, 1001, 16}, {4, TCP, 40, 1000, 16},
		{6, TCP, 0, 1001, 16}, {6, TCP, 24, 1, 16},   {4, UDP, 0, 0, 6},
		{4, UDP, 0, 1001, 6},  {6, UDP, 8, 1000, 6},
	};
	struct divert_record *rec;
	uint32_t at, head, sum;
	unsigned int i;
	uint8_t *p;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		rec = make_ip(t[i].version, t[i].proto, t[i].opts, t[i].payload, &at, &head);
		make_partial(rec, t[i].proto, at, t[i].offset);
		p = malloc(rec->len);
		assert_non_null(p);
		build_one(rec, p);
		assert_int_equal(sum_transport(p, t[i].proto, at, rec->len), 0xffff);
		sum = at + t[i].offset;
		assert_memory_equal(p, packet_of(rec), sum);
		assert_memory_equal(p + sum + 2, packet_of(rec) + sum + 2, rec->len - sum - 2);
		free(p);
		free(rec);
	}
}

/* A UDP sum of 0 would mean that there is none, so it is sent as 0xffff. TCP has no such rule. */
static void test_partial_zero(void **state)
{
	uint32_t at, head;
	struct divert_record *rec;
	uint8_t p[64];

	rec = make_ip(4, UDP, 0, 2, &at, &head);
	put16(packet_of(rec) + head, 0);
	make_partial(rec, UDP, at, 6);
	put16(packet_of(rec) + head, 0xffff - sum_words(0, packet_of(rec) + at, rec->len - at));
	build_one(rec, p);
	assert_int_equal(get16(p + at + 6), 0xffff);
	assert_int_equal(sum_transport(p, UDP, at, rec->len), 0xffff);
	free(rec);

	rec = make_ip(4, TCP, 0, 2, &at, &head);
	put16(packet_of(rec) + head, 0);
	make_partial(rec, TCP, at, 16);
	put16(packet_of(rec) + head, 0xffff - sum_words(0, packet_of(rec) + at, rec->len - at));
	build_one(rec, p);
	assert_int_equal(get16(p + at + 16), 0);
	free(rec);
}

/* SCTP's checksum is a CRC, with the least significant byte first. */
static void test_partial_sctp(void **state)
{
	int version;

	for (version = 4; version <= 6; version += 2) {
		uint32_t at, head, crc;
		struct divert_record *rec = make_ip(version, SCTP, 0, 9, &at, &head);
		uint8_t *p = packet_of(rec), out[128];

		memset(p + at, 0, 12);
		memcpy(p + at + 12, "123456789", 9);
		crc = checksum_crc32c(p + at, rec->len - at);
		rec->flags = DIVERT_REC_PARTIAL;
		rec->csum_start = at;
		rec->csum_offset = 8;
		memset(p + at + 8, 0x55, 4); /* any value may be there */
		build_one(rec, out);
		assert_int_equal(out[at + 8], crc & 0xff);
		assert_int_equal(out[at + 9], crc >> 8 & 0xff);
		assert_int_equal(out[at + 10], crc >> 16 & 0xff);
		assert_int_equal(out[at + 11], crc >> 24);
		assert_memory_equal(out, p, at + 8);
		assert_memory_equal(out + at + 12, p + at + 12, rec->len - at - 12);
		free(rec);
	}
}

/*
 * If the place is outside the packet, nothing is done. If it is inside, only the packet is touched.
 */
static void test_partial_hostile(void **state)
{
	static const uint16_t outside[][2] = {
		{20, 65535}, {65535, 65535}, {65535, 0}, {62, 0}, {20, 41}, {61, 0}, {0, 61},
	};
	uint32_t at, head, start, offset;
	struct divert_record *rec = make_ip(4, TCP, 0, 10, &at, &head);
	unsigned int i;

	assert_int_equal(rec->len, 62);
	rec->flags = DIVERT_REC_PARTIAL;
	for (i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
		rec->csum_start = outside[i][0];
		rec->csum_offset = outside[i][1];
		check_whole(rec);
	}
	for (i = 0; i < 2; i++) {
		uint8_t *p = malloc(rec->len);

		assert_non_null(p);
		packet_of(rec)[9] = i ? SCTP : TCP;
		for (start = 0; start < 70; start++)
			for (offset = 0; offset < 70; offset++) {
				rec->csum_start = start;
				rec->csum_offset = offset;
				build_one(rec, p);
			}
		free(p);
	}
	free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_partial_zero),
		cmocka_unit_test(test_partial_sctp),
		cmocka_unit_test(test_partial_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
