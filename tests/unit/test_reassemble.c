// sources: lib/reassemble.c lib/piece.c lib/checksum.c lib/origin.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments put together: each order, each way that they can be wrong, and each counter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/checksum.h"
#include "lib/origin.h"
#include "lib/reassemble.h"

#define UDP 17
#define TCP 6
#define S   1000000000ll

static struct reassembly r;
static struct reassembled done;

static uint32_t lost(enum divert_cause cause)
{
	uint32_t n = r.lost[cause - DIVERT_N_FRAG_TIMEOUT];

	r.lost[cause - DIVERT_N_FRAG_TIMEOUT] = 0;
	return n;
}

/* None was lost but those that were asked for. */
static void nothing_lost(void)
{
	int i;

	for (i = 0; i < REASSEMBLY_CAUSES; i++)
		assert_int_equal(r.lost[i], 0);
}

static int setup(void **state)
{
	reassembly_init(&r, 12345);
	return 0;
}

static int teardown(void **state)
{
	reassembly_free(&r);
	assert_int_equal(r.packets, 0);
	assert_int_equal(r.bytes, 0);
	return 0;
}

/* ---- packets, whole and in pieces ---- */

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static unsigned int get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

struct whole {
	int version;
	uint32_t id, head, len; /* host order; bytes of IP header; bytes in all */
	uint8_t bytes[65535 + 41];
};

/* A whole packet of UDP, with n bytes behind the IP header. head: 20 to 60 for IPv4; 40, or 48 with options, for IPv6. */
static struct whole *packet(int version, uint32_t id, uint32_t head, uint32_t n)
{
	struct whole *w = calloc(1, sizeof(*w));
	uint8_t *p;
	uint32_t i;

	assert_non_null(w);
	w->version = version;
	w->id = id;
	w->head = head;
	w->len = head + n;
	p = w->bytes;
	if (version == 4) {
		p[0] = 4 << 4 | head / 4;
		put16(p + 2, w->len);
		put16(p + 4, id);
		p[8] = 64;
		p[9] = UDP;
		memcpy(p + 12, "\12\1\0\1\12\2\0\1", 8);
		memset(p + 20, 1, head - 20);
		checksum_ip4_set(p);
	} else {
		p[0] = 6 << 4;
		put16(p + 4, w->len - 40);
		p[6] = head == 40 ? UDP : 0;
		p[7] = 64;
		p[8] = 0xfd;
		p[24] = 0xfd;
		p[39] = 1;
		if (head > 40)
			memcpy(p + 40, "\21\0\1\4\0\0\0\0", 8);
	}
	for (i = head; i < w->len; i++)
		p[i] = ((i - head) * 7 + id * 13) ^ (i - head) >> 8;
	return w;
}

/* Bytes from offset on, n of them, as a fragment that came. */
static struct divert_record *cut(const struct whole *w, uint32_t offset, uint32_t n, int more)
{
	uint32_t head = w->head + (w->version == 4 ? 0 : 8), id = w->id;
	struct divert_record *rec = calloc(1, sizeof(*rec) + head + n);
	uint8_t *p = (uint8_t *)(rec + 1);

	assert_non_null(rec);
	rec->len = head + n;
	rec->tag = 100;
	rec->ifindex = 2;
	memcpy(p, w->bytes, w->head);
	if (w->version == 4) {
		put16(p + 2, rec->len);
		put16(p + 6, offset / 8 | (more ? 0x2000 : 0));
		checksum_ip4_set(p);
	} else {
		put16(p + 4, rec->len - 40);
		p[w->head] = UDP;
		p[w->head == 40 ? 6 : 40] = 44;
		put16(p + w->head + 2, offset | (more ? 1 : 0));
		p[w->head + 4] = id >> 24;
		p[w->head + 5] = id >> 16;
		put16(p + w->head + 6, id);
	}
	if (n && w->head + offset + n <= sizeof(w->bytes))
		memcpy(p + head, w->bytes + w->head + offset, n);
	return rec;
}

