// sources: lib/packet/segment.c lib/packet/chunks.c lib/packet/checksum.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A record and its packet, made from the input. Reading the headers stays inside the packet. The
 * segments are the packet's bytes, all of them and in order, each within its length.
 *
 * Input: flags, gso_type, gso_size (2), csum_start (2), csum_offset (2), then the packet.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/packet/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#include "engine/bytes.h"
#include "engine/packet.h"

#define HEAD 8

static void must(int truth)
{
	if (!truth)
		abort();
}

static void check_read(struct bytes *b, int version)
{
	struct divert_packet p = {};
	struct packet_shape s;

	if (packet_read(b, version, b->len, &p, &s))
		return;
	must(s.len <= b->len && s.payload >= (version == 4 ? 20 : 40));
	must(p.field[DIVERT_F_LEN] == s.len && p.field[DIVERT_F_PROTO] < 256);
	must((p.field[DIVERT_F_SPORT] == DIVERT_ABSENT) ==
	     (p.field[DIVERT_F_DPORT] == DIVERT_ABSENT));
	if (p.field[DIVERT_F_SPORT] != DIVERT_ABSENT)
		must(p.field[DIVERT_F_SPORT] < 65536 && p.field[DIVERT_F_DPORT] < 65536 &&
		     s.payload + 4 <= s.len);
	if (p.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		must(s.fragment && p.field[DIVERT_F_SPORT] == DIVERT_ABSENT);
}

/* Checks segment i, in a room of exactly its size. Returns the payload that it carries. */
static uint32_t check_segment(const struct divert_record *rec, const struct cut *cut, uint32_t i,
			      uint32_t done)
{
	uint32_t len = segment_len(rec, cut, i), payload = len - cut->head;
	const uint8_t *packet = (const uint8_t *)(rec + 1);
	uint8_t *to;

	must(len > cut->head && len <= cut->head + rec->gso_size && len < rec->len);
	to = malloc(len);
	must(to != NULL);
	segment_build(rec, cut, i, to);
	must(done + payload <= rec->len - cut->head);
	must(!memcmp(to + cut->head, packet + cut->head + done, payload));
	must(to[0] == packet[0]);
	must((uint32_t)(to[0] >> 4 == 4 ? to[2] << 8 | to[3] : (to[4] << 8 | to[5]) + 40) == len);
	free(to);
	return payload;
}

static void check_segments(const struct divert_record *rec)
{
	uint32_t i, done = 0;
	struct cut cut;
	uint8_t *to;

	segment_plan(rec, &cut);
	must(cut.segments >= 1);
	if (cut.segments == 1) {
		must(segment_len(rec, &cut, 0) == rec->len);
		to = malloc(rec->len + 1);
		must(to != NULL);
		segment_build(rec, &cut, 0, to);
		free(to);
		return;
	}
	for (i = 0; i < cut.segments; i++)
		done += check_segment(rec, &cut, i, done);
	must(done == rec->len - cut.head);
}

/*
 * With the largest possible pieces: each piece in a room of its size; and headers of which only the
 * first bytes are there.
 */
static void check_large(const struct divert_record *rec)
{
	const uint32_t have = rec->len < 256 ? rec->len : 256;
	uint32_t i, len, done = 0;
	struct heads h;
	struct cut cut;
	uint8_t *to;

	segment_plan_whole(rec, DIVERT_GSO_TCP | DIVERT_GSO_UDP, &cut);
	for (i = 0; i < cut.segments; i++) {
		len = segment_len(rec, &cut, i);
		to = malloc(len + 1);
		must(to != NULL);
		segment_build(rec, &cut, i, to);
		must(segment_gso(rec, &cut, i) < len + 1);
		done += cut.segments > 1 ? len - cut.head : 0;
		free(to);
	}
	must(cut.segments == 1 || done == rec->len - cut.head);
	if (!rec->len)
		return;
	to = malloc(have);
	must(to != NULL);
	memcpy(to, rec + 1, have);
	if (!segment_heads(to, have, rec->len, &h)) {
		must(h.len <= have && h.sum + 2 <= h.len && h.transport < h.len);
		segment_set_partial(to, rec->len, &h);
	}
	free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct divert_record *rec;
	struct bytes b;

	if (size < HEAD || size > HEAD + 65535)
		return 0;
	rec = calloc(1, sizeof(*rec) + size - HEAD);
	must(rec != NULL);
	rec->len = size - HEAD;
	rec->flags = data[0];
	rec->gso_type = data[1];
	memcpy(&rec->gso_size, data + 2, 2);
	memcpy(&rec->csum_start, data + 4, 2);
	memcpy(&rec->csum_offset, data + 6, 2);
	memcpy(rec + 1, data + HEAD, rec->len);
	b.at = (uint8_t *)(rec + 1);
	b.len = rec->len;
	check_read(&b, 4);
	check_read(&b, 6);
	check_segments(rec);
	check_large(rec);
	free(rec);
	return 0;
}
