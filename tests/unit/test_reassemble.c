// sources: lib/packet/reassemble.c lib/packet/fraghdr.c lib/packet/checksum.c
// sources: lib/packet/fragcache.c tests/unit/fragments.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments put together: each order, what happens to the headers, and packets that are no
 * fragments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/checksum.h"
#include "lib/packet/fragcache.h"
#include "tests/unit/bytes.h"
#include "tests/unit/fragments.h"

/* ---- complete packets ---- */

static void test_orders(void **state)
{
	static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	int i, j, part;

	EACH_VERSION(v)
	{
		for (i = 0; i < 6; i++) {
			struct next_packet *w = packet(v, 0xabcd, v == 4 ? 20 : 40, 300);

			for (j = 0; j < 3; j++) {
				part = order[i][j];
				assert_int_equal(add(cut(w, part * 104, part == 2 ? 92 : 104,
							 part < 2)),
						 j == 2);
			}
			assert_int_equal(done.rec->tag, 100);
			assert_int_equal(done.size, (v == 4 ? 20 : 48) + 104);
			assert_memory_equal(&done.id, v == 4 ? "\xab\xcd\0\0" : "\0\0\xab\xcd", 4);
			is_whole(w);
			assert_int_equal(r.packets, 0);
		}
	}
	nothing_lost();
}

static void test_headers(void **state)
{
	/* IPv4 options only in the first fragment, IPv6 options before the fragment header */
	struct next_packet *w = packet(4, 1, 60, 32), *rest = packet(4, 1, 20, 32);

	assert_false(add(cut(rest, 16, 16, 0)));
	assert_true(add(cut(w, 0, 16, 1)));
	is_whole(w);
	free(rest);
	w = packet(6, 1, 48, 32);
	assert_false(add(cut(w, 16, 16, 0)));
	assert_true(add(cut(w, 0, 16, 1)));
	is_whole(w);

	/* the first fragment gives hop limit and record; DF is gone */
	w = packet(4, 2, 20, 32);
	struct divert_record *rec = cut(w, 16, 16, 0);
	((uint8_t *)(rec + 1))[8] = 9;
	rec->mark = 5;
	assert_false(add(rec));
	rec = cut(w, 0, 16, 1);
	((uint8_t *)(rec + 1))[6] |= 0x40;
	rec->mark = 6;
	assert_true(add(rec));
	assert_int_equal(done.rec->mark, 6);
	is_whole(w);
	nothing_lost();
}

/* Adds two fragments, each with its ECN bits; 0: none. */
static bool add_ecn(struct next_packet *w, int first, int second)
{
	struct divert_record *a = cut(w, 0, 16, 1), *b = cut(w, 16, 16, 0);
	int shift = w->version == 4 ? 0 : 4;

	((uint8_t *)(a + 1))[1] |= first << shift;
	((uint8_t *)(b + 1))[1] |= second << shift;
	assert_false(add(a));
	return add(b);
}

static void test_ecn(void **state)
{
	EACH_VERSION(v)
	{
		struct next_packet *w = packet(v, 1, v == 4 ? 20 : 40, 32);
		int shift = v == 4 ? 0 : 4;
		uint8_t *p;

		assert_true(add_ecn(w, 2, 3));
		p = (uint8_t *)(done.rec + 1);
		assert_int_equal(p[1] >> shift & 3, 3);
		if (v == 4)
			assert_true(checksum_ip4_ok(p));
		free(done.rec);
		assert_true(add_ecn(w, 2, 1));
		assert_int_equal(((uint8_t *)(done.rec + 1))[1] >> shift & 3, 2);
		free(done.rec);
		assert_false(add_ecn(w, 0, 3));
		assert_int_equal(lost(DIVERT_N_FRAG_BAD), 2);
		free(w);
	}
	nothing_lost();
}

