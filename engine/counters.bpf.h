/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps and counters that the hooks share with the bulk path's program (bulk.bpf.c). */
#ifndef DIVERT_ENGINE_COUNTERS_BPF_H
#define DIVERT_ENGINE_COUNTERS_BPF_H

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

/* ifindex -> enum divert_iface_flags */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} ifaces SEC(".maps");

/* Does the interface have the engine's hook on this side: DIVERT_IFACE_IN or _OUT? */
static __always_inline int is_hooked(__u32 ifindex, __u32 side)
{
	__u32 *flags = bpf_map_lookup_elem(&ifaces, &ifindex);

	return flags && *flags & side;
}

static __always_inline __u64 *port_counters(__u32 stats)
{
	__u32 index = stats % DIVERT_PORTS_MAX;
	struct divert_port_stats *s = bpf_map_lookup_elem(&port_stats, &index);

	return s ? s->n : NULL;
}

/* The counters are per CPU, and hooks do not interrupt one another: no atomics needed. */
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

/* For a packet that waited, however long: its counters may belong to another port by now. */
static __always_inline void count_late(__u32 stats, enum divert_cause cause, __u32 many)
{
	__u64 *n = port_counters(stats);

	if (n && n[DIVERT_N_STATS] == stats)
		n[cause] += many;
}

/*
 * Marks a bulk frame in its source address, until the interface's hook has seen it. The first byte
 * is that of a group address, which no station has, so other packets are not examined further.
 */
#define BULK_SIGN 0xd1

struct bulk_mac {
	__u8 sign;
	__u8 place; /* index in the list */
	__u32 key;  /* of the list */
} __attribute__((packed));

/*
 * The list of bulk packets that this CPU is sending to their interface's hook, which learns here
 * what the frames are. There is one list at a time, as the frames are received right where they are
 * made. Between two lists another process may get the CPU, or the sender may move to another CPU.
 */
struct bulk_state {
	__u32 key; /* identifies this list's frames */
	struct {
		__u32 mark;  /* fwmark of the packet */
		__u32 stats; /* counters of the sender's port */
		__u32 hash;  /* of the packet; valid with `hashed` */
		__u16 tag;
		__u8 hops;
		__u8 there; /* the hook has not seen it yet */
		__u8 hashed;
		__u8 source[ETH_ALEN]; /* of its link header */
	} slot[DIVERT_BULK_LIST];
	__u8 to[ETH_ALEN]; /* the interface's MAC address */
	__be32 dst[4];	   /* the last packet's; is it forwarded: */
	__u32 forwards;
	/*
	 * Numbers of the last packet that came over lo to this CPU's queue, and of the last one
	 * that its hook has seen. Unless they are equal, a bulk packet would overtake those in the
	 * queue.
	 */
	__u32 sent, met;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bulk_state);
} trains SEC(".maps");

static __always_inline struct bulk_state *bulk_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&trains, &zero);
}

#endif
