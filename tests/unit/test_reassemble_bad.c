// sources: lib/packet/reassemble.c lib/packet/fraghdr.c lib/packet/checksum.c
// sources: tests/unit/fragments.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments that make no packet: each way in which they can be wrong, late or too many, and each
 * counter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/checksum.h"
#include "tests/unit/bytes.h"
#include "tests/unit/fragments.h"

/* ---- wrong fragments ---- */

static void test_duplicates(void **state)
{
	EACH_VERSION(v)
	{
		struct next_packet *w = packet(v, 1, v == 4 ? 20 : 40, 300);

		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 0, 104, 1)));
		assert_false(add(cut(w, 0, 104, 1)));
		assert_int_equal(lost(DIVERT_N_FRAG_DUP), 2);
		assert_true(add(cut(w, 104, 96, 1)));
		is_whole(w);
	}
	nothing_lost();
}

/*
 * n fragments are counted at once. Then the packet is given up: each further one is counted alike,
 * until the time-out.
 */
static void gives_up(struct next_packet *w, enum divert_cause cause, uint32_t n)
{
	assert_int_equal(lost(cause), n);
	assert_false(add(cut(w, 0, 104, 1)));
	assert_false(add(cut(w, 104, 96, 1)));
	assert_false(add(cut(w, 200, 100, 0)));
	assert_int_equal(lost(cause), 3);
	nothing_lost();
	assert_int_equal(r.packets, 1);
	reassembly_expire(&r, 100 * S);
	assert_int_equal(r.packets, 0);
	assert_int_equal(r.bytes, 0);
	nothing_lost();
	free(w);
}

static void test_overlap(void **state)
{
	struct divert_record *rec;

	EACH_VERSION(v)
	{
		uint32_t head = v == 4 ? 20 : 40;
		struct next_packet *w = packet(v, 1, head, 300);

		assert_false(add(cut(w, 104, 96, 1)));
		assert_false(add(cut(w, 96, 16, 1)));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 2);

		w = packet(v, 1, head, 300);
		assert_false(add(cut(w, 0, 104, 1)));
		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 96, 104, 1)));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 3);

		/* inside another one, around another one, at the same place with other bytes */
		w = packet(v, 1, head, 300);
		assert_false(add(cut(w, 0, 104, 1)));
		assert_false(add(cut(w, 8, 8, 1)));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 2);
		w = packet(v, 1, head, 300);
		assert_false(add(cut(w, 8, 8, 1)));
		assert_false(add(cut(w, 0, 104, 1)));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 2);
		w = packet(v, 1, head, 300);
		assert_false(add(cut(w, 0, 104, 1)));
		rec = cut(w, 0, 104, 1);
		((uint8_t *)(rec + 1))[rec->len - 1] ^= 1;
		assert_false(add(rec));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 2);
	}
}

static void test_ends(void **state)
{
	EACH_VERSION(v)
	{
		uint32_t head = v == 4 ? 20 : 40;
		struct next_packet *w = packet(v, 1, head, 400);

		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 304, 96, 0)));
		gives_up(w, DIVERT_N_FRAG_BAD, 2);
		w = packet(v, 1, head, 400);
		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 104, 16, 0)));
		gives_up(w, DIVERT_N_FRAG_BAD, 2);
		w = packet(v, 1, head, 400);
		assert_false(add(cut(w, 304, 96, 1)));
		assert_false(add(cut(w, 200, 100, 0)));
		gives_up(w, DIVERT_N_FRAG_BAD, 2);
		w = packet(v, 1, head, 400);
		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 304, 96, 1)));
		gives_up(w, DIVERT_N_FRAG_BAD, 2);
	}
}

/* Counted one by one, and nothing is kept. */
static void test_impossible(void **state)
{
	EACH_VERSION(v)
	{
		uint32_t head = v == 4 ? 20 : 40;
		struct next_packet *w = packet(v, 1, head, 400);

		assert_false(add(cut(w, 0, 0, 1)));
		assert_false(add(cut(w, 8, 0, 0)));
		assert_false(add(cut(w, 8, 12, 1)));
		assert_false(add(cut(w, 0, 7, 1)));
		assert_false(add(cut(w, 65528, 8, 0)));
		assert_false(add(cut(w, 65504, 24, 0)));
		assert_int_equal(lost(DIVERT_N_FRAG_BAD), 6);
		assert_int_equal(r.packets, 0);
		free(w);
	}
	/* the first header makes the packet too long, which the last one does not tell */
	struct next_packet *w = packet(4, 1, 20, 65512), *first = packet(4, 1, 60, 65000);

	assert_false(add(cut(w, 8, 65504, 0)));
	assert_false(add(cut(first, 0, 8, 1)));
	assert_int_equal(lost(DIVERT_N_FRAG_BAD), 2);
	assert_int_equal(r.packets, 0);
	free(w);
	free(first);
	nothing_lost();
}