static bool add_at(struct divert_record *rec, int64_t now)
{
	struct piece piece;
	bool whole;

	assert_true(piece_likely((uint8_t *)(rec + 1)));
	assert_true(piece_read((uint8_t *)(rec + 1), rec->len, &piece));
	whole = reassembly_add(&r, rec, &piece, now, &done);
	free(rec);
	return whole;
}

static bool add(struct divert_record *rec)
{
	return add_at(rec, S);
}

/* What was put together is the packet, in a record of its own. */
static void is_whole(struct whole *w)
{
	assert_int_equal(done.rec->len, w->len);
	assert_memory_equal(done.rec + 1, w->bytes, w->len);
	assert_true(done.rec->flags & REASSEMBLED);
	free(done.rec);
	free(w);
}

/* ---- those that are complete ---- */

static const int versions[] = {4, 6};
#define EACH_VERSION(v)                                                                            \
	for (const int *v_ = versions; v_ < versions + 2; v_++)                                    \
		for (int v = *v_, once_ = 1; once_; once_ = 0)

static void test_orders(void **state)
{
	static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	int i, j, part;

	EACH_VERSION(v)
	{
		for (i = 0; i < 6; i++) {
			struct whole *w = packet(v, 0xabcd, v == 4 ? 20 : 40, 300);

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
	/* IPv4 options of the first fragment only, IPv6 options before the fragment header */
	struct whole *w = packet(4, 1, 60, 32), *rest = packet(4, 1, 20, 32);

	assert_false(add(cut(rest, 16, 16, 0)));
	assert_true(add(cut(w, 0, 16, 1)));
	is_whole(w);
	free(rest);
	w = packet(6, 1, 48, 32);
	assert_false(add(cut(w, 16, 16, 0)));
	assert_true(add(cut(w, 0, 16, 1)));
	is_whole(w);

	/* the first one's hop limit, record and all; DF is no more */
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

/* What one fragment saw of congestion; 0: nothing. */
static bool add_ecn(struct whole *w, int first, int second)
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
		struct whole *w = packet(v, 1, v == 4 ? 20 : 40, 32);
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
		struct whole *w = packet(v, 1, v == 4 ? 20 : 40, 32);
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
		struct whole *w = packet(v, 3, head, n);

		/* 8 bytes each, from behind */
		for (at = n / 8 * 8; at > 0; at -= 8)
			assert_false(add(cut(w, at, at + 8 > n ? n - at : 8, at + 8 < n)));
		assert_true(add(cut(w, 0, 8, 1)));
		is_whole(w);
	}
	nothing_lost();
}

static void test_atomic(void **state)
{
	struct whole *w = packet(6, 7, 40, 100);

	/* alone, whatever else has its id: RFC 6946 */
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

/* ---- those that are wrong ---- */

static void test_duplicates(void **state)
{
	EACH_VERSION(v)
	{
		struct whole *w = packet(v, 1, v == 4 ? 20 : 40, 300);

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

/* n: counted at once. Then the packet is given up: each other is counted alike, till time-out. */
static void gives_up(struct whole *w, enum divert_cause cause, uint32_t n)
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
		struct whole *w = packet(v, 1, head, 300);

		assert_false(add(cut(w, 104, 96, 1)));
		assert_false(add(cut(w, 96, 16, 1)));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 2);

		w = packet(v, 1, head, 300);
		assert_false(add(cut(w, 0, 104, 1)));
		assert_false(add(cut(w, 200, 100, 0)));
		assert_false(add(cut(w, 96, 104, 1)));
		gives_up(w, DIVERT_N_FRAG_OVERLAP, 3);

		/* inside another, around another, the same place but other bytes */
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
		struct whole *w = packet(v, 1, head, 400);

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

/* Counted singly, and nothing kept. */
static void test_impossible(void **state)
{
	EACH_VERSION(v)
	{
		uint32_t head = v == 4 ? 20 : 40;
		struct whole *w = packet(v, 1, head, 400);

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
	/* the first header makes it too long, which the last one's does not tell */
	struct whole *w = packet(4, 1, 20, 65512), *first = packet(4, 1, 60, 65000);

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
	struct whole *w;
	uint32_t i, n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = cases[i].len;
		w = packet(6, i, 40, 100);
		memset(w->bytes + 40, 0, 100);
		w->bytes[40] = UDP; /* what follows the options is UDP, of 8 bytes */
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
		struct whole *w = packet(v, 1, v == 4 ? 20 : 40, 300);

		assert_int_equal(reassembly_due(&r), 0);
		assert_false(add_at(cut(w, 0, 104, 1), S));
		/* from the first on */
		assert_false(add_at(cut(w, 104, 96, 1), 20 * S));
		assert_int_equal(reassembly_due(&r), S + limit);
		reassembly_expire(&r, S + limit - 1);
		nothing_lost();
		reassembly_expire(&r, S + limit);
		assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), 2);
		assert_int_equal(r.packets, 0);

		/* an add looks, too; and a new one begins */
		assert_false(add_at(cut(w, 0, 104, 1), S));
		assert_false(add_at(cut(w, 104, 96, 1), S + limit));
		assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), 1);
		assert_int_equal(reassembly_due(&r), S + 2 * limit);
		assert_false(add_at(cut(w, 0, 104, 1), S + limit));
		assert_true(add_at(cut(w, 200, 100, 0), S + limit));
		is_whole(w);
		assert_int_equal(reassembly_due(&r), 0);
	}
	/* the earlier of both */
	struct whole *four = packet(4, 1, 20, 300), *six = packet(6, 1, 40, 300);

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

