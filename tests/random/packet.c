// SPDX-License-Identifier: BSD-2-Clause
/* Random packets. */
#include <arpa/inet.h>
#include <string.h>

#include "packet.h"
#include "rules/rules.h"

uint64_t random_seed = 1;

uint32_t random_chance(uint32_t below)
{
	random_seed = random_seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_seed >> 33) % below;
}

static const char *const addrs4[] = {"10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.7",
				     "192.0.2.200"};
static const char *const addrs6[] = {"fd00::1", "fd00::2", "fd00:0:0:1::1", "2001:db8::7"};
static const char *const ifaces[] = {"eth0", "eth1", "tun0", "lo"};
static const uint8_t protos[] = {1, 6, 6, 6, 6, 17, 17, 47, 58, 132, 136};
static const uint16_t ports[] = {0, 22, 53, 80, 1000, 1001, 65535};

static void put(struct random_bytes *b, const void *bytes, unsigned int n)
{
	memcpy(b->byte + b->n, bytes, n);
	b->n += n;
}

static void put8(struct random_bytes *b, uint8_t v)
{
	put(b, &v, 1);
}

static void put16(struct random_bytes *b, uint16_t v)
{
	v = htons(v);
	put(b, &v, 2);
}

static void put32(struct random_bytes *b, uint32_t v)
{
	v = htonl(v);
	put(b, &v, 4);
}

static void put_option(struct random_bytes *b, uint8_t kind, unsigned int len)
{
	while (!random_chance(3))
		put8(b, 1);
	put8(b, kind);
	put8(b, len);
	while (len-- > 2)
		put8(b, random_chance(256));
}

static void put_padding(struct random_bytes *b, unsigned int from)
{
	while ((b->n - from) % 4)
		put8(b, 0);
}

static void put_ip_options(struct random_bytes *b, unsigned int bits)
{
	unsigned int from = b->n;

	if (bits & DIVERT_IPOPT_RR)
		put_option(b, 7, 3);
	if (bits & DIVERT_IPOPT_TS)
		put_option(b, 68, 4);
	if (bits & DIVERT_IPOPT_LSRR)
		put_option(b, 131, 3);
	if (bits & DIVERT_IPOPT_SSRR)
		put_option(b, 137, 3);
	put_padding(b, from);
}

static void put_tcp(struct random_bytes *b, const struct random_sample *s)
{
	unsigned int at = b->n, from = at + 20;

	put16(b, s->t.sport);
	put16(b, s->t.dport);
	put32(b, s->t.seq);
	put32(b, s->t.ack);
	put8(b, 0);
	put8(b, s->t.tcp_flags);
	put16(b, s->t.window);
	put32(b, 0);
	if (s->t.tcp_options & DIVERT_TCPOPT_WINDOW)
		put_option(b, 3, 3);
	if (s->t.tcp_options & DIVERT_TCPOPT_MSS) {
		put16(b, 0x0204);
		put16(b, s->t.mss);
	}
	if (s->t.tcp_options & DIVERT_TCPOPT_SACK)
		put_option(b, 4, 2);
	if (s->t.tcp_options & DIVERT_TCPOPT_TS)
		put_option(b, 8, 10);
	if (s->t.tcp_options & DIVERT_TCPOPT_CC)
		put_option(b, 11, 6);
	put_padding(b, from);
	while (b->n - at > 60) /* more NOPs than fit */
		b->n -= 4;
	b->byte[at + 12] = (b->n - at) / 4 << 4;
}

static void put_transport(struct random_bytes *b, const struct random_sample *s)
{
	static const unsigned char zero[64];

	if (s->frag_offset)
		put(b, zero, 8);
	else if (s->proto == 6)
		put_tcp(b, s);
	else if (s->proto == 17 || s->proto == 132 || s->proto == 136) {
		put16(b, s->t.sport);
		put16(b, s->t.dport);
		put(b, zero, s->proto == 132 ? 8 : 4);
	} else {
		put8(b, s->t.type);
		put8(b, s->t.code);
		put(b, zero, 6);
	}
	put(b, zero, s->t.data);
}

static void make4(struct random_bytes *b, const struct random_sample *s)
{
	static const unsigned char zero[2];

	put16(b, 0x4500 | s->tos);
	put16(b, 0);
	put16(b, s->id);
	put16(b, (s->offset_bits & RULE_FRAG_RF ? 0x8000 : 0) |
			 (s->offset_bits & RULE_FRAG_DF ? 0x4000 : 0) |
			 (s->offset_bits & RULE_FRAG_MF ? 0x2000 : 0) | s->frag_offset);
	put8(b, s->ttl);
	put8(b, s->proto);
	put(b, zero, 2);
	put(b, s->src, 4);
	put(b, s->dst, 4);
	put_ip_options(b, s->ip_options);
	b->byte[0] = 0x40 | b->n / 4;
	put_transport(b, s);
	b->byte[2] = b->n >> 8;
	b->byte[3] = b->n;
}

