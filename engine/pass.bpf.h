/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One packet's pass through the rules in one direction: what is known of it on the way. */
#ifndef DIVERT_ENGINE_PASS_BPF_H
#define DIVERT_ENGINE_PASS_BPF_H

#include "layout.h"
#include "maps.bpf.h"
#include "skb.bpf.h"

static int packet_load(void *from, __u32 offset, void *to, __u32 len);
static int packet_load_head(void *from, __u32 offset, void *to, __u32 len);
static int packet_is_large(void *from);
static long follow_step(__u32 i, void *from);
#define packet_load_head	  packet_load_head
#define packet_is_large		  packet_is_large
#define PACKET_EXT_MAX		  (1u << 17) /* more than the longest packet has room for */
#define packet_follow(from, p, s) bpf_loop(PACKET_EXT_MAX, follow_step, from, 0)
#include "match.h"

/* Of a fragmented packet, in one direction and above one tag: what its first fragment has told. */
struct fragments_key {
	__u64 addr[4]; /* source and destination */
	__u32 id;
	__u16 tag;
	__u8 proto; /* of IPv4 */
	__u8 out;
};

struct fragments {
	__u64 when;	  /* ns of CLOCK_MONOTONIC_COARSE */
	__u16 first;	  /* it has come; the rule that diverted it, and the port: */
	__u16 rule, port; /* 0, 0: none has */
	__u16 waiting_rule, waiting_port; /* whom later ones, that came before it, wait with */
};

/*
 * What is known of the packet that a processor is at. It lies in memory of the processor's own, as no hook
 * runs within another: the stack of a program and all it calls is 512 bytes. And a function that finds
 * it there need not be static: the verifier then walks that once, and not on each way that leads there.
 */
struct desk {
	struct divert_packet packet;
	struct packet_shape shape;
	__u32 link_len;
	__u32 recv_ifindex; /* 0: made here */
	__u32 wide_known;   /* which of wide[] are filled in, by bit */
	__u16 tag;	    /* that it came with */
	__u8 first;	    /* a first fragment that a rule's ports were asked of */
	__u8 undecided;	    /* a later fragment that came before it, on trial to a rule */
	__u16 rule, port;   /* that diverted it */
	__u16 answer;	    /* what its sender is told: enum divert_answer and a code; or 0 */
	__u16 mtu;	    /* with it; or 0 */
	__u32 own;	    /* own.bpf.h's: the address was found */

	/* fragment.bpf.h's, from here on not cleared */
	struct fragments_key key;
	struct fragments fresh;

	__u64 sections; /* of rules that it may match; filled in before it is read */
	__u32 set;	/* id of the rule set that these are of */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct desk);
} desks SEC(".maps");

static __always_inline struct desk *desk(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&desks, &zero);
}

struct pass {
	struct __sk_buff *skb;
	void *pages; /* the rule set */
	__u32 pc;
	int verdict; /* TC_ACT_... once decided */
	struct desk *desk;
};

/* The desk, cleared for this packet; NULL, which cannot be. */
static __always_inline struct desk *desk_begin(void)
{
	struct desk *d = desk();

	if (d)
		__builtin_memset(d, 0, offsetof(struct desk, key));
	return d;
}

/* 0, or -1. */
static __always_inline int pass_begin(struct pass *p)
{
	p->desk = desk_begin();
	return p->desk ? 0 : -1;
}

static __always_inline int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	struct pass *p = from;

	return bpf_skb_load_bytes(p->skb, p->desk->link_len + offset, to, len);
}

static __always_inline int packet_load_head(void *from, __u32 offset, void *to, __u32 len)
{
	struct pass *p = from;

	return skb_load(p->skb, p->desk->link_len + offset, to, len);
}

static __always_inline int packet_is_large(void *from)
{
	struct pass *p = from;

	return p->skb->gso_size && skb_gso_type(p->skb) & DIVERT_GSO_TCP;
}

static long follow_step(__u32 i, void *from)
{
	struct pass *p = from;

	return packet_step(from, &p->desk->packet, &p->desk->shape);
}

static __always_inline void wide_bytes(const __u64 *wide, __be32 *word)
{
	word[0] = packet_u32((__u32)(wide[0] >> 32));
	word[1] = packet_u32((__u32)wide[0]);
	word[2] = packet_u32((__u32)(wide[1] >> 32));
	word[3] = packet_u32((__u32)wide[1]);
}

static __always_inline void address_bytes(const struct divert_packet *p, int src, __be32 *word)
{
	if (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6)
		wide_bytes(p->wide[src ? DIVERT_W_SRC6 : DIVERT_W_DST6], word);
	else
		word[0] = p->field[src ? DIVERT_F_SRC4 : DIVERT_F_DST4];
}

/*
 * Read the packet, whose link_len is on the desk already, behind its link header: as packet_read(). Not
 * static: see struct desk.
 */
__noinline int desk_read(struct __sk_buff *skb, int version)
{
	struct pass p = {.skb = skb, .desk = desk()};

	if (!p.desk)
		return -1;
	return packet_read(&p, version, skb->len - p.desk->link_len, &p.desk->packet,
			   &p.desk->shape);
}

/* Of divert and tee, host order. */
static __always_inline __u32 action_port(const struct pass *p, const struct divert_insn *in)
{
	return in->action.flags & DIVERT_ACT_TABLEARG
		       ? (__u16)p->desk->packet.field[DIVERT_F_TABLEARG]
		       : in->action.port;
}

/* A clock that is read once a tick: to read it takes a call. */
static __always_inline void count_packet(struct divert_rule_counter *c, __u32 bytes)
{
	__u64 tick = bpf_jiffies64();

	c->packets++;
	c->bytes += bytes;
	if (c->tick != tick) {
		c->tick = tick;
		c->last = bpf_ktime_get_coarse_ns();
	}
}

#endif
