/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Released flows: a program has said of a packet that the rest of its flow is not for its port any
 * more. Such packets are found where a rule diverts them to the port.
 */
#ifndef DIVERT_ENGINE_RELEASE_BPF_H
#define DIVERT_ENGINE_RELEASE_BPF_H

#include "flow.bpf.h"
#include "fragments.bpf.h"

/* engine/flows.c puts a map here while sockets are bound. By size: see struct divert_hosts. */
struct divert_released_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct divert_flow_key));
	__uint(value_size, sizeof(struct divert_released));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct divert_released_map);
} released SEC(".maps");

/* Index of a port's counters -> the generation of its sockets that have released flows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIVERT_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} releasing SEC(".maps");

static __always_inline void *released_map(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&released, &zero);
}

static __always_inline __u32 *releasing_of(__u32 stats)
{
	__u32 index = stats % DIVERT_PORTS_MAX;

	return bpf_map_lookup_elem(&releasing, &index);
}

/* Have the port's sockets released any flow? All others pay only for this question. */
static __always_inline int has_released(const struct divert_port *port)
{
	const __u32 *generation = releasing_of(port->stats);

	return generation && *generation == port->generation && port->generation;
}

static __always_inline __u64 released_life(void)
{
	__u32 zero = 0;
	const struct divert_settings *set = bpf_map_lookup_elem(&settings, &zero);

	return (set && set->released ? set->released : DIVERT_RELEASED_LIFE) * SECOND;
}

/* Note, for later fragments, what became of the first one at this rule. */
static __always_inline void release_keep(struct packet_context *d, __u32 rule, __u32 how)
{
	int i;

	d->first = 1;
	if (how == DIVERT_RELEASE_DROPS)
		d->dropped = rule;
	if (how != DIVERT_RELEASE_PASSES)
		return;
	for (i = 0; i < RELEASED_RULES; i++) {
		if (d->released[i])
			continue;
		d->released[i] = rule;
		return;
	}
}

/*
 * A later fragment goes the way of the first one. waits: if that has not come, and the socket puts
 * packets together, the fragment waits there.
 */
static __noinline int release_later(struct packet_context *d, __u32 rule, __u32 port, int waits)
{
	struct fragments *f = d ? fragments_find(d) : NULL;
	int i;

	if (!f)
		return DIVERT_RELEASE_END;
	if (f->first) {
		for (i = 0; i < RELEASED_RULES; i++)
			if (f->released[i] == rule)
				return DIVERT_RELEASE_PASSES;
		return f->dropped == rule ? DIVERT_RELEASE_DROPS : DIVERT_RELEASE_END;
	}
	if (waits) {
		f->waiting_rule = rule;
		f->waiting_port = port;
		d->undecided = 1;
	}
	return DIVERT_RELEASE_END;
}

/*
 * Has the packet's flow been released? enum divert_release. A SYN begins another connection, which
 * was not released; where the flow is dropped, that stays so for a SYN that is sent again. Not
 * static: see struct packet_context.
 */
__noinline int release_find(struct __sk_buff *skb, const struct divert_port *port, __u32 rule)
{
	struct packet_context *d = context();
	const __u64 now = bpf_ktime_get_coarse_ns();
	int how = DIVERT_RELEASE_END;
	struct divert_released *r;
	void *map = released_map();

	if (!d || !map || !port)
		return DIVERT_RELEASE_END;
	flow_key(&d->packet, &d->flow);
	d->flow.name = port->stats;
	d->flow.kind = DIVERT_FLOW_RELEASED;
	r = bpf_map_lookup_elem(map, &d->flow);
	if (r && r->generation == port->generation && r->expires > now) {
		how = r->how;
		if (how == DIVERT_RELEASE_PASSES && begins(skb, d)) {
			bpf_map_delete_elem(map, &d->flow);
			how = DIVERT_RELEASE_END;
		} else {
			live_on(&r->expires, now, released_life());
			__sync_fetch_and_add(&r->packets, 1);
			if (d->keeps)
				d->verdict.flow = d->flow;
		}
	}
	if (d->shape.fragment)
		release_keep(d, rule, how);
	return how;
}

/* ---- to release ---- */

static long release_sweep_step(void *map, const struct divert_flow_key *k,
			       const struct divert_released *r, struct sweep *s)
{
	const __u32 *generation = releasing_of(k->name);

	s->n++;
	if (r->expires <= s->now || (generation && *generation != r->generation))
		bpf_map_delete_elem(map, k);
	return 0;
}

/* -1: not now. noinline: seldom needed. */
static __noinline int release_sweep(void *map, __u64 now)
{
	struct divert_flow_info *info = flow_info_of();

	if (!map || !info)
		return -1;
	return SWEEP(map, now, &info->next_released_sweep, release_sweep_step);
}

/*
 * Release the flow whose key lies at this offset, for the port, or end that. 0 or an errno. Not
 * static: see struct packet_context.
 */
__noinline int release_set(struct __sk_buff *skb, __u32 offset, __u32 port_key, __u32 how)
{
	struct packet_context *d = context();
	const __u64 now = bpf_ktime_get_coarse_ns();
	struct divert_port *port = bpf_map_lookup_elem(&ports, &port_key);
	struct divert_flow_info *info = flow_info_of();
	void *map = released_map();
	struct divert_released *r;
	__u32 *generation;
	long rc;

	if (!d || !map || !info || !port || !port->generation)
		return ENOENT;
	generation = releasing_of(port->stats);
	if (!generation || how > DIVERT_RELEASE_DROPS ||
	    bpf_skb_load_bytes(skb, offset, &d->flow, sizeof(d->flow)))
		return EINVAL;
	d->flow.name = port->stats;
	d->flow.kind = DIVERT_FLOW_RELEASED;
	if (!info->epoch)
		info->epoch = 1;
	if (how == DIVERT_RELEASE_END) {
		if (!bpf_map_delete_elem(map, &d->flow))
			epoch_next(info);
		return 0;
	}
	r = bpf_map_lookup_elem(map, &d->flow);
	__builtin_memset(&d->new_release, 0, sizeof(d->new_release));
	d->new_release.expires = now + released_life();
	d->new_release.since = now;
	d->new_release.generation = port->generation;
	d->new_release.how = how;
	*generation = port->generation;
	rc = bpf_map_update_elem(map, &d->flow, &d->new_release, BPF_ANY);
	if (rc == -E2BIG && !release_sweep(map, now))
		rc = bpf_map_update_elem(map, &d->flow, &d->new_release, BPF_ANY);
	if (!rc) {
		if (r)
			epoch_next(info);
		return 0;
	}
	count(port->stats, DIVERT_N_RELEASES_FULL);
	return ENOSPC;
}

#endif
