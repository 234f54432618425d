// sources: lib/packet/checksum.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Checksums against known values, and against the simplest way to compute them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/checksum.h"

/* RFC 1071, byte by byte. Returns the value, not its bytes in memory. */
static unsigned int plain(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static unsigned int value(uint16_t in_memory)
{
	uint8_t p[2];

	memcpy(p, &in_memory, 2);
	return p[0] << 8 | p[1];
}

/* The example of RFC 1071, 3. */
static void test_rfc1071(void **state)
{
	static const uint8_t p[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(value(checksum_fold(checksum_add(0, p, sizeof(p)))), 0xddf2);
	assert_int_equal(checksum_fold(checksum_add(0, p, 0)), 0);
	assert_int_equal(value(checksum_fold(checksum_add(0, p, 3))), 0xf201);
}

/* Every length and alignment, in one piece and in two. */
static void test_lengths(void **state)
{
	uint8_t room[256];
	size_t i, at, len, half;

	for (i = 0; i < sizeof(room); i++)
		room[i] = i * 167 + 13;
	for (at = 0; at < 8; at++) {
		for (len = 0; len < 150; len++) {
			uint8_t *p = malloc(len ? len : 1);

			assert_non_null(p);
			memcpy(p, room + at, len);
			assert_int_equal(value(checksum_fold(checksum_add(0, p, len))),
					 plain(room + at, len));
			assert_int_equal(value(checksum_fold(checksum_add(0, room + at, len))),
					 plain(room + at, len));
			half = len / 2 & ~(size_t)1;
			assert_int_equal(value(checksum_fold(checksum_add(checksum_add(0, p, half),
									  p + half, len - half))),
					 plain(p, len));
			free(p);
		}
	}
}

/* Carries, and no overflow: the largest possible packet, all ones. */
static void test_ones(void **state)
{
	uint8_t *p = malloc(65535);

	assert_non_null(p);
	memset(p, 0xff, 65535);
	assert_int_equal(value(checksum_fold(checksum_add(0, p, 65534))), 0xffff);
	assert_int_equal(value(checksum_fold(checksum_add(0, p, 65535))), plain(p, 65535));
	assert_int_equal(checksum_fold(~0ull), 0xffff);
	free(p);
}

static void test_ip4(void **state)
{
	/* the sum is 0xb861 */
	uint8_t p[60] = {0x45, 0,    0,	   0x73, 0,    0,    0x40, 0,	 0x40, 0x11,
			 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	unsigned int i;

	assert_true(checksum_ip4_ok(p));
	for (i = 0; i < 160; i++) {
		p[i / 8] ^= 1 << i % 8;
		if (i / 8) /* its length is in the first byte */
			assert_false(checksum_ip4_ok(p));
		p[i / 8] ^= 1 << i % 8;
	}
	p[10] = p[11] = 0xee;
	checksum_ip4_set(p);
	assert_int_equal(p[10] << 8 | p[11], 0xb861);

	/* options belong to the header */
	p[0] = 0x4f;
	memset(p + 20, 7, 40);
	assert_false(checksum_ip4_ok(p));
	checksum_ip4_set(p);
	assert_true(checksum_ip4_ok(p));
	p[59]++;
	assert_false(checksum_ip4_ok(p));
}

static void test_pseudo(void **state)
{
	uint8_t p4[20] = {0x45, [12] = 192, 168, 0, 1, 192, 168, 0, 199};
	uint8_t p6[40] = {0x60};
	uint8_t want4[12] = {192, 168, 0, 1, 192, 168, 0, 199, 0, 17, 0x12, 0x34};
	uint8_t want6[40] = {[32] = 0, 1, 0xf2, 3, 0, 0, 0, 6};
	unsigned int i;

	assert_int_equal(value(checksum_fold(checksum_pseudo(p4, 17, 0x1234))),
			 plain(want4, sizeof(want4)));
	for (i = 0; i < 32; i++)
		p6[8 + i] = want6[i] = 0xe0 + i;
	assert_int_equal(value(checksum_fold(checksum_pseudo(p6, 6, 0x1f203))),
			 plain(want6, sizeof(want6)));
}

/* RFC 3720, B.4, and the check value in every catalogue of CRCs. */
static void test_crc32c(void **state)
{
	uint8_t p[32];
	unsigned int i;

	assert_int_equal(checksum_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(checksum_crc32c("", 0), 0);
	memset(p, 0, 32);
	assert_int_equal(checksum_crc32c(p, 32), 0x8a9136aa);
	memset(p, 0xff, 32);
	assert_int_equal(checksum_crc32c(p, 32), 0x62a8ab43);
	for (i = 0; i < 32; i++)
		p[i] = i;
	assert_int_equal(checksum_crc32c(p, 32), 0x46dd794e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_ones),	cmocka_unit_test(test_ip4),
		cmocka_unit_test(test_pseudo),	cmocka_unit_test(test_crc32c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
