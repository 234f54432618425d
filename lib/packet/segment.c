// SPDX-License-Identifier: BSD-2-Clause
#include "segment.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include "checksum.h"
#include "chunks.h"
#include "wire.h"

#include "engine/bytes.h"
#include "engine/packet.h"

#define TCP_HEADER   20
#define HEADER6	     40
#define PACKET_MAX   65535
#define OPTION_JUMBO 0xc2 /* RFC 2675 */
#define UDP_HEADER   8
#define SCTP_HEADER  12
#define SCTP_SUM     8
#define TCP_FIN_PSH  0x09
#define TCP_CWR	     0x80

static const uint8_t *packet_of(const struct divert_record *rec)
{
	return (const uint8_t *)(rec + 1);
}

/*
 * Length of the jumbo header that the kernel adds to IPv6 packets above 64 KiB. 0: the packet has
 * none.
 */
static uint32_t jumbo_len(const struct bytes *b)
{
	const uint8_t *ext = b->at + HEADER6;

	if (b->len <= PACKET_MAX || b->at[0] >> 4 != 6 || b->at[6] != PROTO_HOPOPTS)
		return 0;
	return ext[1] == 0 && ext[2] == OPTION_JUMBO ? 8 : 0;
}

/*
 * Payload bytes of a segment that fits into a program's buffer. IPv6 GSO segments may be longer, as
 * they are on lo; TCP's are then split further.
 */
static uint32_t fitting(const struct divert_record *rec, const struct cut *cut)
{
	uint32_t head = cut->head - cut->jumbo;
	uint32_t most = head < PACKET_MAX ? PACKET_MAX - head : 0;

	if (cut->proto == PROTO_TCP && (!rec->gso_size || rec->gso_size > most))
		return most;
	return rec->gso_size <= most ? rec->gso_size : 0;
}

int segment_heads(const uint8_t *packet, uint32_t have, uint32_t len, struct heads *h)
{
	struct bytes bytes = {packet, have};
	struct divert_packet p = {};
	struct packet_shape shape;
	uint8_t offset;

	if (packet_read(&bytes, packet[0] >> 4, len, &p, &shape) || shape.fragment)
		return -1;
	h->transport = shape.payload;
	h->proto = p.field[DIVERT_F_PROTO];
	if (h->proto == PROTO_TCP) {
		if (packet_load(&bytes, shape.payload + 12, &offset, 1) || offset >> 4 < 5)
			return -1;
		h->len = shape.payload + (offset >> 4) * 4;
		h->sum = shape.payload + 16;
	} else if (h->proto == PROTO_UDP) {
		h->len = shape.payload + UDP_HEADER;
		h->sum = shape.payload + 6;
	} else {
		return -1;
	}
	return h->len <= have ? 0 : -1;
}

/* Offset of the SCTP header; 0: not an SCTP packet. */
static uint32_t sctp_header(const uint8_t *packet, uint32_t len)
{
	struct bytes bytes = {packet, len};
	struct divert_packet p = {};
	struct packet_shape shape;

	if (packet_read(&bytes, packet[0] >> 4, len, &p, &shape) || shape.fragment ||
	    p.field[DIVERT_F_PROTO] != PROTO_SCTP || shape.payload + SCTP_HEADER > len)
		return 0;
	return shape.payload;
}

/*
 * gso_size is the length of the longest packet. If we fill packets up to that with whole chunks,
 * the boundaries are the sender's.
 */
static void plan_sctp(const struct divert_record *rec, struct cut *cut)
{
	const uint8_t *packet = packet_of(rec);
	uint32_t at = sctp_header(packet, rec->len), head = at + SCTP_HEADER, packets;

	if (!at)
		return;
	packets = chunks_packets(packet + head, rec->len - head, rec->gso_size);
	if (packets < 2)
		return;
	cut->transport = at;
	cut->proto = PROTO_SCTP;
	cut->head = head;
	cut->size = rec->gso_size;
	cut->segments = packets;
}

