/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the hooks and the program that sends trains (train.bpf.c) have in common. */
#ifndef DIVERT_ENGINE_TRAINS_BPF_H
#define DIVERT_ENGINE_TRAINS_BPF_H

#include <linux/if_ether.h>

#include "layout.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DIVERT_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct divert_port_stats);
} port_stats SEC(".maps");

static __always_inline __u64 *port_counters(__u32 stats)
{
	__u32 index = stats % DIVERT_PORTS_MAX;
	struct divert_port_stats *s = bpf_map_lookup_elem(&port_stats, &index);

	return s ? s->n : NULL;
}

/* The counters are a processor's own, and hooks do not interrupt one another: no atomics. */
static __always_inline void count_many(__u32 stats, enum divert_cause cause, __u32 many)
{
	__u64 *n = port_counters(stats);

	if (n)
		n[cause] += many;
}

static __always_inline void count(__u32 stats, enum divert_cause cause)
{
	count_many(stats, cause, 1);
}

/* For one that has waited, however long: the counters may be another port's by now. */
static __always_inline void count_late(__u32 stats, enum divert_cause cause, __u32 many)
{
	__u64 *n = port_counters(stats);

	if (n && n[DIVERT_N_STATS] == stats)
		n[cause] += many;
}

/*
 * The source address of the frames, until the interface's hook has seen them. No station has a
 * group address: other packets are not looked at more closely.
 */
#define TRAIN_SIGN 0xd1

struct train_mac {
	__u8 sign;
	__u8 place; /* in the list */
	__u32 key;  /* of the list */
} __attribute__((packed));

/*
 * A processor's list of a train on its way to the hook of its interface, which tells by this what its frames are. There
 * is one at a time: the frames are received where they are made, with nothing in between. After it another process may
 * have the processor, or the train another processor.
 */
struct train_pass {
	__u32 key; /* of this list's frames */
	struct {
		__u32 mark;  /* fwmark of the packet */
		__u32 stats; /* counters of the sender's port */
		__u16 tag;
		__u8 hops;
		__u8 there; /* not yet met */
	} car[DIVERT_TRAIN_LIST];
	__u8 to[ETH_ALEN]; /* the interface's address */
	__be32 dst[4];	   /* the last packet's; where it leads: */
	__u32 forwards;
	/*
	 * Of packets that wait here, having come over lo, the numbers of the last one and of the last that its hook
	 * has met: unless they are the same, a train would overtake them.
	 */
	__u32 sent, met;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct train_pass);
} trains SEC(".maps");

static __always_inline struct train_pass *train_pass(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&trains, &zero);
}

#endif
