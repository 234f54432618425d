// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel half: two programs, on the hooks of every interface that carries IP.
 *
 * divert_in: ingress. divert_out: egress; on lo it also takes reinjection frames.
 *
 * A packet that a rule diverts goes into the ring of a socket and ends here (TC_ACT_STOLEN). A
 * reinjected packet arrives over lo, is redirected to the ingress or egress of its interface, and
 * continues there at the rules above its tag.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "batch.bpf.h"
#include "forward.bpf.h"
#include "reinject.bpf.h"
#include "rules_ask.bpf.h"
#include "stack.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/*
 * An interface that moved to another namespace still has the program, but our rules do not apply
 * there.
 */
static __always_inline int is_elsewhere(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev;
	struct net *net;

	if (!chain_net)
		return 0;
	dev = READ(skb, dev);
	net = READ(dev, nd_net.net);
	return READ(net, net_cookie) != chain_net;
}

/*
 * The chain takes TC_ACT_STOLEN for "continue". A redirect to nowhere ends the packet instead,
 * without telling its sender. The ifindex 0 is needed: a target that an earlier program set and did
 * not use may still be there.
 */
static __always_inline int verdict(int rc)
{
	return rc == TC_ACT_STOLEN && chain_net ? (int)bpf_redirect(0, 0) : rc;
}

/*
 * Drop a packet with unreadable headers before the rules: it matches no rule, and passes none.
 * Another stack behind this host may interpret it differently.
 */
static __always_inline int traversal_read(struct traversal *p, int kind)
{
	if (!context_read(p->skb, kind & DIVERT_KIND_V6 ? 6 : 4))
		return 0;
	count(0, DIVERT_N_MALFORMED);
	return -1;
}

/* Inbound. noinline: only packets that may match a rule need its stack. */
static __noinline int in(struct __sk_buff *skb, int kind, int reinject, __u32 tag, __u32 link_len)
{
	struct traversal p = {.skb = skb};

	if (traversal_begin(&p))
		return TC_ACT_SHOT;
	p.context->recv_ifindex = skb->ifindex;
	p.context->link_len = link_len;
	p.context->packet.field[DIVERT_F_MARK] = skb->mark;
	if (reinject)
		p.context->packet.field[DIVERT_F_FLAGS] = DIVERT_IS_REINJECTED_IN;
	if (traversal_read(&p, kind))
		return drop(&p);
	return run_rules(&p, tag);
}

static __always_inline int ingress(struct __sk_buff *skb)
{
	__u32 link_len;
	int version = version_in(skb, &link_len), reinject = 0, kind, verdict = TC_ACT_UNSPEC;
	struct entry entry = {};

	if (!version || is_elsewhere(skb))
		return TC_ACT_UNSPEC;
	kind = entry_kind(skb);
	if (kind == ENTRY_ALONE)
		return forward_from_lo(skb);
	/* fwd sent it to an interface whose other end is here: it comes in as any other */
	if (kind && !entry_forwarded(skb))
		reinject = entry_take(skb, &entry, 0);
	if (reinject) {
		if (skb->pkt_type == PACKET_OTHERHOST) {
			set_type(skb, version);
			skb_port_arrive(skb);
		}
	} else if (bulk_take(skb, &entry)) {
		reinject = ENTRY_REINJECTED;
	} else if (skb->pkt_type == PACKET_OTHERHOST ||
		   (skb_dev_is_port(skb) && !skb_port_passes(skb))) {
		return TC_ACT_UNSPEC;
	}
	kind = rules_ask(skb, version, 0, reinject, entry.tag, link_len);
	if (kind != RULES_NONE)
		verdict = in(skb, kind, reinject, entry.tag, link_len);
	if (reinject && verdict == TC_ACT_UNSPEC)
		stack_count(skb, version, &entry);
	return verdict;
}

SEC("tc")
int divert_in(struct __sk_buff *skb)
{
	return verdict(ingress(skb));
}

#define KIND_REINJECTED 0x100 /* added to the kind: the packet was reinjected */

/*
 * Outbound. recv_ifindex: the receiving interface, or 0. owner: number from owner.bpf.h. noinline:
 * reinjection frames do not need its stack.
 */
static __noinline int out(struct __sk_buff *skb, int kind, __u32 tag, __u32 recv_ifindex,
			  __u32 owner)
{
	struct traversal p = {.skb = skb};
	int rc;

	if (traversal_begin(&p))
		return TC_ACT_STOLEN;
	p.context->recv_ifindex = recv_ifindex;
	p.context->owner = owner;
	p.context->link_len = skb_link_len(skb);
	p.context->packet.field[DIVERT_F_MARK] = skb->mark;
	p.context->packet.field[DIVERT_F_FLAGS] = DIVERT_IS_OUT;
	if (kind & KIND_REINJECTED)
		p.context->packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_REINJECTED_OUT;
	if (recv_ifindex)
		p.context->packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_FORWARDED;
	if (traversal_read(&p, kind))
		return drop(&p);
	rc = run_rules(&p, tag);
	if (p.context->forward)
		rc = forward(skb);
	return rc == FORWARD_TOO_BIG ? reject(skb) : rc;
}