/* Each of these is part of what tells packets apart. */
static void test_identity(void **state)
{
	struct divert_record *rec;
	int i;

	EACH_VERSION(v)
	{
		struct next_packet *w = packet(v, 1, v == 4 ? 20 : 40, 32);
		uint8_t *p;

		assert_false(add(cut(w, 0, 16, 1)));
		for (i = 0; i < 8; i++) {
			rec = cut(w, 16, 16, 0);
			p = (uint8_t *)(rec + 1);
			switch (i) {
			case 0:
				p[v == 4 ? 15 : 23]++; /* source */
				break;
			case 1:
				p[v == 4 ? 19 : 39]++; /* destination */
				break;
			case 2:
				p[v == 4 ? 5 : 47]++; /* id */
				break;
			case 3:
				if (v == 6) { /* not in IPv6, where the first one's counts */
					free(rec);
					continue;
				}
				p[9]++;
				break;
			case 4:
				rec->tag++;
				break;
			case 5:
				rec->ifindex++;
				break;
			case 6:
				rec->oif++;
				break;
			case 7:
				rec->flags |= DIVERT_REC_OUT;
				break;
			}
			assert_false(add(rec));
		}
		assert_int_equal(r.packets, v == 4 ? 9 : 8);
		rec = cut(w, 16, 16, 0);
		if (v == 6)
			((uint8_t *)(rec + 1))[40] = TCP;
		assert_true(add(rec));
		is_whole(w);
		reassembly_free(&r);
	}
	nothing_lost();
}

static void test_largest(void **state)
{
	EACH_VERSION(v)
	{
		uint32_t head = v == 4 ? 20 : 40, n = 65535 - head, at;
		struct next_packet *w = packet(v, 3, head, n);

		/* 8 bytes each, from the end */
		for (at = n / 8 * 8; at > 0; at -= 8)
			assert_false(add(cut(w, at, at + 8 > n ? n - at : 8, at + 8 < n)));
		assert_true(add(cut(w, 0, 8, 1)));
		is_whole(w);
	}
	nothing_lost();
}

static void test_atomic(void **state)
{
	struct next_packet *w = packet(6, 7, 40, 100);

	/* it is alone, whatever else has its id: RFC 6946 */
	assert_false(add(cut(w, 0, 48, 1)));
	assert_true(add(cut(w, 0, 100, 0)));
	assert_int_equal(done.rec->len, 140);
	assert_memory_equal(done.rec + 1, w->bytes, 140);
	free(done.rec);
	assert_int_equal(r.packets, 1);
	assert_true(add(cut(w, 48, 52, 0)));
	is_whole(w);
	nothing_lost();
}

/* ---- undecided fragments ---- */

static uint32_t seen, seen_bytes;

static void see(void *data, const struct divert_record *rec)
{
	const uint8_t *p = (const uint8_t *)(rec + 1);

	assert_ptr_equal(data, &seen);
	assert_true(rec->flags & DIVERT_REC_UNDECIDED);
	assert_int_equal(get16(p + 6) & 0x1fff, seen ? 25 : 13);
	seen++;
	seen_bytes += rec->len;
}

static void test_undecided(void **state)
{
	struct next_packet *w = packet(4, 1, 20, 300);
	struct divert_record *rec;
	struct fraghdr piece;

	/* the first fragment decides */
	rec = cut(w, 104, 196, 0);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	rec = cut(w, 0, 104, 1);
	assert_true(add(rec));
	assert_false(done.rec->flags & DIVERT_REC_UNDECIDED);
	assert_memory_equal(done.rec + 1, w->bytes, w->len);
	free(done.rec);

	/* released: exactly these, in order, as they came */
	rec = cut(w, 200, 100, 0);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	rec = cut(w, 104, 96, 1);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	rec = cut(w, 0, 104, 1);
	rec->flags |= DIVERT_REC_GIVE_BACK;
	assert_true(fraghdr_read((uint8_t *)(rec + 1), rec->len, &piece));
	assert_true(reassembly_has(&r, rec, &piece));
	rec->tag++;
	reassembly_release(&r, rec, &piece, see, &seen);
	assert_int_equal(seen, 0);
	rec->tag--;
	reassembly_release(&r, rec, &piece, see, &seen);
	assert_int_equal(seen, 2);
	assert_int_equal(seen_bytes, 196 + 40);
	assert_false(reassembly_has(&r, rec, &piece));
	reassembly_release(&r, rec, &piece, see, &seen);
	assert_int_equal(seen, 2);
	free(rec);

	/* a packet that is given up has none */
	rec = cut(w, 200, 100, 0);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	assert_false(add(cut(w, 208, 92, 0)));
	assert_int_equal(lost(DIVERT_N_FRAG_OVERLAP), 2);
	rec = cut(w, 0, 104, 1);
	reassembly_release(&r, rec, &piece, see, &seen);
	assert_int_equal(seen, 2);
	free(rec);
	free(w);
	nothing_lost();
}

