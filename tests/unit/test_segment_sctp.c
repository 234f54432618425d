// sources: lib/packet/segment.c lib/packet/chunks.c lib/packet/checksum.c tests/unit/large.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SCTP's large packets are cut into the packets that the sender made. The sender here works as
 * Linux does (sctp_packet_pack): it puts in chunks while they fit the path. Each packet begins with
 * the AUTH chunk if there is one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/bytes.h"
#include "tests/unit/large.h"

#define HEADER	    12
#define PACKETS_MAX 64
#define DATA	    0
#define SACK	    3
#define AUTH	    15
#define AUTH_LEN    28

struct sender {
	uint8_t chunks[65535];
	uint32_t len, longest, packets;
	uint32_t end[PACKETS_MAX]; /* where each packet's chunks end */
	uint32_t most;		   /* bytes of chunks that the path takes */
	bool auth;
};

static void put_chunk(struct sender *s, uint8_t type, uint32_t len)
{
	uint32_t padded = (len + 3) / 4 * 4, i;
	uint8_t *p = s->chunks + s->len;

	for (i = 4; i < padded; i++)
		p[i] = i < len ? s->len * 5 + i : 0;
	p[0] = type;
	p[1] = 3;
	put16(p + 2, len);
	s->len += padded;
}

static uint32_t packet_len(const struct sender *s)
{
	return s->len - (s->packets ? s->end[s->packets - 1] : 0);
}

static void end_packet(struct sender *s)
{
	if (packet_len(s) > s->longest)
		s->longest = packet_len(s);
	s->end[s->packets++] = s->len;
}

static void send_chunk(struct sender *s, uint8_t type, uint32_t len)
{
	if (packet_len(s) + (len + 3) / 4 * 4 > s->most) {
		end_packet(s);
		if (s->auth)
			put_chunk(s, AUTH, AUTH_LEN);
	}
	put_chunk(s, type, len);
}

static struct divert_record *record_of(const struct sender *s, int version, uint32_t opts,
				       uint32_t *at)
{
	uint32_t head;
	struct divert_record *rec = make_ip(version, SCTP, opts, s->len, at, &head);

	assert_int_equal(head, *at + HEADER);
	memcpy(packet_of(rec) + head, s->chunks, s->len);
	rec->gso_type = DIVERT_GSO_SCTP;
	rec->gso_size = s->longest;
	rec->flags = DIVERT_REC_PARTIAL;
	rec->csum_start = *at;
	rec->csum_offset = 8;
	return rec;
}

/* Bit by bit, and in another way than lib/packet/checksum.c. */
static uint32_t crc_of(const uint8_t *p, uint32_t len)
{
	uint32_t crc = ~0u, i, bit;

	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc ^ p[i] >> bit) & 1 ? 0x82f63b78 : 0);
	return ~crc;
}

static void check_crc(const uint8_t *sctp, uint32_t len)
{
	uint8_t copy[65535];
	uint32_t crc;

	memcpy(copy, sctp, len);
	memset(copy + 8, 0, 4);
	crc = crc_of(copy, len);
	assert_int_equal(sctp[8], crc & 0xff);
	assert_int_equal(sctp[9], crc >> 8 & 0xff);
	assert_int_equal(sctp[10], crc >> 16 & 0xff);
	assert_int_equal(sctp[11], crc >> 24);
}

static void check_packet(const struct divert_record *rec, const uint8_t *p, uint32_t i, uint32_t at,
			 uint32_t len)
{
	const uint8_t *whole = (const uint8_t *)(rec + 1);

	if (p[0] >> 4 == 4) {
		assert_int_equal(get16(p + 2), len);
		assert_int_equal(get16(p + 4), (uint16_t)(ID + i));
		assert_int_equal(sum_words(0, p, at), 0xffff);
		assert_memory_equal(p + 6, whole + 6, 4);
		assert_memory_equal(p + 12, whole + 12, at - 12);
	} else {
		assert_int_equal(get16(p + 4), len - 40);
		assert_memory_equal(p + 6, whole + 6, at - 6);
	}
	assert_memory_equal(p + at, whole + at, 8);
	check_crc(p + at, len - at);
}

static void check_sender(struct sender *s, int version, uint32_t opts)
{
	struct divert_record *rec;
	uint32_t at, i, len, from = 0;
	struct cut cut;
	uint8_t *p;

	end_packet(s);
	rec = record_of(s, version, opts, &at);
	segment_plan_whole(rec, DIVERT_GSO_TCP | DIVERT_GSO_UDP, &cut);
	assert_int_equal(cut.segments, s->packets);
	for (i = 0; i < s->packets; i++) {
		len = segment_len(rec, &cut, i);
		assert_int_equal(len, at + HEADER + s->end[i] - from);
		assert_int_equal(segment_gso(rec, &cut, i), 0);
		p = malloc(len);
		assert_non_null(p);
		segment_build(rec, &cut, i, p);
		check_packet(rec, p, i, at, len);
		assert_memory_equal(p + at + HEADER, s->chunks + from, s->end[i] - from);
		from = s->end[i];
		free(p);
	}
	free(rec);
}

