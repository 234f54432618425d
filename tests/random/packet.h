/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets at random: what one is made of, and its bytes. */
#ifndef TESTS_RANDOM_PACKET_H
#define TESTS_RANDOM_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#define RANDOM_PACKET_MAX 512

/* What chance goes by: the same random_seed gives the same rule sets and packets. */
extern uint64_t random_seed;

uint32_t random_chance(uint32_t below);

#define RANDOM_PICK(list) ((list)[random_chance(sizeof(list) / sizeof(*(list)))])

struct random_sample {
	bool six, out, forwarded;
	uint8_t proto, ttl, tos, type, code, tcp_flags,
		offset_bits; /* as enum rule_frag, no offset */
	uint16_t sport, dport, id, window, mss, ip_options, tcp_options, ext, data, frag_offset,
		tag;
	uint32_t seq, ack, flow, mark, back, random, len, fragment_id; /* of IPv6; of IPv4: id */
	int64_t uid, gid;					       /* -1: none */
	unsigned char src[16], dst[16];
	const char *recv, *xmit; /* NULL: none */
	uint64_t nobody; /* bit i: nobody listens at port i for it; at others nobody ever does */
	uint32_t tablearg;
	uint8_t path; /* bit i: enum divert_path i holds of it */
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

/* Is it a fragment, also a first one? */
bool random_fragment(const struct random_sample *s);

/* Make a first fragment a later one of the same packet. false: it is no first fragment. */
bool random_later(struct random_sample *s);

/* Its bytes, from the IP header on; fills in len. */
void random_packet(struct random_bytes *b, struct random_sample *s);

#endif
