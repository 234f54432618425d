// sources: lib/packet/fragment.c lib/packet/fraghdr.c lib/packet/reassemble.c lib/packet/checksum.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets cut into fragments: each field of each fragment, and that they give the packet again when
 * they are put together.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/checksum.h"
#include "lib/packet/fragment.h"
#include "lib/packet/reassemble.h"
#include "tests/unit/bytes.h"

#define UDP 17

static uint8_t packet[65535], piece[65535];

static void fill(uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		packet[from] = from * 7 ^ from >> 8;
}

static void make4(uint32_t len, const char *options, uint32_t options_len)
{
	memset(packet, 0, 60);
	packet[0] = 4 << 4 | (20 + options_len) / 4;
	packet[1] = 0xb8;
	put16(packet + 2, len);
	put16(packet + 4, 0x1234);
	packet[8] = 33;
	packet[9] = UDP;
	memcpy(packet + 12, "\12\1\0\1\12\2\0\1", 8);
	memcpy(packet + 20, options, options_len);
	checksum_ip4_set(packet);
	fill(20 + options_len, len);
}

static void make6(uint32_t len, uint8_t next, const char *headers, uint32_t headers_len)
{
	memset(packet, 0, 40);
	packet[0] = 6 << 4 | 0x0b;
	packet[1] = 0x80;
	put16(packet + 4, len - 40);
	packet[6] = next;
	packet[7] = 33;
	packet[8] = 0xfd;
	packet[24] = 0xfd;
	packet[39] = 1;
	memcpy(packet + 40, headers, headers_len);
	fill(40 + headers_len, len);
}

/* Checks each field of an IPv4 piece. options: those that it must have. */
static void is4(uint32_t offset, uint32_t n, int more, const char *options, uint32_t options_len)
{
	uint32_t head = 20 + options_len;

	assert_int_equal(piece[0], 4 << 4 | head / 4);
	assert_int_equal(piece[1], 0xb8);
	assert_int_equal(get16(piece + 2), head + n);
	assert_int_equal(get16(piece + 4), 0x1234);
	assert_int_equal(get16(piece + 6), offset / 8 | (more ? 0x2000 : 0));
	assert_int_equal(piece[8], 33);
	assert_int_equal(piece[9], UDP);
	assert_true(checksum_ip4_ok(piece));
	assert_memory_equal(piece + 12, packet + 12, 8);
	assert_memory_equal(piece + 20, options, options_len);
}