/* Too many packets: the one that came first goes, be it of IPv4 or IPv6. */
static void test_full_packets(void **state)
{
	struct whole *w;
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
	struct whole *w = packet(4, 1, 20, 65000), *other;
	uint32_t i;

	assert_false(add(cut(w, 0, 16, 1)));
	for (i = 2; !r.any_lost; i++) {
		other = packet(4, i, 20, 65000);
		assert_false(add(cut(other, 16, 32000, 1)));
		free(other);
		assert_true(r.bytes <= REASSEMBLY_BYTES);
	}
	/* the small one that was first, which was not enough, and the next */
	assert_int_equal(lost(DIVERT_N_FRAG_FULL), 2);
	assert_true(r.bytes > REASSEMBLY_BYTES - 70000);
	assert_false(add(cut(w, 16, 64984, 0)));
	assert_true(r.bytes <= REASSEMBLY_BYTES);
	assert_true(add(cut(w, 0, 16, 1)));
	is_whole(w);
	assert_true(lost(DIVERT_N_FRAG_FULL) >= 1);
	nothing_lost();
}

/* ---- undecided ones ---- */

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
	struct whole *w = packet(4, 1, 20, 300);
	struct divert_record *rec;
	struct piece piece;

	/* decided by the first */
	rec = cut(w, 104, 196, 0);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	rec = cut(w, 0, 104, 1);
	assert_true(add(rec));
	assert_false(done.rec->flags & DIVERT_REC_UNDECIDED);
	assert_memory_equal(done.rec + 1, w->bytes, w->len);
	free(done.rec);

	/* released: all of them and only them, in order, as they came */
	rec = cut(w, 200, 100, 0);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	rec = cut(w, 104, 96, 1);
	rec->flags |= DIVERT_REC_UNDECIDED;
	assert_false(add(rec));
	rec = cut(w, 0, 104, 1);
	rec->flags |= DIVERT_REC_RELEASE;
	assert_true(piece_read((uint8_t *)(rec + 1), rec->len, &piece));
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

	/* of a packet that is given up there are none */
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

/* ---- what is no fragment ---- */

