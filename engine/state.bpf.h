/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * States of flows, as keep-state and limit make them and check-state finds them (ipfw(8), STATEFUL
 * FIREWALL). Nobody runs when a state's time is over: it is not found any more, and is removed when
 * its room is needed.
 */
#ifndef DIVERT_ENGINE_STATE_BPF_H
#define DIVERT_ENGINE_STATE_BPF_H

#include "flow.bpf.h"

#define STATE_HITS 16 /* states that a packet meets: rules may lead to each other */

/* engine/flows.c puts a map here while rules make states. By size: see struct divert_hosts. */
struct divert_flow_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct divert_flow_key));
	__uint(value_size, sizeof(struct divert_flow));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct divert_flow_map);
} flows SEC(".maps");

static __always_inline void *flow_map(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&flows, &zero);
}

/* Put the key of the packet's state with this name into the context. As flow_key(). */
static __always_inline int state_key(struct packet_context *d, __u32 name)
{
	const int swapped = flow_key(&d->packet, &d->flow);

	d->flow.name = name;
	return swapped;
}

/* ---- lifetimes ---- */

enum {
	BACK = 8, /* bits from one direction's flags to the other's */
	BOTH_SYN = TH_SYN | TH_SYN << BACK,
	BOTH_FIN = TH_FIN | TH_FIN << BACK,
	SEEN_ACK = 1 << 16, /* of the first direction */
	SEEN_BACK = 1 << 17,
	SEEN_BOTH = SEEN_ACK | SEEN_BACK,
	TCP_FLAGS = 0xffff,
};

/*
 * The lifetime of a TCP state after this packet, by the flags of both directions, as FreeBSD's; 0:
 * as it is. An established flow's is extended when one side acknowledges, not less than before, and
 * the other side did so last, so that a single forged packet does not extend it.
 */
static __always_inline __u64 life_of_tcp(struct __sk_buff *skb, const struct packet_context *d,
					 struct divert_flow *f, int back)
{
	struct tcp_part tcp = {};
	__u32 seen, ack, flag = back ? SEEN_BACK : SEEN_ACK, other = flag ^ SEEN_BOTH;

	if (skb_load(skb, d->link_len + d->shape.payload + 8, &tcp, sizeof(tcp)))
		return 0;
	seen = (tcp.flags & (TH_FIN | TH_SYN | TH_RST)) << (back ? BACK : 0);
	if (seen & ~f->tcp)
		__sync_fetch_and_or(&f->tcp, seen);
	switch (f->tcp & TCP_FLAGS) {
	case TH_SYN:
		return life(DIVERT_LIFE_SYN);
	case BOTH_SYN:
	case BOTH_SYN | TH_FIN:
	case BOTH_SYN | TH_FIN << BACK:
		ack = packet_u32(tcp.ack);
		if (f->ack[back] && (__s32)(ack - f->ack[back]) < 0)
			return 0;
		f->ack[back] = ack;
		__sync_fetch_and_or(&f->tcp, flag);
		if (!(f->tcp & other))
			return 0;
		__sync_fetch_and_and(&f->tcp, ~other);
		return life(DIVERT_LIFE_ACK);
	case BOTH_SYN | BOTH_FIN:
		return life(DIVERT_LIFE_FIN);
	default:
		return life(DIVERT_LIFE_RST);
	}
}

static __always_inline void state_met(struct __sk_buff *skb, const struct packet_context *d,
				      struct divert_flow *f, int back, __u64 now)
{
	const __u32 proto = d->packet.field[DIVERT_F_PROTO];
	__u64 more;

	__sync_fetch_and_add(&f->packets, 1);
	__sync_fetch_and_add(&f->bytes, d->shape.len);
	if (proto == PROTO_TCP)
		more = life_of_tcp(skb, d, f, back);
	else if (proto == PROTO_UDP || proto == PROTO_UDPLITE)
		more = life(DIVERT_LIFE_UDP);
	else
		more = life(DIVERT_LIFE_SHORT);
	if (more)
		f->expires = now + more;
}

/*
 * Is the instruction to look? As in FreeBSD, not twice in a row for the same name, and no more
 * after a look for any name.
 */
static __always_inline int state_looks(struct packet_context *d, const struct divert_insn *in)
{
	if (in->state.any == DIVERT_ANY_NEXT)
		return d->state_any == 1;
	if (d->state_any) {
		d->state_any = 2;
		return 0;
	}
	if (in->state.any)
		d->state_any = 1;
	else if (d->state_name == in->state.name)
		return 0;
	d->state_name = in->state.name;
	return 1;
}

/*
 * The packet's state with this name: the id of the rule that made it; 0: there is none. Not static:
 * see struct packet_context.
 */
