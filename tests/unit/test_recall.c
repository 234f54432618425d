// sources: lib/recall.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks and links, remembered by flow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/recall.h"

#define LEN 28

/* UDP from 10.1.0.LAST:PORT to 10.2.0.1:53 */
static void make4(uint8_t *p, unsigned int last, unsigned int port)
{
	memset(p, 0, LEN);
	p[0] = 0x45;
	p[3] = LEN;
	p[9] = 17;
	memcpy(p + 12, "\12\1\0\0\12\2\0\1", 8);
	p[15] = last;
	p[20] = port >> 8;
	p[21] = port;
	p[23] = 53;
}

static void put(struct recall *r, const uint8_t *packet, uint32_t mark, uint16_t tag, int out)
{
	struct divert_record rec = {
		.len = LEN,
		.mark = mark,
		.tag = tag,
		.flags = out ? DIVERT_REC_OUT : 0,
		.oif = 9,
	};

	recall_put(r, &rec, packet, LEN);
}

/* As long as nothing is marked, nothing is spent. */
static void test_unmarked(void **state)
{
	struct recall r = {};
	uint8_t p[LEN];

	make4(p, 1, 1000);
	put(&r, p, 0, 100, 0);
	assert_null(r.mark);
	assert_null(r.link);
	assert_int_equal(recall_mark(&r, p, LEN, 100, 0), 0);
	assert_int_equal(recall_link(&r, p, LEN), 0);
	recall_free(&r);
}

static void test_mark(void **state)
{
	struct recall r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	make4(q, 2, 1000);
	put(&r, p, 0xffffffff, 100, 0);
	put(&r, q, 7, 100, 0);
	assert_int_equal(recall_mark(&r, p, LEN, 100, 0), 0xffffffff);
	assert_int_equal(recall_mark(&r, q, LEN, 100, 0), 7);
	/* of the flow, whatever is in it, wherever it goes */
	p[8] = 3;
	p[10] = 0xee;
	assert_int_equal(recall_mark(&r, p, LEN, 500, 1), 0xffffffff);
	/* what was marked may be so no more */
	put(&r, p, 0, 100, 0);
	assert_int_equal(recall_mark(&r, p, LEN, 100, 0), 0);
	assert_int_equal(recall_mark(&r, q, LEN, 100, 0), 7);
	recall_free(&r);
	assert_null(r.mark);
	assert_int_equal(recall_mark(&r, q, LEN, 100, 0), 0);
}

/* Another address or port, and the same rule and direction: the packet before it, changed. */
static void test_changed(void **state)
{
	struct recall r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	make4(q, 1, 1001);
	put(&r, p, 7, 100, 1);
	assert_int_equal(recall_mark(&r, q, LEN, 100, 1), 7);
	assert_int_equal(recall_mark(&r, q, LEN, 100, 0), 0);
	assert_int_equal(recall_mark(&r, q, LEN, 101, 1), 0);
	make4(q, 99, 1000);
	assert_int_equal(recall_mark(&r, q, LEN, 100, 1), 7);
	recall_free(&r);
}

/* Every fragment has the mark of its datagram, ports or none. */
static void test_fragments(void **state)
{
	struct recall r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	p[6] = 0x20;
	make4(q, 1, 4242); /* here are no ports, but data */
	q[7] = 1;
	put(&r, p, 7, 100, 0);
	assert_int_equal(recall_mark(&r, q, LEN, 200, 1), 7);
	assert_int_equal(recall_mark(&r, q, 20, 200, 1), 7);
	recall_free(&r);
}

/* As many flows as slots: what is found is right; what is not was overwritten. */
static void test_many(void **state)
{
	struct recall r = {};
	unsigned int i, found = 0;
	uint8_t p[LEN];
	uint32_t mark;

	for (i = 0; i < 2000; i++) {
		make4(p, i % 200, 1000 + i);
		put(&r, p, i + 1, 100, 0);
	}
	for (i = 0; i < 2000; i++) {
		make4(p, i % 200, 1000 + i);
		mark = recall_mark(&r, p, LEN, 7, 0);
		assert_true(!mark || mark == i + 1);
		found += mark != 0;
	}
	assert_true(found > 1200); /* 2000 thrown into 4096 slots: about 1580 stay */
	recall_free(&r);
}

/* Packets of every length that holds a header, and nothing behind: for the sanitizer. */
static void test_short(void **state)
{
	struct recall r = {};
	uint32_t len, ihl;

	for (ihl = 5; ihl < 16; ihl++) {
		for (len = ihl * 4; len < ihl * 4 + 8; len++) {
			struct divert_record rec = {.len = len, .mark = 1};
			uint8_t *p = calloc(1, len);

			assert_non_null(p);
			p[0] = 0x40 | ihl;
			recall_put(&r, &rec, p, len);
			assert_int_equal(recall_mark(&r, p, len, 1, 1), 1);
			free(p);
		}
	}
	for (len = 40; len < 48; len++) {
		struct divert_record rec = {.len = len, .mark = 2};
		uint8_t *p = calloc(1, len);

		assert_non_null(p);
		p[0] = 0x60;
		recall_put(&r, &rec, p, len);
		assert_int_equal(recall_mark(&r, p, len, 1, 1), 2);
		free(p);
	}
	recall_free(&r);
}

/* ---- links ---- */

static const struct {
	uint8_t first, second;
	int version, needs;
} destination[] = {
	{10, 2, 4, 0},	    {223, 255, 4, 0},	{224, 0, 4, 1},	    {239, 255, 4, 1},
	{240, 0, 4, 0},	    {255, 255, 4, 1},	{255, 254, 4, 0},   {0xfd, 1, 6, 0},
	{0xfe, 0x80, 6, 1}, {0xfe, 0xbf, 6, 1}, {0xfe, 0xc0, 6, 0}, {0xfe, 0x7f, 6, 0},
	{0xff, 2, 6, 1},    {0xff, 0x0e, 6, 1}, {0x20, 1, 6, 0},
};

static void test_needs_link(void **state)
{
	uint8_t p[40];
	unsigned int i;

	for (i = 0; i < sizeof(destination) / sizeof(*destination); i++) {
		uint8_t *to = p + (destination[i].version == 4 ? 16 : 24);

		memset(p, 0, sizeof(p));
		p[0] = destination[i].version << 4 | 5;
		to[0] = destination[i].first;
		to[1] = destination[i].second;
		if (to[0] == 255 && destination[i].version == 4)
			to[2] = to[3] = 255;
		assert_int_equal(!!recall_needs_link(p), destination[i].needs);
	}
}

static void test_link(void **state)
{
	struct recall r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	put(&r, p, 0, 100, 1);
	assert_int_equal(recall_link(&r, p, LEN), 0); /* the route says */

	memcpy(p + 16, "\340\0\0\5", 4);
	put(&r, p, 0, 100, 0);
	assert_int_equal(recall_link(&r, p, LEN), 0); /* one that came in */
	put(&r, p, 0, 100, 1);
	assert_int_equal(recall_link(&r, p, LEN), 9);
	p[8] = 1;
	p[20] ^= 1; /* another port, the same way */
	assert_int_equal(recall_link(&r, p, LEN), 9);
	memcpy(q, p, LEN);
	q[15] = 77; /* another sender, who may have another link */
	assert_int_equal(recall_link(&r, q, LEN), 0);
	assert_null(r.mark);
	recall_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unmarked),   cmocka_unit_test(test_mark),
		cmocka_unit_test(test_changed),	   cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_many),	   cmocka_unit_test(test_short),
		cmocka_unit_test(test_needs_link), cmocka_unit_test(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
