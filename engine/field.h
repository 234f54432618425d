/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packet fields that few rules test, read only when a rule does; compiled into both halves.
 * packet_read() has already checked the headers.
 */
#ifndef DIVERT_ENGINE_FIELD_H
#define DIVERT_ENGINE_FIELD_H

#include "packet.h"

enum {
	LOAD_OPTION_BYTES = 40, /* of IPv4 options, and of TCP options */
	LOAD_TCP_HEADER = 20,
	LOAD_TCP_OFFSET = 12, /* offset of the data offset field */
};

/*
 * Read width bytes, at an offset from the IP header, as a number. 0: the packet has no such bytes.
 */
static __always_inline int load_number(void *from, __u32 at, __u32 width, struct divert_packet *p)
{
	__be32 four;
	__be16 two;
	__u8 one;

	if (at + width > p->field[DIVERT_F_LEN])
		return 0;
	switch (width) {
	case 1:
		if (packet_load(from, at, &one, sizeof(one)))
			return 0;
		p->field[DIVERT_F_LOADED] = one;
		return 1;
	case 2:
		if (packet_load(from, at, &two, sizeof(two)))
			return 0;
		p->field[DIVERT_F_LOADED] = packet_u16(two);
		return 1;
	case 4:
		if (packet_load(from, at, &four, sizeof(four)))
			return 0;
		p->field[DIVERT_F_LOADED] = packet_u32(four);
		return 1;
	}
	return 0;
}

static __always_inline __u32 load_ip_option(__u8 kind)
{
	switch (kind) {
	case 7:
		return DIVERT_IPOPT_RR;
	case 68:
		return DIVERT_IPOPT_TS;
	case 131:
		return DIVERT_IPOPT_LSRR;
	case 137:
		return DIVERT_IPOPT_SSRR;
	}
	return 0;
}

static __always_inline __u32 load_tcp_option(__u8 kind)
{
	switch (kind) {
	case 2:
		return DIVERT_TCPOPT_MSS;
	case 3:
		return DIVERT_TCPOPT_WINDOW;
	case 4: /* permitted */
	case 5:
		return DIVERT_TCPOPT_SACK;
	case 8:
		return DIVERT_TCPOPT_TS;
	case 11:
	case 12:
	case 13:
		return DIVERT_TCPOPT_CC;
	}
	return 0;
}

/*
 * The options between `at` and `end`, as bits; or the MSS, if that is asked for and there. The
 * result is collected in the packet, not on the stack, because the verifier would try every value
 * of a number on the stack.
 */
static __always_inline int load_options(void *from, enum divert_load what, __u32 at, __u32 end,
					struct divert_packet *p)
{
	__u8 option[2];
	__be16 mss;
	int i;

	p->field[DIVERT_F_LOADED] = 0;
	for (i = 0; i < LOAD_OPTION_BYTES; i++) {
		if (at >= end || packet_load(from, at, option, 1) || !option[0])
			break;
		if (option[0] == 1) {
			at++;
			continue;
		}
		if (at + 2 > end || packet_load(from, at, option, 2) || option[1] < 2)
			break;
		if (what == DIVERT_LOAD_TCPMSS && option[0] == 2 && option[1] == 4 &&
		    at + 4 <= end && !packet_load(from, at + 2, &mss, sizeof(mss))) {
			p->field[DIVERT_F_LOADED] = packet_u16(mss);
			return 1;
		}
		p->field[DIVERT_F_LOADED] |= what == DIVERT_LOAD_IPOPTIONS
						     ? load_ip_option(option[0])
						     : load_tcp_option(option[0]);
		at += option[1];
	}
	return what != DIVERT_LOAD_TCPMSS;
}

static __always_inline int load_tcp(void *from, enum divert_load what, struct divert_packet *p)
{
	__u32 at = p->field[DIVERT_F_PAYLOAD], len = p->field[DIVERT_F_LEN], header;
	__u8 offset;

	if (at + LOAD_TCP_HEADER > len ||
	    packet_load(from, at + LOAD_TCP_OFFSET, &offset, sizeof(offset)))
		return 0;
	header = (offset >> 4) * 4;
	if (header < LOAD_TCP_HEADER || at + header > len)
		return 0;
	if (what == DIVERT_LOAD_TCPDATA) {
		p->field[DIVERT_F_LOADED] = len - at - header;
		return 1;
	}
	return load_options(from, what, at + LOAD_TCP_HEADER, at + header, p);
}

/* The compiler names a source that has no case, although there is a default. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch-enum"

/*
 * Fill in LOADED. 0: the packet has no such field. Owners and probabilities are not packet fields
 * and are handled elsewhere.
 */
static __always_inline int packet_slow_match(void *from, const struct divert_insn *in,
					     struct divert_packet *p)
{
	__u32 later = p->field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG, at = 0;

	switch ((enum divert_load)in->field) {
	case DIVERT_LOAD_TRANSPORT:
		if (later)
			return 0;
		at = p->field[DIVERT_F_PAYLOAD];
		/* fall through */
	case DIVERT_LOAD_IP:
		if (!load_number(from, at + in->load.offset, in->load.width, p))
			return 0;
		break;
	case DIVERT_LOAD_IPOPTIONS:
		if (!load_options(from, DIVERT_LOAD_IPOPTIONS, 20, p->field[DIVERT_F_PAYLOAD], p))
			return 0;
		break;
	case DIVERT_LOAD_TCPOPTIONS:
		if (later || !load_tcp(from, DIVERT_LOAD_TCPOPTIONS, p))
			return 0;
		break;
	case DIVERT_LOAD_TCPMSS:
		if (later || !load_tcp(from, DIVERT_LOAD_TCPMSS, p))
			return 0;
		break;
	case DIVERT_LOAD_TCPDATA:
		if (later || !load_tcp(from, DIVERT_LOAD_TCPDATA, p))
			return 0;
		break;
	case DIVERT_LOAD_NO_TABLEARG:
		p->field[DIVERT_F_TABLEARG] = 0;
		return 1;
	case DIVERT_LOAD_DSCP:
		p->field[DIVERT_F_LOADED] = p->field[DIVERT_F_TOS] >> 2;
		break;
	case DIVERT_LOAD_UID:
	case DIVERT_LOAD_GID:
	case DIVERT_LOAD_RANDOM:
	case DIVERT_LOADS:
	default:
		return 0;
	}
	p->field[DIVERT_F_LOADED] =
		p->field[DIVERT_F_LOADED] >> (in->load.shift & 31) & in->load.mask;
	return 1;
}

#pragma GCC diagnostic pop

#endif
