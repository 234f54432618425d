// sources: lib/segment.c lib/checksum.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Large packets cut into segments, partial checksums completed. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/checksum.h"
#include "lib/segment.h"

#define TCP  6
#define UDP  17
#define SCTP 132

/* ---- packets, and an independent check of their checksums ---- */

static unsigned int get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint32_t sum_words(uint32_t sum, const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len & 1)
		sum += p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t sum_pseudo(const uint8_t *p, uint8_t proto, uint32_t len)
{
	uint32_t sum = p[0] >> 4 == 4 ? sum_words(0, p + 12, 8) : sum_words(0, p + 8, 32);
	uint8_t tail[4] = {0, proto, len >> 8, len};

	return sum_words(sum, tail, 4);
}

/* 0xffff where the checksum that is there is right. */
static uint32_t sum_transport(const uint8_t *p, uint8_t proto, uint32_t at, uint32_t len)
{
	return sum_words(sum_pseudo(p, proto, len - at), p + at, len - at);
}

/* A record of its exact size, so that whoever reads or writes beyond it is caught. */
static struct divert_record *make(uint32_t len)
{
	struct divert_record *rec = calloc(1, sizeof(*rec) + len);

	assert_non_null(rec);
	rec->len = len;
	return rec;
}

static uint8_t *packet_of(struct divert_record *rec)
{
	return (uint8_t *)(rec + 1);
}

#define SEQ   0xfffffff0u /* wraps within the packet */
#define ID    0xfffe	  /* this one, too */
#define ALL   0xff	  /* every TCP flag */
#define INNER 12	  /* bytes of TCP options */

