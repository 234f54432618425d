// sources: lib/inject/gro.c lib/inject/txpacket.c
// sources: lib/packet/segment.c lib/packet/chunks.c lib/packet/checksum.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments of a large packet, some of them changed, in a batch. Segments that are merged are the
 * same, byte for byte, when they are split again.
 *
 * Input: IP version and transport (enum kind), number of segments, payload of each, length of the
 * TCP options. Then the changes, of 4 bytes each: which segment, how (enum change), where, and the
 * value for XOR.
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/biased_lock.h"
#include "lib/core/kernel.h"
#include "lib/inject/batch.h"
#include "lib/inject/gro.h"
#include "lib/packet/checksum.h"
#include "lib/packet/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD	 4
#define SEGMENTS 64
#define ROOM	 400

enum kind {
	KIND_V6 = 1 << 0,
	KIND_UDP = 1 << 1,
};

enum change {
	TRANSACTION_SUMS = 1 << 0,    /* the checksums are right afterwards */
	TRANSACTION_SWAP = 1 << 1,    /* it and the next one change places */
	TRANSACTION_SHORTER = 1 << 2, /* by that many bytes */
	TRANSACTION_BACK = 1 << 3,    /* not the packet changes, but its metadata */
};

static void must(int truth)
{
	if (!truth)
		abort();
}

/* ---- functions of the rest of the library that lib/inject/gro.c calls ---- */

bool biased_lock_mine(const struct dsock *s)
{
	(void)s;
	return true;
}

uint32_t socket_refusal(const struct dsock *s, int back)
{
	(void)s;
	(void)back;
	return 0;
}

uint32_t reinject_large_types(int fd)
{
	(void)fd;
	return DIVERT_GSO_TCP | DIVERT_GSO_UDP;
}

void reinject_frame(struct divert_frame *frame, uint16_t protocol)
{
	memset(frame, 0, sizeof(*frame));
	frame->protocol = htons(protocol);
}

/* ---- the packets ---- */

struct one {
	struct divert_batched head;
	uint8_t packet[ROOM];
} __attribute__((packed));

static uint32_t ip_len(const uint8_t *p)
{
	return p[0] >> 4 == 6 ? 40 : 20;
}

static void put(uint8_t *to, uint32_t value)
{
	to[0] = value >> 8;
	to[1] = value;
}

/* Sets the correct lengths and checksums. */
static void complete(uint8_t *p, uint32_t len)
{
	uint32_t ip = ip_len(p), rest = len - ip;
	uint8_t proto = p[ip == 40 ? 6 : 9], *sum = p + ip + (proto == IPPROTO_UDP ? 6 : 16);
	uint16_t n;

	put(p + (ip == 40 ? 4 : 2), ip == 40 ? rest : len);
	if (ip == 20 && (p[0] & 15) == 5)
		checksum_ip4_set(p);
	if (proto == IPPROTO_UDP)
		put(p + ip + 4, rest);
	else if (proto != IPPROTO_TCP)
		return;
	put(sum, 0);
	n = ~checksum_fold(checksum_add(checksum_pseudo(p, proto, rest), p + ip, rest));
	if (!n && proto == IPPROTO_UDP)
		n = 0xffff;
	memcpy(sum, &n, 2);
}

static struct divert_record *large(const uint8_t *data)
{
	uint32_t ip = data[0] & KIND_V6 ? 40 : 20, size = 1 + data[2] % 200, i;
	uint32_t tcp = data[0] & KIND_UDP ? 8 : 20 + data[3] % 11 * 4;
	uint32_t len = ip + tcp + (2 + data[1] % (SEGMENTS - 1)) * size;
	struct divert_record *rec = calloc(1, sizeof(*rec) + len);
	uint8_t *p = (uint8_t *)(rec + 1);

	must(rec != NULL);
	rec->len = len;
	rec->gso_size = size;
	rec->gso_type = data[0] & KIND_UDP ? DIVERT_GSO_UDP : DIVERT_GSO_TCP;
	for (i = ip + tcp; i < len; i++)
		p[i] = i * 7;
	p[0] = ip == 40 ? 0x60 : 0x45;
	p[ip == 40 ? 6 : 9] = data[0] & KIND_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	p[ip + 1] = 9;
	if (!(data[0] & KIND_UDP)) {
		p[ip + 12] = tcp / 4 << 4;
		p[ip + 13] = 0x18;
	}
	complete(p, len);
	return rec;
}

