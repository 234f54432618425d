/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The log of rules with `log`: a ring of the newest entries for user space. */
#ifndef DIVERT_ENGINE_LOG_BPF_H
#define DIVERT_ENGINE_LOG_BPF_H

#include "slow_match.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIVERT_LOG_ROOM);
	__type(key, __u32);
	__type(value, struct divert_log_entry);
} log_entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_log_head);
} log_head SEC(".maps");

/* How many packets of each rule were logged, by the rule's counter. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIVERT_RULES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} log_counts SEC(".maps");

static __always_inline void log_fill(struct __sk_buff *skb, const struct divert_insn *in,
				     const struct divert_packet *p, const __be32 *hop,
				     struct divert_log_entry *e)
{
	__u32 type = p->field[DIVERT_F_ICMP];

	e->tstamp = bpf_ktime_get_ns();
	e->max = in->action.log_max;
	e->op = in->op;
	e->rule = in->rule;
	e->port = in->action.flags & DIVERT_ACT_TABLEARG ? p->field[DIVERT_F_TABLEARG]
							 : in->action.port;
	e->flags = p->field[DIVERT_F_FLAGS];
	e->len = p->field[DIVERT_F_LEN];
	e->proto = p->field[DIVERT_F_PROTO];
	e->sport = p->field[DIVERT_F_SPORT];
	e->dport = p->field[DIVERT_F_DPORT];
	e->type = type == DIVERT_ABSENT ? p->field[DIVERT_F_ICMP6] : type;
	address_bytes(p, 1, e->src);
	address_bytes(p, 0, e->dst);
	if (in->op == DIVERT_OP_FWD)
		__builtin_memcpy(e->hop, hop, sizeof(e->hop));
	skb_dev_name(skb, e->name);
}

/* Not static: see struct packet_context. */
__noinline int log_packet(struct __sk_buff *skb, const struct divert_insn *in)
{
	const struct packet_context *d = context();
	struct divert_log_entry *e;
	struct divert_log_head *head;
	__u64 *logged, count, serial;
	__u32 at = 0;

	if (!in || !d)
		return 0;
	head = bpf_map_lookup_elem(&log_head, &at);
	at = in->action.counter;
	logged = bpf_map_lookup_elem(&log_counts, &at);
	if (!head || !logged || (in->action.log_max && *logged >= in->action.log_max))
		return 0;
	count = __sync_fetch_and_add(logged, 1) + 1;
	if (in->action.log_max && count > in->action.log_max)
		return 0; /* another CPU was faster */
	serial = __sync_fetch_and_add(&head->serial, 1) + 1;
	at = serial % DIVERT_LOG_ROOM;
	e = bpf_map_lookup_elem(&log_entries, &at);
	if (!e)
		return 0;
	e->serial = 0;
	e->count = count;
	log_fill(skb, in, &d->packet, d->hop, e);
	e->serial = serial;
	return 0;
}

#endif
