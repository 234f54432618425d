/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packet context: state of the current packet while it traverses the rules in one direction. */
#ifndef DIVERT_ENGINE_CONTEXT_BPF_H
#define DIVERT_ENGINE_CONTEXT_BPF_H

#include "layout.h"
#include "maps.bpf.h"
#include "skb.bpf.h"

static int packet_load(void *from, __u32 offset, void *to, __u32 len);
static int packet_load_head(void *from, __u32 offset, void *to, __u32 len);
static int packet_is_large(void *from);
static long follow_step(__u32 i, void *from);
#define packet_load_head	  packet_load_head
#define packet_is_large		  packet_is_large
#define PACKET_EXT_MAX		  (1u << 17) /* more steps than the longest packet has room for */
#define packet_follow(from, p, s) bpf_loop(PACKET_EXT_MAX, follow_step, from, 0)
#include "match.h"

/*
 * Key of a fragmented packet, in one direction and above one tag. Its first fragment stores the
 * outcome.
 */
struct fragments_key {
	__u64 addr[4]; /* source and destination */
	__u32 id;
	__u16 tag;
	__u8 proto; /* of IPv4 */
	__u8 out;
};

#define RELEASED_RULES 4 /* that one packet passes, and its fragments, too */

struct fragments {
	__u64 when;	  /* ns of CLOCK_MONOTONIC_COARSE */
	__u16 first;	  /* the first fragment has come; rule and port that diverted it: */
	__u16 rule, port; /* 0, 0: no rule did */
	__u16 waiting_rule, waiting_port; /* where later fragments wait that came before it */
	/* the state that the first fragment has: its rule, 0: none, and its name */
	__u32 state, state_name;
	__u8 state_back;		/* it goes against the state's first packet */
	__u16 released[RELEASED_RULES]; /* rules that it passed, as its flow was released */
	__u16 dropped;			/* the rule above dropped it for this */
};

/*
 * State of the packet that this CPU handles. A per-CPU map instead of the stack: the BPF stack is
 * 512 bytes for the whole call chain, and hooks do not nest. A function that gets its state from
 * the map need not be static; the verifier then checks it once, not on each path that calls it.
 */
struct packet_context {
	struct divert_packet packet;
	struct packet_shape shape;
	__u32 link_len;
	__u32 recv_ifindex; /* 0: made on this host */
	__u32 wide_known;   /* bits: which of wide[] are filled in */
	__u16 tag;	    /* that the packet came with */
	__u8 first;	    /* a first fragment, and a rule tested its ports or its state */
	__u8 undecided;	    /* a later fragment, before the first: provisional */
	__u16 rule, port;   /* that diverted the packet */
	__u16 reject;	    /* what the sender is told: enum divert_reject and a code; or 0 */
	__u16 mtu;	    /* to tell with it; or 0 */
	__u8 forward;	    /* for forward.bpf.h: send it to `hop` */
	__u8 state_back;    /* it goes against the first packet of the state found last */
	__u8 first_back;    /* of a fragment: the same of the first one */
	__u32 reply;	    /* where its state led it, which it goes against; or 0 */
	__u32 own;	    /* for local.bpf.h: the address was found */
	__u32 owner;	    /* number from owner.bpf.h, for a reinjected packet; 0: none */
	__u32 state_name;   /* for state.bpf.h: that was looked up last */
	__u32 state_any;    /* 1: any name is being looked up; 2: that is over */
	__u32 states;	    /* that were found */
	__u32 first_state;  /* of a fragment: the state of the first one, 0: none, and its name */
	__u32 first_name;
	__u16 released[RELEASED_RULES]; /* of a first fragment, for release.bpf.h */
	__u16 dropped;
	/* for verdict.bpf.h: rules that counted it, ports that it met, and that it passed */
	__u32 counted, met, passed;

	/* for fragment.bpf.h; not cleared, from here on */
	struct fragments_key key;
	struct fragments fresh;

	/* for forward.bpf.h: noted by HOP */
	__be32 hop[4];
	__u64 hop_name[2]; /* 0: the routes say the interface */
	__u32 hop_ifindex;
	__u8 hop_six;
	__u8 hop_back; /* the state led here, and the packet goes against it */

	__u64 sections; /* rule sections that it may match; written before it is read */
	__u32 set;	/* id of the rule set that the sections belong to */
	__u32 owned;	/* some of its rules test owners */

	struct divert_record record; /* for deliver.bpf.h */

	/* for state.bpf.h and release.bpf.h; too large for the stack */
	struct divert_flow_key flow, limit;
	struct divert_flow new_flow, new_limit;
	struct divert_released new_release;

	/* for verdict.bpf.h; and where the verdict is kept, if it may be */
	struct divert_verdict verdict;
	__u32 place;
	__u32 keeps;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet_context);
} contexts SEC(".maps");

static __always_inline struct packet_context *context(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&contexts, &zero);
}

struct traversal {
	struct __sk_buff *skb;
	void *pages; /* the rule set */
	__u32 pc;
	int verdict; /* TC_ACT_... once decided */
	struct packet_context *context;
};

/* The packet context, cleared for a new packet; NULL, which cannot happen. */
static __always_inline struct packet_context *context_begin(void)
{
	struct packet_context *d = context();

	if (d)
		__builtin_memset(d, 0, offsetof(struct packet_context, key));
	return d;
}

/* 0, or -1. */
static __always_inline int traversal_begin(struct traversal *p)
{
	p->context = context_begin();
	return p->context ? 0 : -1;
}

static __always_inline int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	struct traversal *p = from;

	return bpf_skb_load_bytes(p->skb, p->context->link_len + offset, to, len);
}

static __always_inline int packet_load_head(void *from, __u32 offset, void *to, __u32 len)
{
	struct traversal *p = from;

	return skb_load(p->skb, p->context->link_len + offset, to, len);
}

static __always_inline int packet_is_large(void *from)
{
	struct traversal *p = from;

	return p->skb->gso_size && skb_gso_type(p->skb) & DIVERT_GSO_TCP;
}

static long follow_step(__u32 i, void *from)
{
	struct traversal *p = from;

	return packet_step(from, &p->context->packet, &p->context->shape);
}

/*
 * Read the packet behind its link header, as packet_read(). The context must have link_len already.
 * Not static: see struct packet_context.
 */
__noinline int context_read(struct __sk_buff *skb, int version)
{
	struct traversal p = {.skb = skb, .context = context()};

	if (!p.context)
		return -1;
	return packet_read(&p, version, skb->len - p.context->link_len, &p.context->packet,
			   &p.context->shape);
}

/* The port of divert and tee, host order. */
static __always_inline __u32 action_port(const struct traversal *p, const struct divert_insn *in)
{
	return in->action.flags & DIVERT_ACT_TABLEARG
		       ? (__u16)p->context->packet.field[DIVERT_F_TABLEARG]
		       : in->action.port;
}

/* The clock is read once a jiffy, because reading it takes a call. */
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
