/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One packet's pass through the rules in one direction: what is known of it on the way. */
#ifndef DIVERT_ENGINE_PASS_BPF_H
#define DIVERT_ENGINE_PASS_BPF_H

#include "layout.h"
#include "maps.bpf.h"
#include "skb.bpf.h"

static int packet_load(void *from, __u32 offset, void *to, __u32 len);
#include "match.h"

/* The fields of the packet that a processor is at. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_packet);
} packets SEC(".maps");

struct pass {
	struct __sk_buff *skb;
	void *pages; /* the rule set */
	__u32 pc;
	int verdict; /* TC_ACT_... once decided */
	__u32 link_len;
	__u32 recv_ifindex; /* 0: made here */
	__u32 wide_known;   /* which of wide[] are filled in, by bit */
	struct packet_shape shape;
	struct divert_packet *packet; /* of this processor: see pass_begin() */
};

/*
 * The packet's fields lie in memory of the processor's own, since the stack is short: no hook
 * runs within another. 0, or -1, which cannot be.
 */
static __always_inline int pass_begin(struct pass *p)
{
	__u32 zero = 0;

	p->packet = bpf_map_lookup_elem(&packets, &zero);
	if (!p->packet)
		return -1;
	__builtin_memset(p->packet, 0, sizeof(*p->packet));
	return 0;
}

static __always_inline int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	struct pass *p = from;

	return bpf_skb_load_bytes(p->skb, p->link_len + offset, to, len);
}

static __always_inline __u64 *port_counters(__u32 index)
{
	struct divert_port_stats *s = bpf_map_lookup_elem(&port_stats, &index);

	return s ? s->n : NULL;
}

/* The counters are a processor's own, and hooks do not interrupt one another: no atomics. */
static __always_inline void count_many(__u32 index, enum divert_cause cause, __u32 many)
{
	__u64 *n = port_counters(index);

	if (n)
		n[cause] += many;
}

static __always_inline void count(__u32 index, enum divert_cause cause)
{
	count_many(index, cause, 1);
}

#endif