/* opts: bytes of IPv4 options, or of one IPv6 extension header. head: bytes before the payload. */
static struct divert_record *make_ip(int version, uint8_t proto, uint32_t opts, uint32_t payload,
				     uint32_t *at, uint32_t *head)
{
	uint32_t inner = proto == TCP ? 20 + INNER : proto == UDP ? 8 : 12, i;
	struct divert_record *rec;
	uint8_t *p;

	*at = (version == 4 ? 20 : 40) + opts;
	*head = *at + inner;
	rec = make(*head + payload);
	p = packet_of(rec);
	for (i = *at; i < rec->len; i++)
		p[i] = i * 7 + (i >> 8);
	if (version == 4) {
		p[0] = 0x40 | *at / 4;
		p[1] = 0x12;
		put16(p + 2, rec->len);
		put16(p + 4, ID);
		p[6] = 0x40;
		p[8] = 63;
		p[9] = proto;
		memset(p + 20, 1, opts);
		memcpy(p + 12, "\12\1\0\1\12\2\0\1", 8);
		put16(p + 10, 0xffff - sum_words(0, p, *at));
	} else {
		p[0] = 0x61;
		p[1] = 0x20;
		put16(p + 4, rec->len - 40);
		p[6] = opts ? 60 : proto;
		p[7] = 63;
		memcpy(p + 8,
		       "\375\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1\375\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 32);
		if (opts) {
			memset(p + 40, 0, opts);
			p[40] = proto;
			p[41] = opts / 8 - 1;
		}
	}
	p += *at;
	if (proto == TCP) {
		put16(p + 4, SEQ >> 16);
		put16(p + 6, SEQ & 0xffff);
		p[12] = inner / 4 << 4;
		p[13] = ALL;
	} else if (proto == UDP) {
		put16(p + 4, rec->len - *at);
	}
	return rec;
}

/* As a sender leaves it to its network card: the sum of the pseudo header, not complemented. */
static void make_partial(struct divert_record *rec, uint8_t proto, uint32_t at, uint32_t offset)
{
	rec->flags |= DIVERT_REC_PARTIAL;
	rec->csum_start = at;
	rec->csum_offset = offset;
	put16(packet_of(rec) + at + offset, sum_pseudo(packet_of(rec), proto, rec->len - at));
}

/* ---- segments ---- */

struct sample {
	int version;
	uint8_t proto;
	uint32_t opts, payload;
	uint16_t size, type, flags;
	uint32_t segments;
};

static const struct sample samples[] = {
	{4, TCP, 0, 4000, 1000, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 4},
	{4, TCP, 0, 4001, 1000, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 5},
	{4, TCP, 0, 3999, 1000, DIVERT_GSO_TCP, 0, 4},
	{4, TCP, 40, 2801, 1401, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 2},
	{4, TCP, 8, 3000, 1448, DIVERT_GSO_TCP | DIVERT_GSO_FIXEDID, DIVERT_REC_PARTIAL, 3},
	{4, TCP, 0, 100, 1, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 100},
	{4, TCP, 0, 65483, 1448, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 46},
	{6, TCP, 0, 4000, 1428, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 3},
	{6, TCP, 0, 3999, 1333, DIVERT_GSO_TCP, 0, 3},
	{6, TCP, 16, 4001, 1333, DIVERT_GSO_TCP, DIVERT_REC_PARTIAL, 4},
	{4, UDP, 0, 4000, 1000, DIVERT_GSO_UDP, DIVERT_REC_PARTIAL, 4},
	{4, UDP, 4, 4001, 1001, DIVERT_GSO_UDP, DIVERT_REC_PARTIAL, 4},
	{6, UDP, 0, 4000, 1001, DIVERT_GSO_UDP, DIVERT_REC_PARTIAL, 4},
	{6, UDP, 8, 2, 1, DIVERT_GSO_UDP, 0, 2},
};

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

	for (i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		check_sample(&samples[i]);
}

/* A datagram without a checksum is cut into datagrams without. */
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

/* ---- left whole ---- */

/* It is one segment, the packet's own bytes, and nobody reads or writes beyond them. */
static void check_whole(struct divert_record *rec)
{
	struct cut cut;
	uint8_t *p = malloc(rec->len + 1);

	assert_non_null(p);
	p[rec->len] = 0xa5;
	segment_plan(rec, &cut);
	assert_int_equal(cut.segments, 1);
	assert_int_equal(segment_len(rec, &cut, 0), rec->len);
	segment_build(rec, &cut, 0, p);
	assert_memory_equal(p, packet_of(rec), rec->len);
	assert_int_equal(p[rec->len], 0xa5);
	free(p);
}

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
	check_whole(rec); /* one segment, just */
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

/* ---- partial checksums ---- */

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

/* A sum of 0 would say that there is none: it is sent as 0xffff. TCP has no such rule. */
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

/* SCTP's is a CRC, and least significant byte first. */
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
		memset(p + at + 8, 0x55, 4); /* what is there does not matter */
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

/* A place outside the packet: nothing is done. One inside: no more than the packet is touched. */
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

/* ---- DIVERT_GSO ---- */

#define BOTH (DIVERT_GSO_TCP | DIVERT_GSO_UDP)

/* What stays large is the kernel's own bytes; what cannot be taken back is cut. */
static void test_large(void **state)
{
	unsigned int i;

	for (i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
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

/* A single packet is completed as ever. */
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

/* Cut in pieces, and each piece by whoever sends it: the same as cut at once. */
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

/* Where the headers end, however little of the packet is there; the checksum that is left to others. */
static void test_heads(void **state)
{
	unsigned int i;

	for (i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
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
		cmocka_unit_test(test_cut),	     cmocka_unit_test(test_udp_none),
		cmocka_unit_test(test_whole),	     cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_partial),	     cmocka_unit_test(test_partial_zero),
		cmocka_unit_test(test_partial_sctp), cmocka_unit_test(test_partial_hostile),
		cmocka_unit_test(test_large),	     cmocka_unit_test(test_large_single),
		cmocka_unit_test(test_large_pieces), cmocka_unit_test(test_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