static void test_read(void **state)
{
	struct whole *w = packet(4, 1, 20, 300);
	struct piece p;
	uint32_t n;

	assert_false(piece_likely(w->bytes));
	assert_false(piece_read(w->bytes, w->len, &p));
	w->bytes[6] = 0x40; /* DF */
	assert_false(piece_likely(w->bytes));
	w->bytes[6] = 0x20;
	w->bytes[0] = 0x44;
	assert_false(piece_read(w->bytes, w->len, &p));
	w->bytes[0] = 0x4f;
	assert_false(piece_read(w->bytes, 59, &p));
	assert_true(piece_read(w->bytes, 60, &p));
	free(w);

	w = packet(6, 1, 40, 300);
	assert_false(piece_likely(w->bytes));
	assert_false(piece_read(w->bytes, w->len, &p));
	w->bytes[6] = 0; /* hop-by-hop options, then destination options, then a fragment header */
	memcpy(w->bytes + 40, "\74\0\1\4\0\0\0\0\54\0\1\4\0\0\0\0\21\0\0\1\1\2\3\4", 24);
	assert_true(piece_likely(w->bytes));
	for (n = 0; n < 64; n++) {
		uint8_t *copy = malloc(n + 1); /* of its exact size: reading behind it is seen */

		memcpy(copy, w->bytes, n);
		assert_false(piece_read(copy, n, &p));
		free(copy);
	}
	assert_true(piece_read(w->bytes, w->len, &p));
	assert_int_equal(p.head, 56);
	assert_int_equal(p.link, 48);
	assert_int_equal(p.next, UDP);
	w->bytes[48] = UDP;
	assert_false(piece_read(w->bytes, w->len, &p));
	free(w);
}

/* ---- many, in any order ---- */

static uint32_t rnd(uint32_t below)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % below;
}

#define MANY 400

static void test_shuffled(void **state)
{
	static struct whole *w[MANY];
	static int missing[MANY], whole_seen[MANY];
	struct divert_record **all = calloc(MANY * 200, sizeof(*all)), *swap;
	uint32_t fragments = 0, i, j, at, n, dups = 0, left = 0, len, waiting[MANY] = {0};

	assert_non_null(all);
	for (i = 0; i < MANY; i++) {
		int v = i % 2 ? 4 : 6;

		len = 16 + rnd(8000);
		w[i] = packet(v, i, v == 4 ? 20 : 40, len);
		missing[i] = 0;
		for (at = 0; at < len; at += n) {
			n = 8 + rnd(180) * 8;
			if (!at && n >= len)
				n = 8;
			if (at + n > len)
				n = len - at;
			/* one in 50 is not there; one in 50 is there twice, unless all would be: that comes below */
			if (!rnd(50)) {
				missing[i]++;
				continue;
			}
			waiting[i]++;
			all[fragments] = cut(w[i], at, n, at + n < len);
			all[fragments++]->oif = i; /* for this test */
		}
	}
	for (i = 0; i < MANY;
	     i++) /* duplicates of those that stay incomplete never come too late */
		if (missing[i] && waiting[i])
			for (j = 0; j < fragments && dups < 1000; j++)
				if (all[j]->oif == i) {
					all[fragments] = malloc(sizeof(**all) + all[j]->len);
					memcpy(all[fragments++], all[j],
					       sizeof(**all) + all[j]->len);
					dups++;
					break;
				}
	for (i = fragments - 1; i; i--) {
		j = rnd(i + 1);
		swap = all[i];
		all[i] = all[j];
		all[j] = swap;
	}
	for (i = 0; i < fragments; i++) {
		uint32_t which = all[i]->oif;

		if (add(all[i])) {
			assert_int_equal(missing[which], 0);
			assert_int_equal(whole_seen[which]++, 0);
			assert_int_equal(done.rec->len, w[which]->len);
			assert_memory_equal(done.rec + 1, w[which]->bytes, w[which]->len);
			free(done.rec);
		}
	}
	for (i = 0; i < MANY; i++) {
		assert_int_equal(whole_seen[i], !missing[i]);
		left += missing[i] ? waiting[i] : 0;
		free(w[i]);
	}
	free(all);
	assert_true(left > 100 && dups > 10);
	assert_int_equal(lost(DIVERT_N_FRAG_DUP), dups);
	nothing_lost();
	reassembly_expire(&r, 100 * S);
	assert_int_equal(lost(DIVERT_N_FRAG_TIMEOUT), left);
	assert_int_equal(r.packets, 0);
	assert_int_equal(r.bytes, 0);
}