void segment_plan(const struct divert_record *rec, struct cut *cut)
{
	struct bytes bytes = {packet_of(rec), rec->len};
	struct heads h;

	memset(cut, 0, sizeof(*cut));
	cut->segments = 1;
	if (!rec->len || rec->gso_type & DIVERT_GSO_OTHER ||
	    (!rec->gso_size && rec->len <= PACKET_MAX))
		return;
	if (rec->gso_type & DIVERT_GSO_SCTP) {
		plan_sctp(rec, cut);
		return;
	}
	if (segment_heads(bytes.at, bytes.len, bytes.len, &h))
		return;
	if (rec->gso_size && !(rec->gso_type & DIVERT_GSO_TCP) && h.proto == PROTO_TCP)
		return;
	if (!(rec->gso_type & DIVERT_GSO_UDP) && h.proto == PROTO_UDP)
		return;
	cut->transport = h.transport;
	cut->proto = h.proto;
	cut->head = h.len;
	cut->jumbo = jumbo_len(&bytes);
	cut->size = fitting(rec, cut);
	if (cut->head < rec->len && cut->size)
		cut->segments = (rec->len - cut->head + cut->size - 1) / cut->size;
}

void segment_plan_whole(const struct divert_record *rec, uint32_t gso_types, struct cut *cut)
{
	uint32_t most;

	segment_plan(rec, cut);
	if (cut->segments == 1 || !(rec->gso_type & gso_types) || cut->size != rec->gso_size)
		return;
	cut->gso_size = rec->gso_size;
	most = PACKET_MAX - (cut->head - cut->jumbo);
	if (rec->len <= PACKET_MAX)
		cut->segments = 1;
	else /* a multiple of gso_size: the final segments are then those of the original packet */
		cut->size = most - most % rec->gso_size;
	if (cut->segments > 1)
		cut->segments = (rec->len - cut->head + cut->size - 1) / cut->size;
}

/* A segment's payload: offset from the end of the headers, and length. */
struct part {
	uint32_t at, len;
};

/*
 * The payload of SCTP segment i. noinline: SCTP is rare, and other packets should not pay for its
 * stack.
 */
static __attribute__((noinline)) struct part sctp_part(const struct divert_record *rec,
						       const struct cut *cut, uint32_t i)
{
	const uint8_t *chunks = packet_of(rec) + cut->head;
	const uint32_t all = rec->len - cut->head;
	struct part p = {};

	while ((p.len = chunks_fit(chunks + p.at, all - p.at, cut->size)) && i--)
		p.at += p.len;
	return p;
}

static uint32_t begin(const struct divert_record *rec, const struct cut *cut, uint32_t i)
{
	return cut->proto == PROTO_SCTP ? sctp_part(rec, cut, i).at : i * cut->size;
}

uint32_t segment_len(const struct divert_record *rec, const struct cut *cut, uint32_t i)
{
	if (cut->segments == 1)
		return rec->len;
	if (cut->proto == PROTO_SCTP)
		return cut->head + sctp_part(rec, cut, i).len;
	if (i + 1 < cut->segments)
		return cut->head - cut->jumbo + cut->size;
	return rec->len - cut->jumbo - (cut->segments - 1) * cut->size;
}

uint32_t segment_gso(const struct divert_record *rec, const struct cut *cut, uint32_t i)
{
	uint32_t head = cut->head - (cut->segments > 1 ? cut->jumbo : 0);

	return segment_len(rec, cut, i) > head + cut->gso_size ? cut->gso_size : 0;
}

/* Complete the transport checksum of a packet. */
static void put_transport_sum(uint8_t *packet, uint32_t transport, uint32_t len, uint8_t proto,
			      uint32_t at)
{
	uint16_t sum = 0;

	memcpy(packet + at, &sum, 2);
	sum = ~checksum_fold(checksum_add(checksum_pseudo(packet, proto, len - transport),
					  packet + transport, len - transport));
	if (!sum && proto == PROTO_UDP)
		sum = 0xffff;
	memcpy(packet + at, &sum, 2);
}

void segment_set_partial(uint8_t *packet, uint32_t len, const struct heads *h)
{
	uint16_t sum = checksum_fold(checksum_pseudo(packet, h->proto, len - h->transport));

	memcpy(packet + h->sum, &sum, 2);
}

/* SCTP's checksum is a CRC32c, stored least significant byte first. */
static void put_crc(uint8_t *sctp, uint32_t len)
{
	uint32_t crc;

	memset(sctp + SCTP_SUM, 0, sizeof(crc));
	crc = htole32(checksum_crc32c(sctp, len));
	memcpy(sctp + SCTP_SUM, &crc, sizeof(crc));
}

