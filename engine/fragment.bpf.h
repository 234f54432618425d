/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments at rules that test ports. Only the first fragment of a packet has ports: the rule that
 * it matched is remembered, and later fragments follow it. A later fragment that comes before the
 * first goes provisionally to the first rule that may match. If the first fragment then takes
 * another rule, the provisional rule's socket is told to reinject what it has.
 */
#ifndef DIVERT_ENGINE_FRAGMENT_BPF_H
#define DIVERT_ENGINE_FRAGMENT_BPF_H

#include "deliver.bpf.h"
#include "fragments.bpf.h"

static __always_inline int port_reassembles(struct traversal *p, __u32 number)
{
	const struct divert_socket *conf;
	struct divert_port *port;
	void *ring = NULL;
	__u32 slot = 0;

	if (p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6)
		ring = port_ring(p->context, number | DIVERT_KEY_V6, &port, &slot);
	if (!ring)
		ring = port_ring(p->context, number, &port, &slot);
	conf = bpf_map_lookup_elem(&socket_conf, &slot);
	return ring && conf && conf->flags & DIVERT_SOCK_REASSEMBLE;
}

/* DIVERT_OP_FRAGMENT: returns the next instruction. noinline: for its stack. */
static __noinline __u32 fragment_ask(struct traversal *p, const struct divert_insn *in)
{
	struct packet_context *d = context();
	struct fragments *f;

	if (!d)
		return in->yes;
	f = fragments_find(d);
	if (!f)
		return in->yes;
	if (!(p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)) {
		p->context->first = 1;
		return in->yes;
	}
	if (f->first)
		return f->rule == in->rule && f->port == in->fragment.port ? in->fragment.action
									   : in->no;
	if (!port_reassembles(p, in->fragment.port))
		return in->yes;
	f->waiting_rule = in->rule;
	f->waiting_port = in->fragment.port;
	p->context->undecided = 1;
	return in->fragment.action;
}

/*
 * A first fragment was looked up, and has this state; id 0: none of this name. What it has last
 * holds, for the later ones.
 */
static __always_inline void fragment_keep(struct traversal *p, __u32 id, __u32 name)
{
	p->context->first = 1;
	if (!id)
		return;
	p->context->first_state = id;
	p->context->first_name = name;
	p->context->first_back = p->context->state_back;
}

/*
 * Put the state of the first fragment, if that has come, into the context of a later one, for
 * state_find(). noinline: for its stack.
 */
static __noinline void fragment_state(struct traversal *p)
{
	struct packet_context *d = context();
	struct fragments *f;

	if (!d)
		return;
	f = fragments_find(d);
	p->context->first_state = f && f->first ? f->state : 0;
	p->context->first_name = f ? f->state_name : 0;
	p->context->first_back = f ? f->state_back : 0;
}

/* Record the outcome of a first fragment that has traversed the rules. */
static __noinline void fragment_tell(struct traversal *p)
{
	struct packet_context *d = context();
	struct fragments *f;
	__u16 rule, port;

	if (!d)
		return;
	f = fragments_find(d);
	if (!f)
		return;
	rule = f->waiting_rule;
	port = f->waiting_port;
	f->rule = p->context->rule;
	f->port = p->context->port;
	f->state = p->context->first_state;
	f->state_name = p->context->first_name;
	f->state_back = p->context->first_back;
	__builtin_memcpy(f->released, p->context->released, sizeof(f->released));
	f->dropped = p->context->dropped;
	f->first = 1;
	if (!rule || (rule == p->context->rule && port == p->context->port))
		return;
	/*
	 * the waiting fragments will be reinjected above that rule: they need the entry there, too
	 */
	f->waiting_rule = 0;
	d->fresh = *f;
	d->key.tag = rule;
	bpf_map_update_elem(&fragmented, &d->key, &d->fresh, BPF_ANY);
	deliver(p->skb, rule, port, DELIVER_GIVE_BACK);
}

#endif
