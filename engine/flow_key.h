/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The key of a packet's flow. Both halves compile it, with packet.h. */
#ifndef DIVERT_ENGINE_FLOW_KEY_H
#define DIVERT_ENGINE_FLOW_KEY_H

#include "packet.h"

static __always_inline void wide_bytes(const __u64 *wide, __be32 *word)
{
	word[0] = packet_u32((__u32)(wide[0] >> 32));
	word[1] = packet_u32((__u32)wide[0]);
	word[2] = packet_u32((__u32)(wide[1] >> 32));
	word[3] = packet_u32((__u32)wide[1]);
}

/* The source, or the destination; of an IPv4 packet only the first word is written. */
static __always_inline void address_bytes(const struct divert_packet *p, int src, __be32 *word)
{
	if (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6)
		wide_bytes(p->wide[src ? DIVERT_W_SRC6 : DIVERT_W_DST6], word);
	else
		word[0] = p->field[src ? DIVERT_F_SRC4 : DIVERT_F_DST4];
}

static __always_inline __u32 flow_key_port(const struct divert_packet *p, enum divert_field field)
{
	return p->field[field] == DIVERT_ABSENT ? 0 : (__u16)p->field[field];
}

/* Do the words come in this order? 1, 0: the reverse, -1: they are equal. */
static __always_inline int flow_key_order(const __be32 *a, const __be32 *b)
{
	int i;

	for (i = 0; i < 4; i++)
		if (a[i] != b[i])
			return a[i] < b[i];
	return -1;
}

/*
 * The key of the packet's flow, the same in both directions. 1: the packet goes from the second
 * address to the first.
 */
static __always_inline int flow_key(const struct divert_packet *p, struct divert_flow_key *k)
{
	int order, i;

	__builtin_memset(k, 0, sizeof(*k));
	address_bytes(p, 1, k->addr[0]);
	address_bytes(p, 0, k->addr[1]);
	k->port[0] = flow_key_port(p, DIVERT_F_SPORT);
	k->port[1] = flow_key_port(p, DIVERT_F_DPORT);
	k->proto = p->field[DIVERT_F_PROTO];
	k->six = (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	order = flow_key_order(k->addr[0], k->addr[1]);
	if (order < 0)
		order = k->port[0] <= k->port[1];
	if (order)
		return 0;
	for (i = 0; i < 4; i++) {
		__be32 word = k->addr[0][i];

		k->addr[0][i] = k->addr[1][i];
		k->addr[1][i] = word;
	}
	i = k->port[0];
	k->port[0] = k->port[1];
	k->port[1] = i;
	return 1;
}

#endif