__noinline __u32 state_find(struct __sk_buff *skb, const struct divert_insn *in)
{
	struct packet_context *d = context();
	const __u64 now = bpf_ktime_get_coarse_ns();
	struct divert_flow *f;
	void *map = flow_map();
	__u32 rule;
	int swapped;

	if (!in || !d || !map || d->states == STATE_HITS || !state_looks(d, in))
		return 0;
	if (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG) {
		rule = d->first_name == in->state.name ? d->first_state : 0;
		d->state_back = d->first_back;
	} else {
		swapped = state_key(d, in->state.name);
		f = bpf_map_lookup_elem(map, &d->flow);
		rule = f && f->expires > now ? f->rule : 0;
		if (f && rule) {
			d->state_back = swapped != f->swapped;
			state_met(skb, d, f, d->state_back, now);
		}
	}
	if (!rule)
		return 0;
	d->states++;
	if (d->state_any)
		d->state_any = 2;
	d->packet.field[DIVERT_F_TABLEARG] = 0; /* no table of that rule has matched */
	return rule;
}

/* ---- limits ---- */

/*
 * The key under which the states are counted that are equal in limit_by: those fields of the flow,
 * as its first packet had them, and the rule.
 */
static __always_inline void limit_key(const struct divert_flow_key *k, const struct divert_flow *f,
				      struct divert_flow_key *to)
{
	const __u32 src = f->swapped & 1, dst = !src;
	int i;

	__builtin_memset(to, 0, sizeof(*to));
	for (i = 0; i < 4; i++) {
		if (f->limit_by & DIVERT_FLOW_SRC)
			to->addr[0][i] = k->addr[src][i];
		if (f->limit_by & DIVERT_FLOW_DST)
			to->addr[1][i] = k->addr[dst][i];
	}
	if (f->limit_by & DIVERT_FLOW_SPORT)
		to->port[0] = k->port[src];
	if (f->limit_by & DIVERT_FLOW_DPORT)
		to->port[1] = k->port[dst];
	to->name = f->rule;
	to->proto = k->proto;
	to->six = k->six;
	to->kind = DIVERT_FLOW_LIMIT;
}

/* A state that was counted under this key is gone, or was not made. */
static __always_inline void limit_down(void *map, const struct divert_flow_key *k)
{
	struct divert_flow *limit = bpf_map_lookup_elem(map, k);

	if (limit)
		__sync_fetch_and_add(&limit->n, -1);
}

/*
 * Delete a state. Where two CPUs do it at once, one of them counts it off its limit. f may be
 * another state's as soon as it is deleted.
 */
static __always_inline void state_delete(void *map, const struct divert_flow_key *k,
					 const struct divert_flow *f, struct divert_flow_key *room)
{
	const int limited = f->limit_by;

	if (limited)
		limit_key(k, f, room);
	if (!bpf_map_delete_elem(map, k) && limited)
		limit_down(map, room);
}

/* 0, or -1: there are as many as may be. */
static __always_inline int limit_up(void *map, const struct divert_flow_key *k,
				    const struct divert_flow *f, __u32 most,
				    struct packet_context *d, __u64 now)
{
	struct divert_flow *limit;

	limit_key(k, f, &d->limit);
	limit = bpf_map_lookup_elem(map, &d->limit);
	if (!limit) {
		__builtin_memset(&d->new_limit, 0, sizeof(d->new_limit));
		d->new_limit.rule = f->rule;
		d->new_limit.number = f->number;
		d->new_limit.limit_by = f->limit_by;
		bpf_map_update_elem(map, &d->limit, &d->new_limit, BPF_NOEXIST);
		limit = bpf_map_lookup_elem(map, &d->limit);
	}
	if (!limit)
		return -1;
	limit->expires = now + 2 * SECOND; /* it goes only when it is idle, and counts none */
	if ((__u32)__sync_fetch_and_add(&limit->n, 1) < most)
		return 0;
	__sync_fetch_and_add(&limit->n, -1);
	return -1;
}

/* ---- room ---- */

static long sweep_step(void *map, const struct divert_flow_key *k, struct divert_flow *f,
		       struct sweep *s)
{
	struct packet_context *d = context();

	s->n++;
	if (!d || f->expires > s->now || (k->kind == DIVERT_FLOW_LIMIT && f->n))
		return 0;
	if (k->kind == DIVERT_FLOW_STATE)
		state_delete(map, k, f, &d->limit);
	else
		bpf_map_delete_elem(map, k);
	return 0;
}

/* Remove the states whose time is over. -1: not now. noinline: seldom needed. */
static __noinline int sweep(void *map, __u64 now)
{
	struct divert_flow_info *info = flow_info_of();

	return map && info ? SWEEP(map, now, &info->next_sweep, sweep_step) : -1;
}

/* ---- to make one ---- */

