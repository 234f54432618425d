/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments at rules that ask for ports, which only the first fragment of a packet has:
 * what it tells is kept, and the later ones go by it. One that comes before the first goes on
 * trial to the first rule that may take it; should the first fragment go elsewhere, that rule's
 * socket is told to write it back.
 */
#ifndef DIVERT_ENGINE_FRAGMENT_BPF_H
#define DIVERT_ENGINE_FRAGMENT_BPF_H

#include "deliver.bpf.h"

#define FRAGMENTS_MAX 32768		   /* packets under way */
#define FRAGMENTS_NS  (60 * 1000000000ull) /* RFC 8200: after that an id may be another packet's */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS_MAX);
	__type(key, struct fragments_key);
	__type(value, struct fragments);
} fragmented SEC(".maps");

static __always_inline void fragments_key(const struct pass *p, struct fragments_key *k)
{
	const struct divert_packet *f = &p->desk->packet;

	k->addr[0] = f->field[DIVERT_F_SRC4];
	k->addr[1] = 0;
	k->addr[2] = f->field[DIVERT_F_DST4];
	k->addr[3] = 0;
	k->proto = f->field[DIVERT_F_PROTO];
	if (f->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		k->addr[0] = f->wide[DIVERT_W_SRC6][0];
		k->addr[1] = f->wide[DIVERT_W_SRC6][1];
		k->addr[2] = f->wide[DIVERT_W_DST6][0];
		k->addr[3] = f->wide[DIVERT_W_DST6][1];
		k->proto = 0;
	}
	k->id = p->desk->shape.id;
	k->tag = p->desk->tag;
	k->out = f->field[DIVERT_F_FLAGS] & DIVERT_IS_OUT;
}

/* What is known of the packet; where that is nothing, or too old, a new entry. */
static __always_inline struct fragments *fragments_find(struct pass *p, struct desk *d)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct fragments *f;

	fragments_key(p, &d->key);
	f = bpf_map_lookup_elem(&fragmented, &d->key);
	if (f && now - f->when < FRAGMENTS_NS)
		return f;
	__builtin_memset(&d->fresh, 0, sizeof(d->fresh));
	d->fresh.when = now;
	bpf_map_update_elem(&fragmented, &d->key, &d->fresh, BPF_ANY);
	return bpf_map_lookup_elem(&fragmented, &d->key);
}

static __always_inline int port_reassembles(struct pass *p, __u32 number)
{
	const struct divert_socket *conf;
	struct divert_port *port;
	void *ring = NULL;
	__u32 slot = 0;

	if (p->desk->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6)
		ring = port_ring(p->desk, number | DIVERT_KEY_V6, &port, &slot);
	if (!ring)
		ring = port_ring(p->desk, number, &port, &slot);
	conf = bpf_map_lookup_elem(&socket_conf, &slot);
	return ring && conf && conf->flags & DIVERT_SOCK_REASSEMBLE;
}

/* DIVERT_OP_FRAGMENT: the instruction to go on at. noinline: for its stack. */
static __noinline __u32 fragment_ask(struct pass *p, const struct divert_insn *in)
{
	struct desk *d = desk();
	struct fragments *f;

	if (!d)
		return in->yes;
	f = fragments_find(p, d);
	if (!f)
		return in->yes;
	if (!(p->desk->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)) {
		p->desk->first = 1;
		return in->yes;
	}
	if (f->first)
		return f->rule == in->rule && f->port == in->fragment.port ? in->fragment.action
									   : in->yes;
	if (!port_reassembles(p, in->fragment.port))
		return in->yes;
	f->waiting_rule = in->rule;
	f->waiting_port = in->fragment.port;
	p->desk->undecided = 1;
	return in->fragment.action;
}

/* A first fragment has been through the rules. */
static __noinline void fragment_tell(struct pass *p)
{
	struct desk *d = desk();
	struct fragments *f;
	__u16 rule, port;

	if (!d)
		return;
	f = fragments_find(p, d);
	if (!f)
		return;
	rule = f->waiting_rule;
	port = f->waiting_port;
	f->rule = p->desk->rule;
	f->port = p->desk->port;
	f->first = 1;
	if (!rule || (rule == p->desk->rule && port == p->desk->port))
		return;
	/* those that wait come again above that rule: they, too, are to find the entry */
	f->waiting_rule = 0;
	d->fresh = *f;
	d->key.tag = rule;
	bpf_map_update_elem(&fragmented, &d->key, &d->fresh, BPF_ANY);
	deliver(p->skb, rule, port, DELIVER_RELEASE);
}

#endif
