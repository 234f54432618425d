// sources: lib/packet/segment.c lib/packet/chunks.c lib/packet/checksum.c tests/unit/large.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Large packets that are cut into segments, and packets that are not cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/bytes.h"
#include "tests/unit/large.h"

/* ---- segments ---- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void check_ip(const struct sample *t, const uint8_t *whole, const uint8_t *p, uint32_t at,
		     uint32_t len, uint32_t i)
{
	if (t->version == 6) {
		assert_int_equal(get16(p + 4), len - 40);
		assert_memory_equal(p, whole, 4);
		assert_memory_equal(p + 6, whole + 6, at - 6);
		return;
	}
	assert_int_equal(get16(p + 2), len);
	assert_int_equal(get16(p + 4), t->type & DIVERT_GSO_FIXEDID ? ID : (uint16_t)(ID + i));
	assert_int_equal(sum_words(0, p, at), 0xffff);
	assert_memory_equal(p, whole, 2);
	assert_memory_equal(p + 6, whole + 6, 4);
	assert_memory_equal(p + 12, whole + 12, at - 12);
}

static void check_transport(const struct sample *t, const uint8_t *whole, const uint8_t *p,
			    uint32_t at, uint32_t len, uint32_t i)
{
	unsigned int flags = ALL;

	assert_memory_equal(p + at, whole + at, 4);
	assert_int_equal(sum_transport(p, t->proto, at, len), 0xffff);
	if (t->proto == UDP) {
		assert_int_equal(get16(p + at + 4), len - at);
		assert_int_not_equal(get16(p + at + 6), 0);
		return;
	}
	if (i)
		flags &= ~0x80;
	if (i + 1 < t->segments)
		flags &= ~0x09;
	assert_int_equal(p[at + 13], flags);
	assert_int_equal(get32(p + at + 4), (uint32_t)(SEQ + i * t->size));
	assert_memory_equal(p + at + 8, whole + at + 8, 5);
	assert_memory_equal(p + at + 14, whole + at + 14, 2);
	assert_memory_equal(p + at + 18, whole + at + 18, 2 + INNER);
}

static void check_sample(const struct sample *t)
{
	uint32_t at, head, i, len, done = 0;
	struct divert_record *rec = make_ip(t->version, t->proto, t->opts, t->payload, &at, &head);
	const uint8_t *whole = packet_of(rec);
	struct cut cut;
	uint8_t *p;

	if (t->flags & DIVERT_REC_PARTIAL)
		make_partial(rec, t->proto, at, t->proto == TCP ? 16 : 6);
	rec->gso_size = t->size;
	rec->gso_type = t->type;
	segment_plan(rec, &cut);
	assert_int_equal(cut.segments, t->segments);
	for (i = 0; i < cut.segments; i++) {
		len = segment_len(rec, &cut, i);
		assert_true(len > head && len <= head + t->size);
		if (i + 1 < cut.segments)
			assert_int_equal(len, head + t->size);
		p = malloc(len);
		assert_non_null(p);
		memset(p, 0xa5, len);
		segment_build(rec, &cut, i, p);
		check_ip(t, whole, p, at, len, i);
		check_transport(t, whole, p, at, len, i);
		assert_memory_equal(p + head, whole + head + done, len - head);
		done += len - head;
		free(p);
	}
	assert_int_equal(done, t->payload);
	free(rec);
}

static void test_cut(void **state)
{
	unsigned int i;

	for (i = 0; i < SAMPLES; i++)
		check_sample(&samples[i]);
}

/* A datagram without a checksum is cut into datagrams without one. */
static void test_udp_none(void **state)
{
	uint32_t at, head;
	struct divert_record *rec = make_ip(4, UDP, 0, 2000, &at, &head);
	uint8_t p[1100];
	struct cut cut;

	put16(packet_of(rec) + at + 6, 0);
	rec->gso_size = 1000;
	rec->gso_type = DIVERT_GSO_UDP;
	segment_plan(rec, &cut);
	assert_int_equal(cut.segments, 2);
	segment_build(rec, &cut, 1, p);
	assert_int_equal(get16(p + at + 6), 0);
	free(rec);
}

/* ---- packets that stay whole ---- */

static struct divert_record *make_large(int version, uint8_t proto, uint32_t *at)
{
	uint32_t head;
	struct divert_record *rec = make_ip(version, proto, 0, 3000, at, &head);

	rec->gso_size = 1000;
	rec->gso_type = proto == TCP ? DIVERT_GSO_TCP : DIVERT_GSO_UDP;
	return rec;
}

static void test_whole(void **state)
{
	struct divert_record *rec;
	uint32_t at, head;

	rec = make_ip(4, TCP, 0, 1000, &at, &head);
	check_whole(rec); /* no GSO */
	rec->gso_type = DIVERT_GSO_TCP;
	rec->gso_size = 1000;
	check_whole(rec); /* exactly one segment */
	rec->gso_size = 65535;
	check_whole(rec);
	rec->gso_size = 100;
	rec->gso_type = DIVERT_GSO_TCP | DIVERT_GSO_OTHER;
	check_whole(rec); /* a tunnel */
	rec->gso_type = DIVERT_GSO_UDP;
	check_whole(rec); /* another protocol's */
	rec->gso_type = DIVERT_GSO_TCP;
	packet_of(rec)[6] = 0x20;
	check_whole(rec); /* a fragment */
	free(rec);
}

static void test_hostile(void **state)
{
	struct divert_record *rec;
	uint32_t at, head, len;
	unsigned int i;

	rec = make_large(4, TCP, &at);
	for (i = 0; i < 5; i++) { /* the data offset */
		packet_of(rec)[at + 12] = i << 4;
		check_whole(rec);
	}
	packet_of(rec)[at + 12] = 0x80;
	for (i = 0; i < 5; i++) { /* the header length */
		packet_of(rec)[0] = 0x40 | i;
		check_whole(rec);
	}
	for (i = 0; i < 16; i++) { /* the version */
		packet_of(rec)[0] = i << 4;
		check_whole(rec);
	}
	packet_of(rec)[0] = 0x45;
	put16(packet_of(rec) + 2, rec->len + 1);
	check_whole(rec);
	put16(packet_of(rec) + 2, 19);
	check_whole(rec);
	free(rec);

	/* headers that reach to the end, or beyond it */
	for (len = 1; len < 60; len++) {
		rec = make(len);
		memset(packet_of(rec), 0xff, len);
		packet_of(rec)[0] = 0x45;
		if (len > 9) {
			put16(packet_of(rec) + 2, len);
			memset(packet_of(rec) + 6, 0, 2);
			packet_of(rec)[9] = TCP;
		}
		rec->gso_size = 1;
		rec->gso_type = DIVERT_GSO_TCP;
		check_whole(rec);
		free(rec);
	}
	rec = make(0);
	rec->gso_size = 1;
	rec->gso_type = DIVERT_GSO_TCP;
	check_whole(rec);
	free(rec);

	/* an extension header that leads out of the packet */
	rec = make_ip(6, TCP, 8, 1000, &at, &head);
	rec->gso_size = 100;
	rec->gso_type = DIVERT_GSO_TCP;
	packet_of(rec)[41] = 255;
	check_whole(rec);
	free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_udp_none),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