/* ---- against a plain model: random pieces of one packet, wrong ones among them ---- */

#define BLOCKS 6 /* of 8 bytes */

struct model {
	int n, dead;
	struct {
		uint32_t at, end, more;
	} f[64];
};

/* What becomes of a fragment, said as plainly as it goes: 0 kept, 1 whole, or its cause. */
static int expect(struct model *m, uint32_t at, uint32_t end, uint32_t more)
{
	uint32_t covered = 0, last = 0;
	int i, bad = 0, overlap = 0;

	if (m->dead)
		return m->dead;
	for (i = 0; i < m->n; i++) {
		if (m->f[i].at == at && m->f[i].end == end && m->f[i].more == more)
			return DIVERT_N_FRAG_DUP;
		if (!more && m->f[i].end > end)
			bad = 1;
		if (!m->f[i].more && (end > m->f[i].end || (!more && end != m->f[i].end)))
			bad = 1;
		if (at < m->f[i].end && m->f[i].at < end)
			overlap = 1;
	}
	if (bad || overlap)
		return m->dead = bad ? DIVERT_N_FRAG_BAD : DIVERT_N_FRAG_OVERLAP;
	m->f[m->n].at = at;
	m->f[m->n].end = end;
	m->f[m->n++].more = more;
	for (i = 0; i < m->n; i++) {
		covered += m->f[i].end - m->f[i].at;
		if (!m->f[i].more)
			last = m->f[i].end;
	}
	return last && covered == last;
}

static void test_model(void **state)
{
	uint32_t wholes = 0, round, i;

	for (round = 0; round < 20000; round++) {
		int v = round % 2 ? 4 : 6;
		struct whole *w = packet(v, round, v == 4 ? 20 : 40, BLOCKS * 8);
		struct model m = {};

		for (i = 0; i < 20; i++) {
			uint32_t at = rnd(BLOCKS), n = 1 + rnd(BLOCKS - at < 4 ? BLOCKS - at : 4);
			uint32_t more = at + n == BLOCKS ? !rnd(8) : rnd(16) > 0, held = m.n;
			int cause = expect(&m, at, at + n, more);
			bool first_dead = m.dead && held;

			if (!at && !more) { /* that is no fragment */
				m.n = held;
				m.dead = 0;
				break;
			}
			assert_int_equal(add(cut(w, at * 8, n * 8, more)), cause == 1);
			if (cause == 1) {
				wholes++;
				free(done.rec);
				break;
			}
			if (cause && cause != DIVERT_N_FRAG_DUP && first_dead) {
				assert_int_equal(lost(cause), held + 1);
				m.n = 0;
			} else if (cause) {
				assert_int_equal(lost(cause), 1);
			}
			nothing_lost();
		}
		reassembly_free(&r);
		free(w);
	}
	assert_true(wholes > 100);
}

/* ---- how IPv6 packets came ---- */

static void test_origin(void **state)
{
	static struct origins o;
	struct whole *w = packet(6, 1, 40, 3000), *other = packet(6, 2, 40, 3000);
	uint32_t id, size;

	assert_false(origin_take(&o, w->bytes, w->len, &id, &size));
	origin_put(&o, w->bytes, w->len, 77, 1400);
	origin_put(&o, other->bytes, other->len, 78, 1300);
	w->bytes[7]--; /* the hop limit may change */
	id = 5;
	assert_true(origin_take(&o, w->bytes, w->len, &id, &size));
	assert_int_equal(id, 77);
	assert_int_equal(size, 1400);
	/* a second time, and changed: as the last one of its length, under its own id */
	id = 5;
	assert_true(origin_take(&o, w->bytes, w->len, &id, &size));
	assert_int_equal(id, 5);
	assert_int_equal(size, 1300);
	assert_false(origin_take(&o, w->bytes, w->len - 1, &id, &size));
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
		cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undecided, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shuffled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_origin, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
