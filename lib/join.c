// SPDX-License-Identifier: BSD-2-Clause
#include "join.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "batch.h"
#include "checksum.h"
#include "outgoing.h"
#include "socket.h"
#include "wire.h"

#define LEAST	   4 /* below that they are better off with others, in a train or a frame */
#define CUT_MAX	   (4 * DIVERT_BATCH_MAX)
#define PACKET_MAX 65535

#define HEADER4	    20
#define HEADER6	    40
#define TCP_HEADER  20
#define TCP_FIN_PSH 0x09
#define TCP_ACK	    0x10
#define TCP_SPECIAL 0xa6 /* CWR, URG, RST, SYN: of one packet */

/* A segment, as it lies in a batch. */
struct segment {
	const struct divert_batched *head;
	const uint8_t *packet, *tcp;
	uint32_t len;	  /* of the packet, bytes */
	uint32_t payload; /* of it, bytes */
};

void join_cut(struct dsock *s)
{
	s->cut += s->cut < CUT_MAX;
}

bool join_may(const struct dsock *s)
{
	return s->cut >= LEAST && socket_alone();
}

/* What may be one of several: IP headers without more, whole, and what TCP has of data. */
static bool read_segment(const struct batch *b, uint32_t i, struct segment *g)
{
	uint32_t ip, tcp;

	g->head = (const void *)(b->record + b->at[i]);
	g->packet = (const void *)(g->head + 1);
	g->len = g->head->len;
	if (g->packet[0] == 0x45) {
		ip = HEADER4;
		if (g->packet[9] != IPPROTO_TCP || get16(g->packet + 6) & 0x3fff)
			return false;
	} else {
		ip = HEADER6;
		if (g->packet[0] >> 4 != 6 || g->packet[6] != IPPROTO_TCP)
			return false;
	}
	if (g->len <= ip + TCP_HEADER)
		return false;
	g->tcp = g->packet + ip;
	tcp = (g->tcp[12] >> 4) * 4;
	if (tcp < TCP_HEADER || g->len <= ip + tcp)
		return false;
	g->payload = g->len - ip - tcp;
	return !(g->tcp[13] & TCP_SPECIAL) && g->tcp[13] & TCP_ACK;
}

/* Is this one, k behind the first, what the first would be cut into there? */
static bool continues(const struct segment *first, const struct segment *g, uint32_t k)
{
	const uint8_t *p = first->packet, *q = g->packet;
	const uint32_t head = first->len - first->payload;

	if (memcmp(&first->head->back, &g->head->back, sizeof(g->head->back)) ||
	    g->len - g->payload != head || g->payload > first->payload || p[0] != q[0] ||
	    p[1] != q[1])
		return false;
	if (p[0] == 0x45) {
		if (get16(q + 4) != (uint16_t)(get16(p + 4) + k) || memcmp(p + 6, q + 6, 4) ||
		    memcmp(p + 12, q + 12, 8))
			return false;
	} else if (memcmp(p, q, 4) || memcmp(p + 6, q + 6, 34)) {
		return false;
	}
	p = first->tcp;
	q = g->tcp;
	return !memcmp(p, q, 4) && get32(q + 4) == get32(p + 4) + k * first->payload &&
	       !memcmp(p + 8, q + 8, 5) && !((p[13] ^ q[13]) & ~TCP_FIN_PSH) &&
	       !memcmp(p + 14, q + 14, 2) &&
	       !memcmp(p + 18, q + 18, head - (first->tcp - first->packet) - 18);
}

/* A wrong one is the receiver's to find: what the packet is cut into later has right ones. */
static bool right_sum(const struct segment *g)
{
	const uint32_t len = g->len - (g->tcp - g->packet);
	const uint64_t pseudo = checksum_pseudo(g->packet, IPPROTO_TCP, len);

	return get16(g->tcp + 16) != 0xffff && /* as right as 0, and another */
	       checksum_fold(checksum_add(pseudo, g->tcp, len)) == 0xffff;
}

/* How many packets from this one on, at most so many, follow one another by their headers; 1 at least. */
static uint32_t follow(const struct batch *b, uint32_t from, uint32_t most)
{
	struct segment first, g;
	uint32_t n = 1, len;

	if (!read_segment(b, from, &first))
		return 1;
	len = first.len;
	for (g = first; n < most && g.payload == first.payload && !(g.tcp[13] & TCP_FIN_PSH); n++) {
		if (!read_segment(b, from + n, &g) || !continues(&first, &g, n) ||
		    len + g.payload > PACKET_MAX)
			break;
		len += g.payload;
	}
	return n;
}

/* How many of these, which are segments, have right checksums before one that has not; 1 at least. */
static uint32_t right(const struct batch *b, uint32_t from, uint32_t n)
{
	struct segment g;
	uint32_t i;

	for (i = 0; i < n && read_segment(b, from + i, &g) && right_sum(&g); i++)
		;
	return i ? i : 1;
}

uint32_t join_next(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t *n)
{
	uint32_t most = s->cut < IOV_MAX_HERE ? s->cut : IOV_MAX_HERE;

	for (; b->n - from >= LEAST && join_may(s); from += *n) {
		*n = follow(b, from, b->n - from < most ? b->n - from : most);
		if (*n >= LEAST)
			*n = right(b, from, *n);
		if (*n >= LEAST)
			return from;
	}
	return b->n;
}

/* Its headers: the first's, and the flags of the last. */
static void put_header(struct outgoing *o, const struct segment *first, const struct segment *last)
{
	uint8_t *p = o->header;

	o->copied = first->len - first->payload;
	memcpy(p, first->packet, o->copied);
	p[first->tcp - first->packet + 13] |= last->tcp[13];
	if (p[0] == 0x45) {
		put16(p + 2, o->len);
		checksum_ip4_set(p);
	} else {
		put16(p + 4, o->len - HEADER6);
	}
}

int join_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t n)
{
	struct iovec iov[IOV_MAX_HERE];
	struct msghdr msg;
	struct segment first, g;
	struct outgoing o;
	uint32_t i;

	read_segment(b, from, &first);
	iov[0] = (struct iovec){(void *)first.packet, first.len};
	o.len = first.len;
	for (g = first, i = 1; i < n; i++) {
		read_segment(b, from + i, &g);
		iov[i] = (struct iovec){(void *)(g.packet + g.len - g.payload), g.payload};
		o.len += g.payload;
	}
	o.frame.back = first.head->back;
	o.frame.back.flags |= DIVERT_BACK_JOINED;
	o.frame.protocol = first.head->protocol;
	o.packet = o.header;
	o.gso_size = 0;
	put_header(&o, &first, &g);
	outgoing_make_large(&o, first.payload);
	outgoing_gather(&o, iov, n);
	msg = (struct msghdr){.msg_iov = o.iov, .msg_iovlen = o.iovs};
	if (syscall(SYS_sendmsg, s->back_gso, &msg, MSG_DONTWAIT) < 0) {
		if (errno == ENOBUFS)
			socket_refusal(s, s->back_gso);
		return -1;
	}
	s->cut -= n;
	return 0;
}