/*
 * Add an extension header of 8 bytes. next is the place of its type; returns the place of the type
 * of what follows.
 */
static unsigned int put_ext(struct random_bytes *b, unsigned int next, uint8_t header,
			    uint8_t third)
{
	unsigned int at = b->n;

	b->byte[next] = header;
	put8(b, 0);
	put8(b, 0);
	put8(b, third);
	put8(b, 0);
	put32(b, 0);
	return at;
}

static void make6(struct random_bytes *b, const struct random_sample *s)
{
	unsigned int next = 6, frag;

	put32(b, 6u << 28 | (uint32_t)s->tos << 20 | s->flow);
	put16(b, 0);
	put8(b, 0);
	put8(b, s->ttl);
	put(b, s->src, 16);
	put(b, s->dst, 16);
	if (s->ext & DIVERT_EXT_HOPOPT)
		next = put_ext(b, next, 0, 0);
	if (s->ext & DIVERT_EXT_ROUTE)
		next = put_ext(b, next, 43,
			       s->ext & DIVERT_EXT_RTHDR0   ? 0
			       : s->ext & DIVERT_EXT_RTHDR2 ? 2
							    : 4);
	if (s->ext & DIVERT_EXT_DSTOPT)
		next = put_ext(b, next, 60, 0);
	if (s->ext & DIVERT_EXT_AH)
		next = put_ext(b, next, 51, 0);
	if (s->ext & DIVERT_EXT_FRAG) {
		frag = put_ext(b, next, 44, s->frag_offset >> 5);
		b->byte[frag + 3] = s->frag_offset << 3 | 1;
		b->n -= 4;
		put32(b, s->fragment_id);
		next = frag;
	}
	b->byte[next] = s->proto;
	put_transport(b, s);
	b->byte[4] = (b->n - 40) >> 8;
	b->byte[5] = b->n - 40;
}

/* ---- flows ---- */

static struct random_flow {
	struct random_sample first;
	bool is_connection, back_ends; /* the other side sends FIN before the first one does */
	unsigned int step;
} flows[6];
static unsigned int n_flows;

enum {
	FIN = 1,
	SYN = 2,
	RST = 4,
	ACK = 16,
};

static const struct {
	bool back, ends;
	uint8_t flags;
} connection[] = {
	{false, false, SYN},	  {true, false, SYN | ACK}, {false, false, ACK},
	{true, false, ACK},	  {false, false, ACK},	    {true, false, ACK},
	{false, true, FIN | ACK}, {true, true, ACK},	    {true, true, FIN | ACK},
	{false, true, ACK},
};

#define STEPS (sizeof(connection) / sizeof(*connection))

/*
 * In half of the sets, most packets are of one flow of UDP, on one way, and differ only in what the
 * verdict cache does not look at.
 */
static struct random_sample busy;
static bool is_busy;

static void random_busy(void)
{
	random_sample(&busy);
	busy.proto = 17;
	busy.ext = busy.ip_options = busy.offset_bits = busy.frag_offset = 0;
	busy.tag = busy.reinject = 0;
	busy.segments = 0;
	is_busy = true;
}

static void vary(struct random_sample *s)
{
	*s = busy;
	s->t.data = random_chance(3);
	s->ttl = 1 + random_chance(3);
	s->tos = random_chance(256);
	s->id = random_chance(4);
	s->mark = random_chance(4);
	if (!random_chance(16))
		s->t.sport++;
}

void random_flows(void)
{
	unsigned int i;

	n_flows = 0;
	is_busy = false;
	for (i = 0; i < sizeof(flows) / sizeof(*flows); i++)
		random_sample(&flows[i].first);
	for (i = 0; i < sizeof(flows) / sizeof(*flows); i++) {
		flows[i].is_connection = random_chance(2);
		flows[i].back_ends = random_chance(2);
		flows[i].step = 0;
	}
	n_flows = 1 + random_chance(i);
	if (random_chance(2))
		random_busy();
}

/* The next segment of a connection: its flags, and whether it goes back. */
static uint8_t next_segment(struct random_flow *f, bool *back)
{
	unsigned int step = f->step;

	if (!random_chance(32)) {
		f->step = 0;
		*back = random_chance(2);
		return random_chance(2) ? RST : RST | ACK;
	}
	if (random_chance(8)) /* else it is sent again */
		f->step = (step + 1 + !random_chance(16)) % STEPS;
	*back = connection[step].back != (connection[step].ends && f->back_ends);
	return connection[step].flags;
}