/* 0, or the cause why not, an enum divert_cause. */
static __always_inline int state_put(void *map, struct packet_context *d, __u32 limit, __u64 now)
{
	long rc;

	if (limit && limit_up(map, &d->flow, &d->new_flow, limit, d, now))
		return DIVERT_N_FLOW_LIMIT;
	rc = bpf_map_update_elem(map, &d->flow, &d->new_flow, BPF_NOEXIST);
	if (rc && limit)
		limit_down(map, &d->limit);
	/* -EEXIST: another CPU has just made it */
	return rc && rc != -EEXIST ? DIVERT_N_FLOW_FULL : 0;
}

static __always_inline void state_begin(struct __sk_buff *skb, struct packet_context *d,
					const struct divert_insn *in, int swapped, __u64 now)
{
	struct divert_flow *f = &d->new_flow;

	__builtin_memset(f, 0, sizeof(*f));
	f->rule = in->state.id;
	f->number = in->rule;
	f->limit_by = in->state.limit_by;
	f->swapped = swapped;
	f->expires = now + life(DIVERT_LIFE_SYN);
	state_met(skb, d, f, 0, now);
}

/*
 * Make a state for the packet's flow; one that it has lives on. 0; -1: it cannot be, and the packet
 * is dropped; counted. Not static: see struct packet_context.
 */
__noinline int state_keep(struct __sk_buff *skb, const struct divert_insn *in)
{
	struct packet_context *d = context();
	const __u64 now = bpf_ktime_get_coarse_ns();
	struct divert_flow *f;
	void *map = flow_map();
	int swapped, cause;

	if (!in || !d || !map)
		return -1;
	swapped = state_key(d, in->state.name);
	f = bpf_map_lookup_elem(map, &d->flow);
	if (f && f->expires > now) {
		state_met(skb, d, f, swapped != f->swapped, now);
		return 0;
	}
	if (f)
		state_delete(map, &d->flow, f, &d->limit);
	state_begin(skb, d, in, swapped, now);
	cause = state_put(map, d, in->state.limit, now);
	if (cause && !sweep(map, now))
		cause = state_put(map, d, in->state.limit, now);
	if (cause == DIVERT_N_FLOW_LIMIT)
		count(0, DIVERT_N_FLOW_LIMIT);
	else if (cause)
		count(0, DIVERT_N_FLOW_FULL);
	return cause ? -1 : 0;
}

/* ---- the first packets of a flow ---- */

static __always_inline __u64 life_of_first(const struct packet_context *d)
{
	const __u32 proto = d->packet.field[DIVERT_F_PROTO];

	return life(proto == PROTO_TCP				   ? DIVERT_LIFE_ACK
		    : proto == PROTO_UDP || proto == PROTO_UDPLITE ? DIVERT_LIFE_UDP
								   : DIVERT_LIFE_SHORT);
}

static __always_inline struct divert_flow *first_make(void *map, struct packet_context *d,
						      const struct divert_insn *in, int swapped)
{
	struct divert_flow *f = &d->new_flow;

	__builtin_memset(f, 0, sizeof(*f));
	f->rule = in->state.id;
	f->number = in->rule;
	f->swapped = swapped;
	if (bpf_map_update_elem(map, &d->flow, f, BPF_NOEXIST) == -E2BIG &&
	    !sweep(map, bpf_ktime_get_coarse_ns()))
		bpf_map_update_elem(map, &d->flow, f, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, &d->flow);
}

/*
 * Is the packet among the first ones? A SYN begins anew. Where there is no room to count, it is: a
 * program rather sees too much than too little. Not static: see struct packet_context.
 */
__noinline int state_first(struct __sk_buff *skb, const struct divert_insn *in)
{
	struct packet_context *d = context();
	const __u64 now = bpf_ktime_get_coarse_ns();
	__u32 more = skb->gso_segs > 1 ? skb->gso_segs : 1, *n;
	struct divert_flow *f;
	void *map = flow_map();
	int swapped;

	if (!in || !d || !map || d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		return 1;
	swapped = state_key(d, in->state.id);
	d->flow.kind = DIVERT_FLOW_FIRST;
	f = bpf_map_lookup_elem(map, &d->flow);
	if (f && (f->expires <= now || begins(skb, d))) {
		bpf_map_delete_elem(map, &d->flow);
		f = NULL;
	}
	if (!f)
		f = first_make(map, d, in, swapped);
	if (!f) {
		count(0, DIVERT_N_FLOW_FULL);
		return 1;
	}
	live_on(&f->expires, now, life_of_first(d));
	n = swapped == f->swapped ? &f->n : &f->back;
	/* most packets of a long flow end here, and write nothing */
	if (*n >= in->state.limit || __sync_fetch_and_add(n, more) >= in->state.limit)
		return 0;
	__sync_fetch_and_add(&f->packets, 1);
	__sync_fetch_and_add(&f->bytes, d->shape.len);
	return 1;
}

#endif
