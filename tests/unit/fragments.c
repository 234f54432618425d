/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets in pieces, for the tests of reassembly. */
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

struct reassembly r;
struct reassembled done;

uint32_t lost(enum divert_cause cause)
{
	uint32_t n = r.lost[cause - DIVERT_N_FRAG_TIMEOUT];

	r.lost[cause - DIVERT_N_FRAG_TIMEOUT] = 0;
	return n;
}

/* Only the fragments that the test expected were lost. */
void nothing_lost(void)
{
	int i;

	for (i = 0; i < REASSEMBLY_CAUSES; i++)
		assert_int_equal(r.lost[i], 0);
}

int setup(void **state)
{
	reassembly_init(&r, 12345);
	return 0;
}

int teardown(void **state)
{
	reassembly_free(&r);
	assert_int_equal(r.packets, 0);
	assert_int_equal(r.bytes, 0);
	return 0;
}

/*
 * A whole UDP packet with n bytes behind the IP header. head: 20 to 60 for IPv4; 40, or 48 with
 * options, for IPv6.
 */
struct next_packet *packet(int version, uint32_t id, uint32_t head, uint32_t n)
{
	struct next_packet *w = calloc(1, sizeof(*w));
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

/* n bytes from offset on, as a fragment that came. */
struct divert_record *cut(const struct next_packet *w, uint32_t offset, uint32_t n, int more)
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

bool add_at(struct divert_record *rec, int64_t now)
{
	struct fraghdr piece;
	bool whole;

	assert_true(fraghdr_likely((uint8_t *)(rec + 1)));
	assert_true(fraghdr_read((uint8_t *)(rec + 1), rec->len, &piece));
	whole = reassembly_add(&r, rec, &piece, now, &done);
	free(rec);
	return whole;
}

bool add(struct divert_record *rec)
{
	return add_at(rec, S);
}

/* The packet was put together correctly, in a record of its own. */
void is_whole(struct next_packet *w)
{
	assert_int_equal(done.rec->len, w->len);
	assert_memory_equal(done.rec + 1, w->bytes, w->len);
	assert_true(done.rec->flags & REASSEMBLED);
	free(done.rec);
	free(w);
}