/* Make it a packet of this flow, which has its family. */
static void follow(struct random_sample *s, struct random_flow *f)
{
	static const uint8_t flags[] = {SYN, SYN, SYN | ACK, SYN | ACK, ACK,
					ACK, ACK, FIN | ACK, RST};
	const struct random_sample *flow = &f->first;
	bool back = random_chance(2);

	if (f->is_connection && flow->proto == 6 && random_chance(16))
		s->t.tcp_flags = next_segment(f, &back);
	else if (random_chance(8))
		s->t.tcp_flags = RANDOM_PICK(flags);
	memcpy(s->src, back ? flow->dst : flow->src, 16);
	memcpy(s->dst, back ? flow->src : flow->dst, 16);
	s->proto = flow->proto;
	s->t.sport = back ? flow->t.dport : flow->t.sport;
	s->t.dport = back ? flow->t.sport : flow->t.dport;
}

/* An acknowledgement; some are far ahead of others, or behind. */
static uint32_t random_ack(void)
{
	static const uint32_t far[] = {0xffffffff, 0x7fffffff, 0x80000000, 0x80000001, 0x80000002};

	return random_chance(32) ? random_chance(3) : RANDOM_PICK(far);
}

void random_sample(struct random_sample *s)
{
	struct random_flow *flow = NULL;

	if (is_busy && random_chance(3)) {
		vary(s);
		return;
	}
	if (n_flows && random_chance(4))
		flow = &flows[random_chance(n_flows)];
	memset(s, 0, sizeof(*s));
	s->six = flow ? flow->first.six : random_chance(2);
	if (s->six) {
		inet_pton(AF_INET6, RANDOM_PICK(addrs6), s->src);
		inet_pton(AF_INET6, RANDOM_PICK(addrs6), s->dst);
		s->ext = random_chance(2) ? 0 : random_chance(32);
		if (s->ext & DIVERT_EXT_ROUTE)
			s->ext |= random_chance(2)   ? DIVERT_EXT_RTHDR0
				  : random_chance(2) ? DIVERT_EXT_RTHDR2
						     : 0;
		if (s->ext & DIVERT_EXT_FRAG && random_chance(2))
			s->frag_offset = 2 + random_chance(300);
		s->flow = random_chance(3);
	} else {
		inet_pton(AF_INET, RANDOM_PICK(addrs4), s->src);
		inet_pton(AF_INET, RANDOM_PICK(addrs4), s->dst);
		s->ip_options = random_chance(4) ? 0 : random_chance(16);
		s->offset_bits = random_chance(8) << 1;
		s->frag_offset = random_chance(4) ? 0 : 2 + random_chance(300);
	}
	s->proto = RANDOM_PICK(protos);
	s->ttl = 1 + random_chance(3);
	s->tos = random_chance(2) ? random_chance(256) : 46 << 2;
	s->t.type = random_chance(2) ? 8 : 128;
	s->t.code = random_chance(3);
	s->t.tcp_flags = random_chance(64);
	s->t.sport = RANDOM_PICK(ports);
	s->t.dport = RANDOM_PICK(ports);
	if (flow)
		follow(s, flow);
	s->id = random_chance(4);
	s->t.window = random_chance(4);
	s->t.tcp_options = random_chance(2) ? 0 : random_chance(32);
	s->t.mss = 1000 + random_chance(3);
	s->t.data = random_chance(3);
	s->t.seq = random_chance(3);
	s->t.ack = random_ack();
	s->mark = random_chance(4);
	s->random = random_chance(1u << 31) * 2;
	s->uid = random_chance(3) - 1;
	s->gid = random_chance(3) - 1;
	s->path = random_chance(8);
	s->nobody = random_chance(2) ? ~0ull : 0;
	s->fragment_id = random_chance(4);
	s->tag = random_chance(3) ? 0 : random_chance(random_chance(4) ? 40 : 1000);
	s->out = random_chance(2);
	s->forwarded = s->out && random_chance(2);
	s->recv = !s->out || s->forwarded ? RANDOM_PICK(ifaces) : NULL;
	s->xmit = s->out ? RANDOM_PICK(ifaces) : NULL;
	if (!random_fragment(s) && !random_chance(4))
		s->segments = 1 + random_chance(4);
	if (!random_chance(3))
		s->reinject = s->out ? DIVERT_IS_REINJECTED_OUT : DIVERT_IS_REINJECTED_IN;
}

bool random_fragment(const struct random_sample *s)
{
	return s->six ? s->ext & DIVERT_EXT_FRAG : s->frag_offset || s->offset_bits & RULE_FRAG_MF;
}

bool random_later(struct random_sample *s)
{
	if (!random_fragment(s) || s->frag_offset)
		return false;
	s->frag_offset = 2 + random_chance(300);
	s->t.data = random_chance(3);
	return true;
}

void random_packet(struct random_bytes *b, struct random_sample *s)
{
	b->n = 0;
	if (s->six)
		make6(b, s);
	else
		make4(b, s);
	s->len = b->n;
}
