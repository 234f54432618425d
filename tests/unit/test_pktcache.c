// sources: lib/core/pktcache.c lib/core/flow.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks, links, segment sizes and hops, remembered by flow or by packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/flow.h"
#include "lib/core/pktcache.h"

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

static void put(struct pktcache *r, const uint8_t *packet, uint32_t mark, uint16_t tag, int out)
{
	struct divert_record rec = {
		.len = LEN,
		.mark = mark,
		.tag = tag,
		.flags = out ? DIVERT_REC_OUT : 0,
		.oif = 9,
	};

	pktcache_put(r, &rec, packet, LEN);
}

/* While nothing is marked, no memory is used. */
static void test_unmarked(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN];

	make4(p, 1, 1000);
	put(&r, p, 0, 100, 0);
	assert_null(r.mark);
	assert_null(r.link);
	assert_int_equal(pktcache_mark(&r, p, LEN, 100, 0), 0);
	assert_int_equal(pktcache_link(&r, p, LEN), 0);
	pktcache_free(&r);
}

static void test_mark(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	make4(q, 2, 1000);
	put(&r, p, 0xffffffff, 100, 0);
	put(&r, q, 7, 100, 0);
	assert_int_equal(pktcache_mark(&r, p, LEN, 100, 0), 0xffffffff);
	assert_int_equal(pktcache_mark(&r, q, LEN, 100, 0), 7);
	/* the mark is the flow's, whatever is in the packet, and wherever it goes */
	p[8] = 3;
	p[10] = 0xee;
	assert_int_equal(pktcache_mark(&r, p, LEN, 500, 1), 0xffffffff);
	/* a flow may lose its mark */
	put(&r, p, 0, 100, 0);
	assert_int_equal(pktcache_mark(&r, p, LEN, 100, 0), 0);
	assert_int_equal(pktcache_mark(&r, q, LEN, 100, 0), 7);
	pktcache_free(&r);
	assert_null(r.mark);
	assert_int_equal(pktcache_mark(&r, q, LEN, 100, 0), 0);
}

/* Another address or port, with the same rule and direction, is the packet before, changed. */
static void test_changed(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	make4(q, 1, 1001);
	put(&r, p, 7, 100, 1);
	assert_int_equal(pktcache_mark(&r, q, LEN, 100, 1), 7);
	assert_int_equal(pktcache_mark(&r, q, LEN, 100, 0), 0);
	assert_int_equal(pktcache_mark(&r, q, LEN, 101, 1), 0);
	make4(q, 99, 1000);
	assert_int_equal(pktcache_mark(&r, q, LEN, 100, 1), 7);
	pktcache_free(&r);
}

/* Every fragment has the mark of its datagram, with or without ports. */
static void test_fragments(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	p[6] = 0x20;
	make4(q, 1, 4242); /* data in the place of ports */
	q[7] = 1;
	put(&r, p, 7, 100, 0);
	assert_int_equal(pktcache_mark(&r, q, LEN, 200, 1), 7);
	assert_int_equal(pktcache_mark(&r, q, 20, 200, 1), 7);
	pktcache_free(&r);
}

/* Two thousand flows share the slots. A mark that is found is right; others were overwritten. */
static void test_many(void **state)
{
	struct pktcache r = {};
	unsigned int i, found = 0;
	uint8_t p[LEN];
	uint32_t mark;

	for (i = 0; i < 2000; i++) {
		make4(p, i % 200, 1000 + i);
		put(&r, p, i + 1, 100, 0);
	}
	for (i = 0; i < 2000; i++) {
		make4(p, i % 200, 1000 + i);
		mark = pktcache_mark(&r, p, LEN, 7, 0);
		assert_true(!mark || mark == i + 1);
		found += mark != 0;
	}
	/* 2000 flows are thrown into 4096 slots: about 1580 stay. */
	assert_true(found > 1200);
	pktcache_free(&r);
}

/* Packets of every length that holds a header, with nothing behind: for the sanitizer. */
static void test_short(void **state)
{
	struct pktcache r = {};
	uint32_t len, ihl;

	for (ihl = 5; ihl < 16; ihl++) {
		for (len = ihl * 4; len < ihl * 4 + 8; len++) {
			struct divert_record rec = {.len = len, .mark = 1};
			uint8_t *p = calloc(1, len);

			assert_non_null(p);
			p[0] = 0x40 | ihl;
			pktcache_put(&r, &rec, p, len);
			assert_int_equal(pktcache_mark(&r, p, len, 1, 1), 1);
			free(p);
		}
	}
	for (len = 40; len < 48; len++) {
		struct divert_record rec = {.len = len, .mark = 2};
		uint8_t *p = calloc(1, len);

		assert_non_null(p);
		p[0] = 0x60;
		pktcache_put(&r, &rec, p, len);
		assert_int_equal(pktcache_mark(&r, p, len, 1, 1), 2);
		free(p);
	}
	pktcache_free(&r);
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
		assert_int_equal(!!flow_needs_link(p), destination[i].needs);
	}
	/* a neighbour may be asked for any of its addresses from there */
	memset(p, 0, sizeof(p));
	p[0] = 0x60;
	p[8] = 0xfe;
	p[9] = 0x80;
	p[24] = 0x20;
	assert_true(flow_needs_link(p));
}