/* ---- */

static void test_same_packets(void **state)
{
	static const struct {
		int version;
		uint32_t opts, most, chunk, n;
	} t[] = {
		{4, 0, 1468, 1468, 20}, {4, 0, 1468, 1440, 40}, {4, 8, 1460, 700, 50},
		{6, 0, 1448, 1447, 10}, {6, 24, 1424, 17, 900}, {4, 0, 544, 100, 300},
	};
	unsigned int i, j;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct sender s = {.most = t[i].most};

		for (j = 0; j < t[i].n; j++)
			send_chunk(&s, DATA, t[i].chunk);
		assert_true(s.packets > 1);
		check_sender(&s, t[i].version, t[i].opts);
	}
}

/* Chunks of any length: one that did not fit a packet may fit the next one, which is longer. */
static void test_random(void **state)
{
	unsigned int round, seed = 7, n;

	for (round = 0; round < 2000; round++) {
		struct sender s = {.most = 512 + round % 1000, .auth = round & 1};

		if (round % 3 == 0)
			put_chunk(&s, SACK, 16);
		if (s.auth)
			put_chunk(&s, AUTH, AUTH_LEN);
		for (n = 0; n < 60 && s.len < 60000; n++) {
			seed = seed * 1103515245 + 12345;
			send_chunk(&s, DATA, 17 + (seed >> 16) % (s.most - AUTH_LEN - 20));
		}
		check_sender(&s, round & 2 ? 6 : 4, 0);
	}
}

/* Two AUTH chunks belong to two packets, even if both would fit one. */
static void test_auth(void **state)
{
	struct sender s = {.most = 1000, .auth = true};

	put_chunk(&s, AUTH, AUTH_LEN);
	send_chunk(&s, DATA, 900);
	send_chunk(&s, DATA, 950);
	send_chunk(&s, DATA, 40);
	assert_int_equal(s.packets, 2);
	check_sender(&s, 4, 0);
}

static void test_whole(void **state)
{
	struct sender s = {.most = 1000};
	struct divert_record *rec;
	unsigned int i;
	uint32_t at;
	uint8_t *p;

	for (i = 0; i < 4; i++)
		send_chunk(&s, DATA, 600);
	end_packet(&s);
	rec = record_of(&s, 4, 0, &at);
	rec->flags = 0;
	p = packet_of(rec) + at + HEADER;
	for (i = 0; i < 4; i++) {
		put16(p + 602, i);
		check_whole(rec); /* a chunk shorter than its header */
	}
	put16(p + 602, 0xffff);
	check_whole(rec); /* a chunk that leads out of the packet */
	put16(p + 602, 600);
	rec->gso_size = 596;
	check_whole(rec); /* a chunk longer than a packet may be */
	rec->gso_size = 65535;
	check_whole(rec); /* the kernel did not say how long */
	rec->gso_size = 1000;
	rec->gso_type |= DIVERT_GSO_OTHER;
	check_whole(rec); /* in a tunnel */
	rec->gso_type = DIVERT_GSO_TCP | DIVERT_GSO_UDP;
	check_whole(rec); /* another protocol's */
	rec->gso_type = DIVERT_GSO_SCTP;
	packet_of(rec)[9] = TCP;
	check_whole(rec);
	packet_of(rec)[9] = SCTP;
	packet_of(rec)[6] = 0x20;
	check_whole(rec); /* a fragment */
	packet_of(rec)[6] = 0x40;
	put16(packet_of(rec) + 2, rec->len + 1);
	check_whole(rec);
	free(rec);
}

/* Headers that reach to the end, or beyond it. */
static void test_short(void **state)
{
	struct divert_record *rec;
	uint32_t len;

	for (len = 20; len < 52; len++) {
		rec = make(len);
		memset(packet_of(rec), 0, len);
		packet_of(rec)[0] = 0x45;
		put16(packet_of(rec) + 2, len);
		packet_of(rec)[9] = SCTP;
		rec->gso_size = 4;
		rec->gso_type = DIVERT_GSO_SCTP;
		check_whole(rec);
		free(rec);
	}
}

/* The last chunk may lack its padding. */
static void test_no_padding(void **state)
{
	struct sender s = {.most = 1000};
	struct divert_record *rec;
	uint8_t p[2000];
	struct cut cut;
	uint32_t at;

	send_chunk(&s, DATA, 901);
	send_chunk(&s, DATA, 701);
	end_packet(&s);
	s.len -= 3;
	rec = record_of(&s, 4, 0, &at);
	segment_plan(rec, &cut);
	assert_int_equal(cut.segments, 2);
	assert_int_equal(segment_len(rec, &cut, 1), at + HEADER + 701);
	segment_build(rec, &cut, 1, p);
	check_packet(rec, p, 1, at, at + HEADER + 701);
	free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_packets), cmocka_unit_test(test_random),
		cmocka_unit_test(test_auth),	     cmocka_unit_test(test_whole),
		cmocka_unit_test(test_short),	     cmocka_unit_test(test_no_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