/* RFC 7112: the first fragment has all headers. */
static void test_header_chain(void **state)
{
	static const struct {
		uint8_t next, len, good;
	} cases[] = {{TCP, 16, 0}, {TCP, 24, 1}, {UDP, 8, 1}, {58, 8, 1}, {44, 8, 1}, {60, 8, 0},
		     {60, 16, 1},  {51, 8, 0},	 {0, 8, 0},   {43, 8, 0}, {59, 8, 1}, {200, 8, 1}};
	struct divert_record *rec;
	struct next_packet *w;
	uint32_t i, n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = cases[i].len;
		w = packet(6, i, 40, 100);
		memset(w->bytes + 40, 0, 100);
		/* The options are followed by UDP, of 8 bytes. */
		w->bytes[40] = UDP;
		rec = cut(w, 0, n, 1);
		((uint8_t *)(rec + 1))[40] = cases[i].next;
		assert_false(add(rec));
		assert_int_equal(add(cut(w, n, 100 - n, 0)), cases[i].good);
		assert_int_equal(lost(DIVERT_N_FRAG_BAD), cases[i].good ? 0 : 2);
		if (cases[i].good) {
			assert_int_equal(((uint8_t *)(done.rec + 1))[6], cases[i].next);
			free(done.rec);
		}
		free(w);
	}
	/* a fragment that is a whole packet, too */
	w = packet(6, 99, 40, 4);
	assert_false(add(cut(w, 0, 4, 0)));
	assert_int_equal(lost(DIVERT_N_FRAG_BAD), 1);
	free(w);
	nothing_lost();
}

/* ---- time and room ---- */

static void test_timeout(void **state)
{
	EACH_VERSION(v)
	{
		int64_t limit = v == 4 ? 30 * S : 60 * S;
		struct next_packet *w = packet(v, 1, v == 4 ? 20 : 40, 300);

		assert_int_equal(reassembly_due(&r), 0);
		assert_false(add_at(cut(w, 0, 104, 1), S));
		/* counted from the first fragment on */
		assert_false(add_at(cut(w, 104, 96, 1), 20 * S));
		assert_int_equal(reassembly_due(&r), S + limit);
		reassembly_expire(&r, S + limit - 1);
		nothing_lost();
		reassembly_expire(&r, S + limit);
		assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), 2);
		assert_int_equal(r.packets, 0);

		/* adding a fragment checks, too; and a new packet begins */
		assert_false(add_at(cut(w, 0, 104, 1), S));
		assert_false(add_at(cut(w, 104, 96, 1), S + limit));
		assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), 1);
		assert_int_equal(reassembly_due(&r), S + 2 * limit);
		assert_false(add_at(cut(w, 0, 104, 1), S + limit));
		assert_true(add_at(cut(w, 200, 100, 0), S + limit));
		is_whole(w);
		assert_int_equal(reassembly_due(&r), 0);
	}
	/* the earlier one of the two */
	struct next_packet *four = packet(4, 1, 20, 300), *six = packet(6, 1, 40, 300);

	add_at(cut(six, 0, 104, 1), S);
	add_at(cut(four, 0, 104, 1), 2 * S);
	assert_int_equal(reassembly_due(&r), 32 * S);
	add_at(cut(four, 104, 96, 1), 33 * S);
	assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), 1);
	assert_int_equal(reassembly_due(&r), 61 * S);
	free(four);
	free(six);
	nothing_lost();
}

/* Too many packets: the one that came first is dropped, be it IPv4 or IPv6. */
static void test_full_packets(void **state)
{
	struct next_packet *w;
	uint32_t i;

	for (i = 0; i < REASSEMBLY_PACKETS + 10; i++) {
		w = packet(i % 2 ? 4 : 6, i, i % 2 ? 20 : 40, 32);
		assert_false(add_at(cut(w, 0, 16, 1), S + i));
		free(w);
	}
	assert_int_equal(r.packets, REASSEMBLY_PACKETS);
	assert_int_equal(lost(DIVERT_N_FRAG_FULL), 10);
	w = packet(6, 10, 40, 32);
	assert_true(add_at(cut(w, 16, 16, 0), 2 * S));
	is_whole(w);
	w = packet(4, 9, 20, 32);
	assert_false(add_at(cut(w, 16, 16, 0), 2 * S));
	free(w);
	nothing_lost();
}

static void test_full_bytes(void **state)
{
	struct next_packet *w = packet(4, 1, 20, 65000), *other;
	uint32_t i;

	assert_false(add(cut(w, 0, 16, 1)));
	for (i = 2; !r.any_lost; i++) {
		other = packet(4, i, 20, 65000);
		assert_false(add(cut(other, 16, 32000, 1)));
		free(other);
		assert_true(r.bytes <= REASSEMBLY_BYTES);
	}
	/* the small one that came first, which was not enough, and the next one */
	assert_int_equal(lost(DIVERT_N_FRAG_FULL), 2);
	assert_true(r.bytes > REASSEMBLY_BYTES - 70000);
	assert_false(add(cut(w, 16, 64984, 0)));
	assert_true(r.bytes <= REASSEMBLY_BYTES);
	assert_true(add(cut(w, 0, 16, 1)));
	is_whole(w);
	assert_true(lost(DIVERT_N_FRAG_FULL) >= 1);
	nothing_lost();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_bytes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