/* TC_ACT_OK: the frame is now a packet to this host itself, outbound over lo. */
static __always_inline int reinject_frame(struct __sk_buff *skb, int version,
					  struct divert_reinject *reinject,
					  const struct divert_sender *sender)
{
	void *ring;
	int kind;

	skb->priority = sender->stats;
	kind = reinject_header(skb, reinject);
	if (kind == REINJECT_AGAIN)
		return reinject_error(skb, EAGAIN);
	if (kind < 0 || !(reinject->flags & DIVERT_REINJECT_FRAME))
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	if ((reinject->flags & DIVERT_REINJECT_BATCH) == DIVERT_REINJECT_BATCH)
		return reinject_batch(skb, reinject);
	if (reinject->flags & DIVERT_REINJECT_QUERY) {
		ring = bpf_map_lookup_elem(&sockets, &reinject->ifindex);
		return ring && ring_alive(ring) ? TC_ACT_SHOT : TC_ACT_STOLEN;
	}
	if (reinject->flags & DIVERT_REINJECT_COUNT && !reinject_joined(reinject)) {
		if (reinject->ifindex < DIVERT_N_CAUSES)
			count_many(reinject_stats(skb), reinject->ifindex, reinject->mark);
		return TC_ACT_STOLEN;
	}
	if (reinject->flags & DIVERT_REINJECT_SET && !reinject_joined(reinject))
		return reinject_set(skb, reinject, sender);
	if (reinject->hops > DIVERT_HOPS_MAX)
		return reinject_refuse(skb, reinject, DIVERT_N_LOOP, ELOOP);
	if (!version || (kind != REINJECT_LONG && reinject_unwrap(skb)))
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	return reinject->flags & DIVERT_REINJECT_OUT ? reinject_out(skb, version, reinject)
						     : reinject_in(skb, reinject);
}

/* Handle a packet that reinject_alone() sent here. */
static __always_inline int alone(struct __sk_buff *skb, int version, const struct entry *entry)
{
	struct divert_reinject reinject = {
		.flags = DIVERT_REINJECT_FRAME | DIVERT_REINJECT_OUT,
		.hops = skb_hops(skb),
		.tag = entry->tag,
		.ifindex = entry->recv_ifindex,
		.mark = skb->mark,
		.priority = skb->priority,
	};
	int rc;

	skb->priority = entry->stats;
	rc = reinject_out(skb, version, &reinject);
	skb->cb[2] |= entry->owner << ENTRY_NUMBER;
	return rc;
}

static __always_inline int egress(struct __sk_buff *skb)
{
	struct entry entry = {.recv_ifindex = skb->ingress_ifindex};
	int version = version_out(skb), known = 0, kind, rc;
	const struct divert_sender *sender;
	struct divert_reinject reinject;

	if (is_elsewhere(skb))
		return TC_ACT_UNSPEC;
	if (version)
		known = entry_kind(skb);
	if (known == ENTRY_IN)
		return stack_enter(skb, version);
	if (known && entry_forwarded(skb))
		return TC_ACT_UNSPEC;
	if (known)
		known = entry_take(skb, &entry, 1);
	if (known == ENTRY_ALONE)
		return alone(skb, version, &entry);
	/* a packet that leaves over lo has a divert socket, too, but is no frame any more */
	sender = known ? NULL : reinject_sender(skb);
	if (sender) {
		rc = reinject_frame(skb, version, &reinject, sender);
		if (rc != TC_ACT_OK)
			return rc;
		known = 1;
		entry.tag = reinject.tag;
		entry.recv_ifindex = reinject.ifindex;
		if (reinject.meta & DIVERT_META_OWNER)
			entry.owner = owner_number(reinject.uid, reinject.gid);
		skb->cb[4] = sender->stats;
	}
	if (known && !entry.owner)
		entry.owner = OWNER_UNKNOWN;
	if (!version || (!known && !skb_is_routed(skb) && !entry_routed(skb)))
		return TC_ACT_UNSPEC;
	kind = rules_ask(skb, version, 1, entry.owner, entry.tag, skb_link_len(skb));
	if (kind == RULES_NONE)
		return TC_ACT_UNSPEC;
	return out(skb, known ? kind | KIND_REINJECTED : kind, entry.tag, entry.recv_ifindex,
		   entry.owner);
}

SEC("tc")
int divert_out(struct __sk_buff *skb)
{
	return verdict(egress(skb));
}
