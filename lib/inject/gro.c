// SPDX-License-Identifier: BSD-2-Clause
#include "gro.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "batch.h"
#include "engine/reinject.h"
#include "lib/core/biased_lock.h"
#include "lib/core/kernel.h"
#include "lib/core/socket.h"
#include "lib/packet/checksum.h"
#include "lib/packet/wire.h"
#include "txpacket.h"

#define LEAST	   4 /* packets; fewer are cheaper on the bulk path or in a frame */
#define CUT_MAX	   (4 * DIVERT_BATCH_MAX)
#define PACKET_MAX 65535

#define HEADER4	    20
#define HEADER6	    40
#define TCP_HEADER  20
#define UDP_HEADER  8
#define TCP_FIN_PSH 0x09
#define TCP_ACK	    0x10
#define TCP_SPECIAL 0xa6 /* CWR, URG, RST, SYN: not to be merged */

/* A segment in a batch. */
struct segment {
	const struct divert_batched *head;
	const uint8_t *packet, *transport;
	uint32_t len;	  /* bytes of the packet */
	uint32_t payload; /* bytes of its payload */
	uint8_t proto;	  /* TCP or UDP */
};

void gro_cut(struct dsock *s)
{
	s->cut += s->cut < CUT_MAX;
}

bool gro_may(const struct dsock *s)
{
	return s->cut >= LEAST && biased_lock_mine(s);
}

/* Can the kernel split UDP packets? */
static bool takes_udp(const struct dsock *s)
{
	static uint32_t types;

	if (!types)
		types = reinject_large_types(s->reinject_gso);
	return types & DIVERT_GSO_UDP;
}

/* Length of the transport header; 0: the segment cannot be merged. len: bytes from there on. */
static uint32_t transport_len(const uint8_t *t, uint32_t len, uint8_t proto)
{
	uint32_t head;

	if (proto == IPPROTO_UDP)
		return len > UDP_HEADER && get16(t + 4) == len && get16(t + 6) ? UDP_HEADER : 0;
	if (proto != IPPROTO_TCP || len <= TCP_HEADER)
		return 0;
	head = (t[12] >> 4) * 4;
	return head >= TCP_HEADER && head < len && !(t[13] & TCP_SPECIAL) && t[13] & TCP_ACK ? head
											     : 0;
}

/*
 * Read a segment. False if it cannot be merged: it is a fragment, has IP options or extension
 * headers, or no payload.
 */
static bool read_segment(const struct batch *b, uint32_t i, struct segment *g)
{
	uint32_t ip, head;
	bool six;

	g->head = batch_record(b, i);
	g->packet = (const void *)(g->head + 1);
	g->len = g->head->len;
	g->payload = 0;
	six = g->packet[0] >> 4 == 6;
	ip = six ? HEADER6 : HEADER4;
	g->proto = g->packet[six ? 6 : 9];
	g->transport = g->packet + ip;
	if (!six && (g->packet[0] != 0x45 || get16(g->packet + 6) & 0x3fff))
		return false;
	head = transport_len(g->transport, g->len - ip, g->proto);
	g->payload = g->len - ip - head;
	return head;
}

/* Is g what the first segment's packet would have as its k-th segment? */
static bool continues(const struct segment *first, const struct segment *g, uint32_t k)
{
	const uint8_t *p = first->packet, *q = g->packet;
	const uint32_t head = first->len - first->payload;

	if (memcmp(&first->head->reinject, &g->head->reinject, sizeof(g->head->reinject)) ||
	    memcmp(first->head->link, g->head->link, sizeof(g->head->link)) ||
	    g->len - g->payload != head || g->payload > first->payload || p[0] != q[0] ||
	    p[1] != q[1])
		return false;
	if (p[0] == 0x45) {
		if (get16(q + 4) != (uint16_t)(get16(p + 4) + k) || memcmp(p + 6, q + 6, 4) ||
		    memcmp(p + 12, q + 12, 8))
			return false;
	} else if (memcmp(p + 2, q + 2, 2) || memcmp(p + 6, q + 6, 34)) {
		return false;
	}
	p = first->transport;
	q = g->transport;
	if (first->proto == IPPROTO_UDP)
		return !memcmp(p, q, 4);
	return !memcmp(p, q, 4) && get32(q + 4) == get32(p + 4) + k * first->payload &&
	       !memcmp(p + 8, q + 8, 5) && !((p[13] ^ q[13]) & ~TCP_FIN_PSH) &&
	       !memcmp(p + 14, q + 14, 2) &&
	       !memcmp(p + 18, q + 18, head - (first->transport - first->packet) - 18);
}

