/* SPDX-License-Identifier: BSD-2-Clause */
/* Random packets: what a packet is made of, and its bytes. */
#ifndef TESTS_RANDOM_PACKET_H
#define TESTS_RANDOM_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#define RANDOM_PACKET_MAX 512

/* The seed: the same random_seed gives the same rule sets and packets. */
extern uint64_t random_seed;

uint32_t random_chance(uint32_t below);

#define RANDOM_PICK(list) ((list)[random_chance(sizeof(list) / sizeof(*(list)))])

/* The transport header. A later fragment has none of it. */
struct random_transport {
	uint8_t type, code, tcp_flags;
	uint16_t sport, dport, window, mss, tcp_options, data;
	uint32_t seq, ack;
};

struct random_sample {
	bool six, out, forwarded;
	uint8_t proto, ttl, tos, offset_bits; /* as enum rule_frag, without the offset */
	uint16_t id, ip_options, ext, frag_offset, tag;
	struct random_transport t;
	uint32_t flow, mark, reinject, random, len, fragment_id; /* of IPv6; for IPv4: id */
	int64_t uid, gid;					 /* -1: none */
	unsigned char src[16], dst[16];
	const char *recv, *xmit; /* NULL: none */
	uint16_t segments;	 /* of a large packet; 0: it is none */
	/* bit i: nobody listens at port i for it; at other ports nobody ever does */
	uint64_t nobody;
	uint32_t tablearg;
	bool asked;   /* for the transport header: plain_match() sets it */
	uint8_t path; /* bit i: enum divert_rpf i is true */
};

struct random_bytes {
	unsigned char byte[RANDOM_PACKET_MAX];
	unsigned int n;
};

static inline bool random_nobody(const struct random_sample *s, uint16_t port)
{
	return port >= 64 || s->nobody >> port & 1;
}

void random_sample(struct random_sample *s);

/*
 * Choose a few flows. From now on most packets belong to one of them, in either direction. Some
 * TCP flows are connections, one after another: they begin, carry data and end, with a few segments
 * lost, sent again or forged. The others have flags at random.
 */
void random_flows(void);

/* Is it a fragment? A first one counts, too. */
bool random_fragment(const struct random_sample *s);

/* Make a first fragment a later one of the same packet. false: it is no first fragment. */
bool random_later(struct random_sample *s);

/* Makes its bytes, from the IP header on, and fills in len. */
void random_packet(struct random_bytes *b, struct random_sample *s);

#endif