/*
 * Complete the checksum that the sender left to its network card, from the partial sum in the
 * packet.
 */
static void complete(const struct divert_record *rec, uint8_t *packet)
{
	uint32_t at = rec->csum_start + rec->csum_offset;
	uint16_t sum;

	if (rec->csum_start >= rec->len || at + 2 > rec->len)
		return;
	if (rec->csum_offset == SCTP_SUM && rec->csum_start &&
	    rec->csum_start == sctp_header(packet, rec->len)) {
		put_crc(packet + rec->csum_start, rec->len - rec->csum_start);
		return;
	}
	sum = ~checksum_fold(checksum_add(0, packet + rec->csum_start, rec->len - rec->csum_start));
	if (!sum && rec->csum_offset == 6)
		sum = 0xffff; /* 0 in UDP means no checksum */
	memcpy(packet + at, &sum, 2);
}

static void put_sum(const struct divert_record *rec, const struct cut *cut, uint32_t i,
		    uint8_t *packet)
{
	struct heads h = {
		.transport = cut->transport - cut->jumbo,
		.sum = cut->transport - cut->jumbo + (cut->proto == PROTO_TCP ? 16 : 6),
		.proto = cut->proto,
	};
	uint32_t len = segment_len(rec, cut, i);

	if (segment_gso(rec, cut, i))
		segment_set_partial(packet, len, &h);
	else
		put_transport_sum(packet, h.transport, len, h.proto, h.sum);
}

static void build_tcp(const struct cut *cut, uint32_t i, uint32_t done, uint8_t *tcp)
{
	uint32_t seq;

	memcpy(&seq, tcp + 4, 4);
	seq = htonl(ntohl(seq) + done);
	memcpy(tcp + 4, &seq, 4);
	if (i + 1 < cut->segments)
		tcp[13] &= ~TCP_FIN_PSH;
	if (i)
		tcp[13] &= ~TCP_CWR;
}

/* IPv4 ids that a segment uses up. */
static uint32_t ids(const struct cut *cut)
{
	return cut->gso_size ? cut->size / cut->gso_size : 1;
}

void segment_build(const struct divert_record *rec, const struct cut *cut, uint32_t i, void *to)
{
	uint32_t head = cut->head - cut->jumbo, transport = cut->transport - cut->jumbo;
	uint32_t len = segment_len(rec, cut, i), done;
	const uint8_t *from = packet_of(rec);
	uint8_t *packet = to;

	if (cut->segments == 1) {
		memcpy(packet, from, len);
		if (cut->head && packet[0] >> 4 == 4 && !get16(packet + 2)) {
			/* a big packet, to which the kernel gives no length */
			put16(packet + 2, len);
			checksum_ip4_set(packet);
		}
		if (rec->flags & DIVERT_REC_PARTIAL && !cut->gso_size)
			complete(rec, packet);
		return;
	}
	done = begin(rec, cut, i);
	if (cut->jumbo) {
		memcpy(packet, from, HEADER6);
		packet[6] = from[HEADER6];
		memcpy(packet + HEADER6, from + HEADER6 + cut->jumbo,
		       cut->head - HEADER6 - cut->jumbo);
	} else {
		memcpy(packet, from, cut->head);
	}
	memcpy(packet + head, from + cut->head + done, len - head);
	if (packet[0] >> 4 == 4) {
		put16(packet + 2, len);
		if (!(rec->gso_type & DIVERT_GSO_FIXEDID))
			put16(packet + 4, get16(packet + 4) + i * ids(cut));
		checksum_ip4_set(packet);
	} else {
		put16(packet + 4, len - 40);
	}
	if (cut->proto == PROTO_TCP) {
		build_tcp(cut, i, done, packet + transport);
		put_sum(rec, cut, i, packet);
	} else if (cut->proto == PROTO_SCTP) {
		put_crc(packet + transport, len - transport);
	} else {
		put16(packet + transport + 4, len - transport);
		if (get16(from + cut->transport + 6) || rec->flags & DIVERT_REC_PARTIAL)
			put_sum(rec, cut, i, packet);
	}
}