static void test_plain4(void **state)
{
	struct fragments f;

	make4(120, "", 0);
	/* 20 + 47 bytes fit: a piece has 40 */
	assert_int_equal(fragments_begin(&f, packet, 120, 67, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 60);
	is4(0, 40, 1, "", 0);
	assert_memory_equal(piece + 20, packet + 20, 40);
	assert_int_equal(fragments_next(&f, piece), 60);
	is4(40, 40, 1, "", 0);
	assert_memory_equal(piece + 20, packet + 60, 40);
	assert_int_equal(fragments_next(&f, piece), 40);
	is4(80, 20, 0, "", 0);
	assert_memory_equal(piece + 20, packet + 100, 20);
	assert_int_equal(fragments_next(&f, piece), 0);
	assert_int_equal(fragments_next(&f, piece), 0);

	/* the last piece need not be a multiple of 8, and uses all the room */
	make4(20 + 40 + 47, "", 0);
	assert_int_equal(fragments_begin(&f, packet, 107, 67, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 60);
	assert_int_equal(fragments_next(&f, piece), 67);
	is4(40, 47, 0, "", 0);
	assert_int_equal(fragments_next(&f, piece), 0);
}

static void test_fragment4(void **state)
{
	struct fragments f;

	/* in the middle of a packet: its offset counts, and more are to come */
	make4(100, "", 0);
	put16(packet + 6, 0x2000 | 100);
	assert_int_equal(fragments_begin(&f, packet, 100, 60, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 60);
	is4(800, 40, 1, "", 0);
	assert_int_equal(fragments_next(&f, piece), 60);
	is4(840, 40, 1, "", 0);
	assert_int_equal(fragments_next(&f, piece), 0);
	/* the last fragment */
	put16(packet + 6, 100);
	assert_int_equal(fragments_begin(&f, packet, 100, 60, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 60);
	is4(800, 40, 1, "", 0);
	assert_int_equal(fragments_next(&f, piece), 60);
	is4(840, 40, 0, "", 0);
	assert_int_equal(fragments_next(&f, piece), 0);
}

static void test_options4(void **state)
{
	/*
	 * NOP, record route (only in the first piece), router alert and a source route (in all),
	 * end
	 */
	static const char all[] = "\1\7\7\4\0\0\0\0"
				  "\224\4\0\0"
				  "\203\7\4\12\1\0\3\0";
	static const char later[] = "\224\4\0\0"
				    "\203\7\4\12\1\0\3\0";
	struct fragments f;

	make4(120, all, 20);
	assert_int_equal(fragments_begin(&f, packet, 120, 80, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 80);
	is4(0, 40, 1, all, 20);
	assert_int_equal(fragments_next(&f, piece), 32 + 40);
	is4(40, 40, 0, later, 12);
	assert_memory_equal(piece + 32, packet + 80, 40);
	assert_int_equal(fragments_next(&f, piece), 0);

	/* malformed options: nothing looks at what follows them */
	make4(120, "\224\4\0\0\224\60\0\0", 8);
	assert_int_equal(fragments_begin(&f, packet, 120, 80, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 76);
	assert_int_equal(fragments_next(&f, piece), 24 + 44);
	is4(48, 44, 0, "\224\4\0\0", 4);
	make4(120, "\7\1\0\0", 4);
	assert_int_equal(fragments_begin(&f, packet, 120, 80, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 80);
	assert_int_equal(fragments_next(&f, piece), 20 + 40);
	is4(56, 40, 0, "", 0);
	make4(120, "\1\1\1\224", 4);
	assert_int_equal(fragments_begin(&f, packet, 120, 80, 0), 0);
	assert_int_equal(fragments_next(&f, piece), 80);
	assert_int_equal(fragments_next(&f, piece), 20 + 40);
}

static void test_refused(void **state)
{
	struct fragments f;

	make4(120, "", 0);
	assert_int_equal(fragments_begin(&f, packet, 120, 28, 0), 0);
	assert_int_equal(fragments_begin(&f, packet, 120, 27, 0), -EMSGSIZE);
	packet[6] |= 0x40;
	assert_int_equal(fragments_begin(&f, packet, 120, 100, 0), -EMSGSIZE);
	make6(120, UDP, "", 0);
	assert_int_equal(fragments_begin(&f, packet, 120, 56, 1), 0);
	assert_int_equal(fragments_begin(&f, packet, 120, 55, 1), -EMSGSIZE);
}

/*
 * Checks an IPv6 piece: its first head bytes are the packet's, except where they name the fragment
 * header.
 */
static void is6(uint32_t head, uint32_t link, uint8_t next, uint32_t offset, uint32_t n, int more)
{
	uint8_t expected[200];

	memcpy(expected, packet, head);
	put16(expected + 4, head + 8 + n - 40);
	expected[link] = 44;
	assert_memory_equal(piece, expected, head);
	assert_int_equal(piece[head], next);
	assert_int_equal(piece[head + 1], 0);
	assert_int_equal(get16(piece + head + 2), offset | more);
	assert_memory_equal(piece + head + 4, "\1\2\3\4", 4);
}

static void test_plain6(void **state)
{
	struct fragments f;
	uint32_t id;

	memcpy(&id, "\1\2\3\4", 4);
	make6(140, UDP, "", 0);
	assert_int_equal(fragments_begin(&f, packet, 140, 108, id), 0);
	assert_int_equal(fragments_next(&f, piece), 48 + 56);
	is6(40, 6, UDP, 0, 56, 1);
	assert_memory_equal(piece + 48, packet + 40, 56);
	assert_int_equal(fragments_next(&f, piece), 48 + 44);
	is6(40, 6, UDP, 56, 44, 0);
	assert_memory_equal(piece + 48, packet + 96, 44);
	assert_int_equal(fragments_next(&f, piece), 0);
}

static void test_headers6(void **state)
{
	struct fragments f;
	uint32_t id;

	memcpy(&id, "\1\2\3\4", 4);
	/* hop-by-hop options stay in each piece; destination options are cut with what follows */
	make6(140, 0, "\74\0\1\4\0\0\0\0\21\0\1\4\0\0\0\0", 16);
	assert_int_equal(fragments_begin(&f, packet, 140, 104, id), 0);
	assert_int_equal(fragments_next(&f, piece), 56 + 48);
	is6(48, 40, 60, 0, 48, 1);
	assert_memory_equal(piece + 56, packet + 48, 48);
	assert_int_equal(fragments_next(&f, piece), 56 + 44);
	is6(48, 40, 60, 48, 44, 0);
	/* before a routing header they stay, too */
	make6(140, 0, "\74\0\1\4\0\0\0\0\53\0\1\4\0\0\0\0\21\0\0\0\0\0\0\0", 24);
	assert_int_equal(fragments_begin(&f, packet, 140, 120, id), 0);
	assert_int_equal(fragments_next(&f, piece), 72 + 48);
	is6(64, 56, UDP, 0, 48, 1);
	/* an authentication header is for the receiver: it is cut */
	make6(140, 51, "\21\1\0\0\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(fragments_begin(&f, packet, 140, 108, id), 0);
	assert_int_equal(fragments_next(&f, piece), 104);
	is6(40, 6, 51, 0, 56, 1);
	/* a fragment keeps its id, and does not get its header twice */
	make6(140, 44, "\21\0\1\1\1\2\3\4", 8);
	assert_int_equal(fragments_begin(&f, packet, 140, 108, 5), 0);
	assert_int_equal(fragments_next(&f, piece), 48 + 56);
	is6(40, 6, UDP, 256, 56, 1);
	assert_memory_equal(piece + 48, packet + 48, 56);
	assert_int_equal(fragments_next(&f, piece), 48 + 36);
	is6(40, 6, UDP, 312, 36, 1);
	assert_int_equal(fragments_next(&f, piece), 0);
}

static uint32_t rnd(uint32_t below)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % below;
}

/* Any packet that is cut is the same again when it is put together, and no piece is too long. */
static void test_there_and_back(void **state)
{
	static struct reassembly r;
	struct reassembled done;
	struct fragments f;
	uint32_t round, len, size, n, pieces;
	bool whole;

	reassembly_init(&r, 1);
	for (round = 0; round < 3000; round++) {
		len = 100 + rnd(round % 10 ? 3000 : 65000);
		size = 68 + rnd(1500);
		if (round % 2)
			make4(len, "\1\7\7\4\0\0\0\0\224\4\0\0", rnd(4) * 4);
		else if (rnd(2))
			make6(len, UDP, "", 0);
		else
			make6(len, 0, "\21\0\1\4\0\0\0\0", 8);
		assert_int_equal(fragments_begin(&f, packet, len, size, round), 0);
		whole = false;
		pieces = 0;
		while ((n = fragments_next(&f, piece))) {
			struct divert_record *rec = calloc(1, sizeof(*rec) + n);
			struct fraghdr p;

			assert_non_null(rec);
			assert_false(whole);
			assert_true(n <= size);
			pieces++;
			rec->len = n;
			memcpy(rec + 1, piece, n);
			if (fraghdr_read((uint8_t *)(rec + 1), n, &p)) {
				whole = reassembly_add(&r, rec, &p, 1, &done);
			} else { /* it fitted */
				assert_true(len <= size);
				assert_memory_equal(rec + 1, packet, len);
			}
			free(rec);
		}
		assert_int_equal(whole, pieces > 1 || !(round % 2));
		if (whole) {
			assert_int_equal(done.rec->len, len);
			assert_memory_equal(done.rec + 1, packet, len);
			free(done.rec);
		}
		assert_false(r.any_lost);
		assert_int_equal(r.packets, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain4),	       cmocka_unit_test(test_fragment4),
		cmocka_unit_test(test_options4),       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_plain6),	       cmocka_unit_test(test_headers6),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