static void change(struct one *one, uint32_t n, const uint8_t *how)
{
	uint32_t i = how[0] % n;
	struct one *o = one + i, was = *o;

	if (how[1] & TRANSACTION_SWAP && i + 1 < n) {
		*o = o[1];
		o[1] = was;
	} else if (how[1] & TRANSACTION_SHORTER) {
		o->head.len -= how[2] % o->head.len;
	} else if (how[1] & TRANSACTION_BACK) {
		((uint8_t *)&o->head.reinject)[how[2] % sizeof(o->head.reinject)] ^= how[3];
	} else {
		o->packet[how[2] % o->head.len] ^= how[3];
	}
	if (how[1] & TRANSACTION_SUMS && o->head.len >= ip_len(o->packet) + 18)
		complete(o->packet, o->head.len);
}

/* Would lib/inject/txpacket.c accept it as a packet? */
static bool is_packet(const struct one *o)
{
	const uint8_t *p = o->packet;

	if (p[0] >> 4 == 6)
		return o->head.len >= 40 && (uint32_t)(p[4] << 8 | p[5]) + 40 == o->head.len;
	return p[0] >> 4 == 4 && o->head.len >= 20 && (p[0] & 15) >= 5 &&
	       (p[0] & 15) * 4 <= o->head.len && (uint32_t)(p[2] << 8 | p[3]) == o->head.len &&
	       checksum_ip4_ok(p);
}

/* ---- what must hold ---- */

static void check(const struct batch *b, uint32_t from, uint32_t n)
{
	struct divert_record *rec;
	struct txpacket o;
	struct cut cut;
	uint8_t *at, built[ROOM + 256];
	uint32_t i;

	gro_make(b, from, n, &o);
	must(o.gso_size && o.iovs >= 3 && o.len <= 65535);
	rec = calloc(1, sizeof(*rec) + o.len);
	must(rec != NULL);
	at = (uint8_t *)(rec + 1);
	for (i = 2; i < o.iovs; i++)
		at = mempcpy(at, o.iov[i].iov_base, o.iov[i].iov_len);
	must(at == (uint8_t *)(rec + 1) + o.len);
	rec->len = o.len;
	rec->flags = DIVERT_REC_PARTIAL;
	rec->gso_size = o.gso_size;
	rec->gso_type = DIVERT_GSO_TCP | DIVERT_GSO_UDP;
	segment_plan(rec, &cut);
	must(cut.segments == n);
	for (i = 0; i < n; i++) {
		const struct divert_batched *h = (const void *)(b->record + b->at[from + i]);

		must(!memcmp(&h->reinject,
			     b->record + b->at[from] + offsetof(struct divert_batched, reinject),
			     sizeof(h->reinject)));
		must(segment_len(rec, &cut, i) == h->len);
		segment_build(rec, &cut, i, built);
		must(!memcmp(built, h + 1, h->len));
	}
	free(rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct one one[SEGMENTS] = {};
	struct divert_record *rec;
	struct dsock s = {.cut = SEGMENTS};
	struct batch b = {};
	struct cut cut;
	uint32_t i, n, from;

	if (size < HEAD)
		return 0;
	rec = large(data);
	segment_plan(rec, &cut);
	for (i = 0; i < cut.segments; i++) {
		one[i].head.len = segment_len(rec, &cut, i);
		segment_build(rec, &cut, i, one[i].packet);
	}
	for (n = HEAD; n + 4 <= size; n += 4)
		change(one, cut.segments, data + n);
	b.record = malloc(2 * sizeof(one));
	must(b.record != NULL);
	for (i = 0; i < cut.segments; i++) {
		if (!is_packet(one + i))
			continue;
		n = sizeof(one[i].head) + one[i].head.len;
		b.at[b.n] = DIVERT_BATCH_NEXT(b.end);
		memcpy(b.record + b.at[b.n], one + i, n);
		b.end = b.at[b.n++] + n;
	}
	for (from = 0; (from = gro_next(&s, &b, from, &n)) < b.n; from += n) {
		n = gro_right(&b, from, n);
		if (n > 1)
			check(&b, from, n);
	}
	free(b.record);
	free(rec);
	return 0;
}