/*
 * Do not merge a segment with a wrong checksum: the kernel would correct it in splitting, and the
 * receiver must detect it.
 */
static bool right_sum(const struct segment *g)
{
	const uint32_t len = g->len - (g->transport - g->packet);
	const uint64_t pseudo = checksum_pseudo(g->packet, g->proto, len);

	if (g->proto == IPPROTO_TCP && get16(g->transport + 16) == 0xffff)
		return false; /* 0xffff and 0 are both correct; the kernel would make it 0 */
	return checksum_fold(checksum_add(pseudo, g->transport, len)) == 0xffff;
}

/* Must the merged packet end with this segment? */
static bool is_last(const struct segment *first, const struct segment *g)
{
	return g->payload < first->payload ||
	       (g->proto == IPPROTO_TCP && g->transport[13] & TCP_FIN_PSH);
}

/* How many packets from `from` on, at most `most`, can be merged by their headers. At least 1. */
static uint32_t follow(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t most)
{
	struct segment first, g;
	uint32_t n = 1, len;

	if (!read_segment(b, from, &first) || (first.proto == IPPROTO_UDP && !takes_udp(s)))
		return 1;
	len = first.len;
	for (g = first; n < most && !is_last(&first, &g); n++) {
		if (!read_segment(b, from + n, &g) || !continues(&first, &g, n) ||
		    len + g.payload > PACKET_MAX)
			break;
		len += g.payload;
	}
	return n;
}

uint32_t gro_right(const struct batch *b, uint32_t from, uint32_t n)
{
	struct segment g;
	uint32_t i;

	for (i = 0; i < n && read_segment(b, from + i, &g) && right_sum(&g); i++)
		;
	return i ? i : 1;
}

uint32_t gro_next(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t *n)
{
	uint32_t most = s->cut < IOV_MAX_HERE ? s->cut : IOV_MAX_HERE;

	for (; b->n - from >= LEAST && gro_may(s); from += *n) {
		*n = follow(s, b, from, b->n - from < most ? b->n - from : most);
		if (*n >= LEAST)
			return from;
	}
	return b->n;
}

/* Build the headers: the first segment's, with the last one's TCP flags. */
static void put_header(struct txpacket *o, const struct segment *first, const struct segment *last)
{
	const uint32_t ip = first->transport - first->packet;
	uint8_t *p = o->header;

	o->copied = first->len - first->payload;
	memcpy(p, first->packet, o->copied);
	if (p[0] == 0x45) {
		put16(p + 2, o->len);
		checksum_ip4_set(p);
	} else {
		put16(p + 4, o->len - HEADER6);
	}
	p += ip;
	if (first->proto == IPPROTO_UDP)
		put16(p + 4, o->len - ip);
	else
		p[13] |= last->transport[13];
}

void gro_make(const struct batch *b, uint32_t from, uint32_t n, struct txpacket *o)
{
	struct iovec iov[IOV_MAX_HERE];
	struct segment first, g;
	uint32_t i;

	read_segment(b, from, &first);
	g = first;
	iov[0] = (struct iovec){(void *)first.packet, first.len};
	o->len = first.len;
	for (i = 1; i < n; i++) {
		read_segment(b, from + i, &g);
		iov[i] = (struct iovec){(void *)(g.packet + g.len - g.payload), g.payload};
		o->len += g.payload;
	}
	o->frame.reinject = first.head->reinject;
	memcpy(o->frame.link, first.head->link, sizeof(o->frame.link));
	o->frame.reinject.flags |= DIVERT_REINJECT_JOINED;
	o->frame.protocol = first.head->protocol;
	o->packet = o->header;
	o->gso_size = 0;
	put_header(o, &first, &g);
	txpacket_make_large(o, first.payload);
	txpacket_gather(o, iov, n);
}

int gro_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t n)
{
	struct txpacket o;
	struct msghdr msg = {.msg_iov = o.iov};

	if (n < LEAST)
		return -1;
	gro_make(b, from, n, &o);
	msg.msg_iovlen = o.iovs;
	if (syscall(SYS_sendmsg, s->reinject_gso, &msg, MSG_DONTWAIT) < 0) {
		if (errno == ENOBUFS)
			socket_refusal(s, s->reinject_gso);
		return -1;
	}
	s->cut -= n;
	return 0;
}