static void test_link(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	put(&r, p, 0, 100, 1);
	assert_int_equal(pktcache_link(&r, p, LEN), 0); /* the route decides */

	memcpy(p + 16, "\340\0\0\5", 4);
	put(&r, p, 0, 100, 0);
	assert_int_equal(pktcache_link(&r, p, LEN), 0); /* a packet that came in */
	put(&r, p, 0, 100, 1);
	assert_int_equal(pktcache_link(&r, p, LEN), 9);
	p[8] = 1;
	p[20] ^= 1; /* another port, the same link */
	assert_int_equal(pktcache_link(&r, p, LEN), 9);
	memcpy(q, p, LEN);
	q[15] = 77; /* another sender may have another link */
	assert_int_equal(pktcache_link(&r, q, LEN), 0);
	assert_null(r.mark);
	pktcache_free(&r);
}

/*
 * Hosts ask for addresses with the same two addresses on every link. Each packet has its own link.
 */
static void test_links(void **state)
{
	struct divert_record rec = {.len = LEN, .tag = 100, .flags = DIVERT_REC_OUT, .oif = 3};
	struct pktcache r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	memset(p + 12, 0, 4);
	memset(p + 16, 255, 4);
	memcpy(q, p, LEN);
	q[26] ^= 1;
	pktcache_put(&r, &rec, p, LEN);
	rec.oif = 4;
	pktcache_put(&r, &rec, q, LEN);
	assert_int_equal(pktcache_link(&r, p, LEN), 3);
	assert_int_equal(pktcache_link(&r, q, LEN), 4);
	p[26] ^= 2; /* changed: it gets the last link of these addresses */
	assert_int_equal(pktcache_link(&r, p, LEN), 4);
	pktcache_free(&r);
}

/* ---- segment sizes ---- */

static void put_gso(struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t gso_size,
		    uint16_t tag, int out)
{
	struct divert_record rec = {.len = len, .tag = tag, .flags = out ? DIVERT_REC_OUT : 0};

	pktcache_put_gso(r, &rec, packet, len, gso_size);
}

static void test_gso(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN], q[LEN];

	make4(p, 1, 1000);
	make4(q, 2, 1000);
	p[9] = q[9] = 6;
	put_gso(&r, p, LEN, 0, 100, 0);
	assert_null(r.gso); /* no large packet, no memory used */
	put_gso(&r, p, LEN, 1448, 100, 0);
	put_gso(&r, q, LEN, 536, 100, 0);
	assert_int_equal(pktcache_gso(&r, p, LEN, 200, 1), 1448);
	assert_int_equal(pktcache_gso(&r, q, LEN, 200, 1), 536);
	/* for TCP it is the whole flow's, whatever comes in between */
	put_gso(&r, p, LEN, 0, 100, 0);
	assert_int_equal(pktcache_gso(&r, p, LEN - 1, 200, 1), 1448);
	/* its address was changed: it counts as the large one before it, by the same rule */
	q[15] = 77;
	assert_int_equal(pktcache_gso(&r, q, LEN, 100, 0), 536);
	assert_int_equal(pktcache_gso(&r, q, LEN, 100, 1), 0);
	assert_int_equal(pktcache_gso(&r, q, LEN, 101, 0), 0);
	pktcache_free(&r);
}

/* For UDP each segment is a message: a datagram is not cut because another one of the flow was. */
static void test_gso_udp(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN];

	make4(p, 1, 1000);
	put_gso(&r, p, LEN, 10, 100, 0);
	assert_int_equal(pktcache_gso(&r, p, LEN, 100, 0), 10);
	assert_int_equal(pktcache_gso(&r, p, LEN - 1, 100, 0), 0);
	put_gso(&r, p, LEN - 1, 0, 100, 0);
	assert_int_equal(pktcache_gso(&r, p, LEN, 100, 0), 10);
	put_gso(&r, p, LEN, 0, 100, 0);
	assert_int_equal(pktcache_gso(&r, p, LEN, 100, 0), 0);
	pktcache_free(&r);
}

