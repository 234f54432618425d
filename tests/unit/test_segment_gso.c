// sources: lib/packet/segment.c lib/packet/chunks.c lib/packet/checksum.c tests/unit/large.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* DIVERT_GSO: large packets that stay large, or are cut into pieces that stay large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/bytes.h"
#include "tests/unit/large.h"

#define BOTH (DIVERT_GSO_TCP | DIVERT_GSO_UDP)

/*
 * A packet that stays large has the kernel's own bytes. A packet that cannot be sent back whole is
 * cut.
 */
static void test_large(void **state)
{
	unsigned int i;

	for (i = 0; i < SAMPLES; i++) {
		const struct sample *t = &samples[i];
		uint32_t at, head;
		struct divert_record *rec =
			make_ip(t->version, t->proto, t->opts, t->payload, &at, &head);
		uint8_t *p = malloc(rec->len);
		struct cut cut;

		assert_non_null(p);
		if (t->flags & DIVERT_REC_PARTIAL)
			make_partial(rec, t->proto, at, t->proto == TCP ? 16 : 6);
		rec->gso_size = t->size;
		rec->gso_type = t->type;
		segment_plan_whole(rec, BOTH, &cut);
		assert_int_equal(cut.segments, 1);
		assert_int_equal(segment_len(rec, &cut, 0), rec->len);
		assert_int_equal(segment_gso(rec, &cut, 0), t->size);
		segment_build(rec, &cut, 0, p);
		assert_memory_equal(p, packet_of(rec), rec->len);
		segment_plan_whole(rec, BOTH & ~t->type, &cut);
		assert_int_equal(cut.segments, t->segments);
		assert_int_equal(segment_gso(rec, &cut, 0), 0);
		free(p);
		free(rec);
	}
}

/* A single packet is completed as usual. */
static void test_large_single(void **state)
{
	uint32_t at, head;
	struct divert_record *rec = make_ip(4, TCP, 0, 1000, &at, &head);
	struct cut cut;
	uint8_t p[2000];

	make_partial(rec, TCP, at, 16);
	rec->gso_size = 1000;
	rec->gso_type = DIVERT_GSO_TCP;
	segment_plan_whole(rec, BOTH, &cut);
	assert_int_equal(segment_gso(rec, &cut, 0), 0);
	segment_build(rec, &cut, 0, p);
	assert_int_equal(sum_transport(p, TCP, at, rec->len), 0xffff);
	free(rec);
}

/* Cut in pieces, and each piece cut again by its sender, gives the same as cut at once. */
static void check_twice(struct divert_record *rec, uint32_t jumbo)
{
	struct divert_record *piece = make(65535);
	uint32_t i, j, n = 0;
	struct cut once, large, again;
	uint8_t a[3000], b[3000];

	segment_plan(rec, &once);
	segment_plan_whole(rec, BOTH, &large);
	assert_true(large.segments > 1);
	for (i = 0; i < large.segments; i++) {
		piece->len = segment_len(rec, &large, i);
		assert_true(piece->len <= 65535);
		if (i + 1 < large.segments)
			assert_true(piece->len > 65535u - rec->gso_size);
		segment_build(rec, &large, i, packet_of(piece));
		piece->gso_size = segment_gso(rec, &large, i);
		piece->gso_type = piece->gso_size ? rec->gso_type : 0;
		segment_plan(piece, &again);
		if (piece->gso_size)
			assert_int_equal(get16(packet_of(piece) + once.transport - jumbo + 16),
					 sum_pseudo(packet_of(piece), TCP,
						    piece->len - (once.transport - jumbo)));
		for (j = 0; j < again.segments; j++, n++) {
			assert_int_equal(segment_len(piece, &again, j), segment_len(rec, &once, n));
			segment_build(piece, &again, j, a);
			segment_build(rec, &once, n, b);
			assert_memory_equal(a, b, segment_len(rec, &once, n));
		}
	}
	assert_int_equal(n, once.segments);
	free(piece);
	free(rec);
}

static void test_large_pieces(void **state)
{
	static const uint32_t payload[] = {65484, 130000, 131040, 200000, 500000};
	static const uint16_t size[] = {1448, 1000, 536, 2800};
	struct divert_record *rec;
	uint32_t at, head;
	unsigned int i, j;
	uint8_t *p;

	for (i = 0; i < sizeof(payload) / sizeof(*payload); i++) {
		for (j = 0; j < sizeof(size) / sizeof(*size); j++) {
			rec = make_ip(4, TCP, 0, payload[i], &at, &head);
			put16(packet_of(rec) + 2, 0);
			make_partial(rec, TCP, at, 16);
			rec->gso_size = size[j];
			rec->gso_type = DIVERT_GSO_TCP;
			check_twice(rec, 0);

			rec = make_ip(6, TCP, 8, payload[i], &at, &head);
			p = packet_of(rec);
			put16(p + 4, 0);
			p[6] = 0; /* hop-by-hop: jumbo payload */
			p[42] = 0xc2;
			p[43] = 4;
			make_partial(rec, TCP, at, 16);
			rec->gso_size = size[j];
			rec->gso_type = DIVERT_GSO_TCP;
			check_twice(rec, 8);
		}
	}
}

/*
 * The place where the headers end, however little of the packet is there; and a checksum that is
 * left to the network card.
 */
static void test_heads(void **state)
{
	unsigned int i;

	for (i = 0; i < SAMPLES; i++) {
		const struct sample *t = &samples[i];
		uint32_t at, head, have;
		struct divert_record *rec =
			make_ip(t->version, t->proto, t->opts, t->payload, &at, &head);
		struct heads h;

		for (have = t->version == 4 ? 20 : 40; have < head; have++) {
			uint8_t *p = malloc(have);

			assert_non_null(p);
			memcpy(p, packet_of(rec), have);
			assert_int_equal(segment_heads(p, have, rec->len, &h), -1);
			free(p);
		}
		assert_int_equal(segment_heads(packet_of(rec), head, rec->len, &h), 0);
		assert_int_equal(h.transport, at);
		assert_int_equal(h.len, head);
		assert_int_equal(h.proto, t->proto);
		segment_set_partial(packet_of(rec), rec->len, &h);
		assert_int_equal(get16(packet_of(rec) + at + (t->proto == TCP ? 16 : 6)),
				 sum_pseudo(packet_of(rec), t->proto, rec->len - at));
		free(rec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_large_single),
		cmocka_unit_test(test_large_pieces),
		cmocka_unit_test(test_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