/* ---- packets that are no fragments ---- */

static void test_read(void **state)
{
	struct next_packet *w = packet(4, 1, 20, 300);
	struct fraghdr p;
	uint32_t n;

	assert_false(fraghdr_likely(w->bytes));
	assert_false(fraghdr_read(w->bytes, w->len, &p));
	w->bytes[6] = 0x40; /* DF */
	assert_false(fraghdr_likely(w->bytes));
	w->bytes[6] = 0x20;
	w->bytes[0] = 0x44;
	assert_false(fraghdr_read(w->bytes, w->len, &p));
	w->bytes[0] = 0x4f;
	assert_false(fraghdr_read(w->bytes, 59, &p));
	assert_true(fraghdr_read(w->bytes, 60, &p));
	free(w);

	w = packet(6, 1, 40, 300);
	assert_false(fraghdr_likely(w->bytes));
	assert_false(fraghdr_read(w->bytes, w->len, &p));
	/* hop-by-hop options, then destination options, then a fragment header */
	w->bytes[6] = 0;
	memcpy(w->bytes + 40, "\74\0\1\4\0\0\0\0\54\0\1\4\0\0\0\0\21\0\0\1\1\2\3\4", 24);
	assert_true(fraghdr_likely(w->bytes));
	for (n = 0; n < 64; n++) {
		uint8_t *copy = malloc(n + 1); /* of its exact size: a read beyond it is caught */

		memcpy(copy, w->bytes, n);
		assert_false(fraghdr_read(copy, n, &p));
		free(copy);
	}
	assert_true(fraghdr_read(w->bytes, w->len, &p));
	assert_int_equal(p.head, 56);
	assert_int_equal(p.link, 48);
	assert_int_equal(p.next, UDP);
	w->bytes[48] = UDP;
	assert_false(fraghdr_read(w->bytes, w->len, &p));
	free(w);
}

/* ---- how IPv6 packets came ---- */

static void test_origin(void **state)
{
	static struct fragcache o;
	struct next_packet *w = packet(6, 1, 40, 3000), *other = packet(6, 2, 40, 3000);
	uint32_t id, size;

	assert_false(fragcache_take(&o, w->bytes, w->len, &id, &size));
	fragcache_put(&o, w->bytes, w->len, 77, 1400);
	fragcache_put(&o, other->bytes, other->len, 78, 1300);
	w->bytes[7]--; /* the hop limit may change */
	id = 5;
	assert_true(fragcache_take(&o, w->bytes, w->len, &id, &size));
	assert_int_equal(id, 77);
	assert_int_equal(size, 1400);
	/* a second time, and changed: it counts as the last one of its length, under its own id */
	id = 5;
	assert_true(fragcache_take(&o, w->bytes, w->len, &id, &size));
	assert_int_equal(id, 5);
	assert_int_equal(size, 1300);
	assert_false(fragcache_take(&o, w->bytes, w->len - 1, &id, &size));
	free(w);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ecn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_largest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_atomic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undecided, setup, teardown),
		cmocka_unit_test_setup_teardown(test_origin, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