/* ---- hops ---- */

static void put_hops(struct pktcache *r, const uint8_t *packet, uint16_t tag, int out, uint8_t hops)
{
	struct divert_record rec = {
		.len = LEN,
		.tag = tag,
		.flags = out ? DIVERT_REC_OUT : 0,
		.hops = hops,
	};

	pktcache_put_hops(r, &rec, packet, LEN);
}

static void test_hops_none(void **state)
{
	struct pktcache r = {};
	uint8_t p[LEN];

	make4(p, 1, 1000);
	put_hops(&r, p, 100, 0, 0);
	assert_null(r.hops);
	assert_int_equal(pktcache_hops(&r, p, LEN, 100, 0), 0);
}

/* Packets one after the other, counted by the kernel half: what happens to a program that loops. */
static uint32_t loop(struct pktcache *r, uint8_t *p, uint16_t diverted, uint16_t tag, int change,
		     int noise)
{
	uint32_t hops = 0, times;
	uint8_t other[LEN];

	for (times = 0; hops <= DIVERT_HOPS_MAX && times < 1000; times++) {
		put_hops(r, p, diverted, 0, hops);
		if (change)
			p[change]++;
		hops = pktcache_hops(r, p, LEN, tag, 0) + 1;
		if (noise) {
			make4(other, 9, times);
			put_hops(r, other, diverted, 0, 0);
			assert_int_equal(pktcache_hops(r, other, LEN, diverted, 0), 0);
		}
	}
	return times;
}

static void test_hops_loop(void **state)
{
	/* the byte that is changed each time: none, TTL, id, TOS, address, data */
	static const int change[] = {0, 8, 5, 1, 15, 25};
	unsigned int i, noise;
	uint16_t tag;

	for (noise = 0; noise < 2; noise++)
		for (i = 0; i < sizeof(change) / sizeof(*change); i++)
			for (tag = 0; tag < 100; tag += 99) {
				struct pktcache r = {};
				uint8_t p[LEN];

				make4(p, 1, 1000);
				assert_int_equal(loop(&r, p, 100, tag, change[i], noise),
						 DIVERT_HOPS_MAX + 1);
				pktcache_free(&r);
			}
}

/*
 * The packet goes back to a rule that it passed before, with that rule's tag. The first time there
 * does not count.
 */
static void test_hops_back(void **state)
{
	int change;

	for (change = 0; change < 2; change++) {
		struct pktcache r = {};
		uint8_t p[LEN], other[LEN];

		make4(other, 2, 1);
		put_hops(&r, other, 50, 0, 1); /* so that it is kept */
		assert_int_equal(pktcache_hops(&r, other, LEN, 50, 0), 1);
		make4(p, 1, 1000);
		put_hops(&r, p, 100, 0, 0);
		assert_int_equal(pktcache_hops(&r, p, LEN, 100, 0), 0);
		put_hops(&r, p, 200, 0, 1);
		if (change)
			p[15]++;
		assert_int_equal(pktcache_hops(&r, p, LEN, 100, 0), 1);
		pktcache_free(&r);
	}
}

/* Identical packets, or changed ones, of two rules at once: each keeps its own count. */
static void test_hops_batch(void **state)
{
	unsigned int change, round, i;

	for (change = 0; change < 2; change++) {
		struct pktcache r = {};
		uint8_t p[LEN], q[LEN];

		make4(p, 1, 1000);
		make4(q, change ? 2 : 1, 1000);
		put_hops(&r, p, 200, 0, 1);
		assert_int_equal(pktcache_hops(&r, p, LEN, 200, 0), 1);
		for (round = 0; round < 100; round++) {
			for (i = 0; i < 6; i++)
				put_hops(&r, p, i % 2 ? 200 : 100, 0, i % 2);
			for (i = 0; i < 6; i++)
				assert_int_equal(pktcache_hops(&r, q, LEN, i < 3 ? 100 : 200, 0),
						 i >= 3);
		}
		pktcache_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unmarked),   cmocka_unit_test(test_mark),
		cmocka_unit_test(test_changed),	   cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_many),	   cmocka_unit_test(test_short),
		cmocka_unit_test(test_needs_link), cmocka_unit_test(test_link),
		cmocka_unit_test(test_links),	   cmocka_unit_test(test_gso),
		cmocka_unit_test(test_gso_udp),	   cmocka_unit_test(test_hops_none),
		cmocka_unit_test(test_hops_loop),  cmocka_unit_test(test_hops_back),
		cmocka_unit_test(test_hops_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
