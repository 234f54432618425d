/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict cache: a packet of UDP that passed the rules, where they ask only what the packets of
 * a flow have in common, passes with the next packets of its flow. Those are neither read nor meet
 * the rules; they are counted as if they did. An entry holds for VERDICT_NS, and for one rule set.
 */
#ifndef DIVERT_ENGINE_VERDICT_BPF_H
#define DIVERT_ENGINE_VERDICT_BPF_H

#include "deliver.bpf.h"

/* An interface that is renamed may meet the rules of its old name for that long. */
#define VERDICT_NS (SECOND / 16)

struct divert_verdict_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DIVERT_VERDICTS);
	__type(key, __u32);
	__type(value, struct divert_verdict);
};

/* engine/flows.c puts a map here while there are rules or sockets that it helps. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct divert_verdict_map);
} verdicts SEC(".maps");

/* The headers that tell a flow. */
struct verdict_head4 {
	struct packet_ip4 ip;
	__be16 port[2];
} __attribute__((packed));

struct verdict_head6 {
	struct packet_ip6 ip;
	__be16 port[2];
} __attribute__((packed));

static __always_inline int verdict_key(struct __sk_buff *skb, __u32 kind, __u32 at,
				       struct divert_verdict_key *k)
{
	if (kind & DIVERT_KIND_V6) {
		struct verdict_head6 head = {};

		if (skb_load(skb, at, &head, sizeof(head)))
			return -1;
		__builtin_memcpy(k->addr, head.ip.src, sizeof(k->addr));
		__builtin_memcpy(k->port, head.port, sizeof(k->port));
	} else {
		struct verdict_head4 head = {};

		if (skb_load(skb, at, &head, sizeof(head)))
			return -1;
		k->addr[0] = (__u64)head.ip.src << 32 | head.ip.dst;
		k->addr[1] = k->addr[2] = k->addr[3] = 0;
		__builtin_memcpy(k->port, head.port, sizeof(k->port));
	}
	k->kind = kind;
	k->ifindex = skb->ifindex;
	k->recv_ifindex = kind & DIVERT_KIND_OUT ? skb->ingress_ifindex : 0;
	return 0;
}

static __always_inline __u32 verdict_place(const struct divert_verdict_key *k)
{
	__u64 h = (k->addr[0] + 3 * k->addr[1] + 5 * k->addr[2] + 7 * k->addr[3]) *
		  0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 32 ^ (__u64)k->port[0] << 16 ^ k->port[1] ^ (__u64)k->ifindex << 32) *
	    0x9e3779b97f4a7c15ull;
	return h >> 32;
}

static __always_inline int verdict_same(const struct divert_verdict_key *a,
					const struct divert_verdict_key *b)
{
	return a->addr[0] == b->addr[0] && a->port[0] == b->port[0] && a->port[1] == b->port[1] &&
	       a->ifindex == b->ifindex && a->recv_ifindex == b->recv_ifindex &&
	       a->kind == b->kind && a->addr[1] == b->addr[1] && a->addr[2] == b->addr[2] &&
	       a->addr[3] == b->addr[3];
}

static __always_inline struct divert_verdict *verdict_at(__u32 place)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&verdicts, &zero);

	place %= DIVERT_VERDICTS;
	return map ? bpf_map_lookup_elem(map, &place) : NULL;
}

/* kind: enum divert_kind. The packet begins at `at`, and has len bytes. */
static __always_inline __u64 verdict_where(__u32 kind, __u32 at, __u32 len)
{
	return (__u64)len << 32 | (at & 0xffff) << 16 | kind;
}

/* Count the packets of a released flow where it is listed. */
static __noinline void verdict_settle(struct divert_verdict *v)
{
	void *map = released_map();
	struct divert_released *r = map && v ? bpf_map_lookup_elem(map, &v->flow) : NULL;

	if (r)
		__sync_fetch_and_add(&r->packets, v->packets);
	if (v)
		v->packets = 0;
}

/* Is the socket to which the flow was released there? */
static __always_inline int verdict_alive(struct divert_verdict *v)
{
	void *ring = bpf_map_lookup_elem(&sockets, &v->slot);

	return ring && ring_alive(ring) && map_id(ring) == v->ring;
}

static __always_inline void verdict_count(struct divert_verdict *v, __u32 len)
{
	struct divert_rule_counter *c;
	__u32 i, counter;

	for (i = 0; i < DIVERT_VERDICT_COUNTERS; i++) {
		counter = v->counter[i];
		if (counter == DIVERT_ABSENT)
			break;
		c = bpf_map_lookup_elem(&rule_counters, &counter);
		if (c)
			count_packet(c, len);
	}
	if (!v->ring)
		return;
	v->packets++;
	count(v->stats, DIVERT_N_RELEASED_PASSED);
}

/*
 * Does the plain packet pass as the last one of its flow did? Then it is counted. Else the rules
 * decide, and verdict_keep() may keep what they do. Not static: see struct packet_context.
 */
__noinline int verdict_passes(struct __sk_buff *skb, __u64 where)
{
	const __u32 len = where >> 32, at = (__u16)(where >> 16), kind = (__u16)where;
	const struct divert_flow_info *info = flow_info_of();
	const __u64 now = bpf_ktime_get_coarse_ns();
	struct packet_context *d = context();
	struct divert_verdict *v;
	int same;

	if (!d || !info || verdict_key(skb, kind, at, &d->verdict.key))
		return 0;
	d->place = verdict_place(&d->verdict.key);
	v = verdict_at(d->place);
	if (!v)
		return 0;
	same = verdict_same(&v->key, &d->verdict.key);
	if (same && v->set == d->set && v->epoch == info->epoch && v->until > now &&
	    (!v->ring || verdict_alive(v))) {
		verdict_count(v, len);
		return 1;
	}
	if (!same && v->until > now) /* another flow has the place, and uses it */
		return 0;
	if (v->packets)
		verdict_settle(v);
	d->verdict.set = d->set;
	d->verdict.epoch = info->epoch;
	d->verdict.until = now + VERDICT_NS;
	d->verdict.ring = 0;
	d->keeps = 1;
	return 0;
}

/* The packet has passed the rules. */
static __noinline void verdict_keep(struct packet_context *d)
{
	struct divert_verdict *v = verdict_at(d->place);
	__u32 i;

	if (!v || d->counted > DIVERT_VERDICT_COUNTERS || d->met != d->passed || d->passed > 1)
		return;
	for (i = 0; i < DIVERT_VERDICT_COUNTERS; i++)
		if (i >= d->counted)
			d->verdict.counter[i] = DIVERT_ABSENT;
	d->verdict.packets = 0;
	*v = d->verdict;
}

#endif
