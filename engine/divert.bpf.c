// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel half: two programs, on the hooks of every interface that carries IP.
 *
 *	divert_in	ingress
 *	divert_out	egress; on lo also the way back
 *
 * A packet that a rule takes goes into the ring of a socket and ends here
 * (TC_ACT_STOLEN); one that is written back comes in over lo, is redirected to
 * the ingress or egress of its interface and goes on there above its tag.
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

#include "back.bpf.h"
#include "batch.bpf.h"
#include "martian.bpf.h"
#include "rules_ask.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* An interface that moved to another namespace has the program still: no rules of ours are for it there. */
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
 * The chain takes TC_ACT_STOLEN for "go on". A redirect that leads nowhere is what it has instead: the packet ends, and
 * who sent it is told nothing. To nowhere by name: a target that an earlier program set and did not use is still there.
 */
static __always_inline int verdict(int rc)
{
	return rc == TC_ACT_STOLEN && chain_net ? (int)bpf_redirect(0, 0) : rc;
}

/*
 * Before any rule, what cannot be read is dropped: it matches no rule, and passes none. Another stack
 * behind this host may see more in it than we do.
 */
static __always_inline int pass_read(struct pass *p, int kind)
{
	if (!desk_read(p->skb, kind & DIVERT_KIND_V6 ? 6 : 4))
		return 0;
	count(0, DIVERT_N_MALFORMED);
	return -1;
}

/* On the way in. noinline: only packets that a rule may be for need its stack. */
static __noinline int in(struct __sk_buff *skb, int kind, int back, __u32 tag, __u32 link_len)
{
	struct pass p = {.skb = skb};

	if (pass_begin(&p))
		return TC_ACT_SHOT;
	p.desk->recv_ifindex = skb->ifindex;
	p.desk->link_len = link_len;
	p.desk->packet.field[DIVERT_F_MARK] = skb->mark;
	if (back)
		p.desk->packet.field[DIVERT_F_FLAGS] = DIVERT_IS_BACK_IN;
	if (pass_read(&p, kind))
		return drop(&p);
	return run_rules(&p, tag);
}

static __always_inline int ingress(struct __sk_buff *skb)
{
	__u32 link_len;
	int version = version_in(skb, &link_len), back, kind, verdict = TC_ACT_UNSPEC;
	struct entry entry = {};

	if (!version || is_elsewhere(skb))
		return TC_ACT_UNSPEC;
	back = entry_take(skb, &entry);
	if (back) {
		set_type(skb, version);
		skb_port_arrive(skb);
	} else if (train_take(skb, &entry)) {
		back = ENTRY_BACK;
	} else if (skb->pkt_type == PACKET_OTHERHOST ||
		   (skb_dev_is_port(skb) && !skb_port_passes(skb))) {
		return TC_ACT_UNSPEC;
	}
	kind = rules_ask(skb, version, 0, entry.tag, link_len);
	if (kind != RULES_NONE)
		verdict = in(skb, kind, back, entry.tag, link_len);
	if (back && verdict == TC_ACT_UNSPEC)
		martian_count(skb, version, entry.stats, entry.n);
	return verdict;
}

SEC("tc")
int divert_in(struct __sk_buff *skb)
{
	return verdict(ingress(skb));
}

/* On the way out. recv_ifindex: where it was received, or 0. noinline: the way back needs none of its stack. */
static __noinline int out(struct __sk_buff *skb, int kind, int back, __u32 tag, __u32 recv_ifindex)
{
	struct pass p = {.skb = skb};

	if (pass_begin(&p))
		return TC_ACT_STOLEN;
	p.desk->recv_ifindex = recv_ifindex;
	p.desk->link_len = skb_link_len(skb);
	p.desk->packet.field[DIVERT_F_MARK] = skb->mark;
	p.desk->packet.field[DIVERT_F_FLAGS] = DIVERT_IS_OUT;
	if (back)
		p.desk->packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_BACK_OUT;
	if (recv_ifindex)
		p.desk->packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_FORWARDED;
	if (pass_read(&p, kind))
		return drop(&p);
	return run_rules(&p, tag);
}

/* TC_ACT_OK: it holds a packet to this host itself, which goes out over lo. */
static __always_inline int back_frame(struct __sk_buff *skb, int version, struct divert_back *back)
{
	void *ring;

	if (back_header(skb, back) || !(back->flags & DIVERT_BACK_FRAME))
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	if ((back->flags & DIVERT_BACK_BATCH) == DIVERT_BACK_BATCH)
		return back_batch(skb, back);
	if (back->flags & DIVERT_BACK_QUERY) {
		ring = bpf_map_lookup_elem(&sockets, &back->ifindex);
		return ring && ring_alive(ring) ? TC_ACT_SHOT : TC_ACT_STOLEN;
	}
	if (back->flags & DIVERT_BACK_COUNT && !back_joined(back)) {
		if (back->ifindex < DIVERT_N_CAUSES)
			count_many(back_stats(skb), back->ifindex, back->mark);
		return TC_ACT_STOLEN;
	}
	if (back->flags & DIVERT_BACK_SET && !back_joined(back))
		return back_set(skb, back);
	if (back->hops > DIVERT_HOPS_MAX)
		return back_refuse(skb, back, DIVERT_N_LOOP, ELOOP);
	if (!(back->flags & DIVERT_BACK_OUT))
		return back_in(skb, back);
	return version ? back_out(skb, version, back)
		       : back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
}

/* What back_alone() has sent here. */
static __always_inline int alone(struct __sk_buff *skb, int version, const struct entry *entry)
{
	struct divert_back back = {
		.flags = DIVERT_BACK_FRAME | DIVERT_BACK_OUT,
		.hops = skb_hops(skb),
		.tag = entry->tag,
		.ifindex = entry->recv_ifindex,
		.mark = skb->mark,
	};

	skb->priority = entry->stats;
	return back_out(skb, version, &back);
}

static __always_inline int egress(struct __sk_buff *skb)
{
	struct entry entry = {.recv_ifindex = skb->ingress_ifindex};
	int version = version_out(skb), known = 0, kind, rc;
	struct divert_back back;

	if (is_elsewhere(skb))
		return TC_ACT_UNSPEC;
	if (is_back(skb)) {
		rc = back_frame(skb, version, &back);
		if (rc != TC_ACT_OK)
			return rc;
		known = 1;
		entry.tag = back.tag;
		entry.recv_ifindex = back.ifindex;
	} else if (version) {
		known = entry_take(skb, &entry);
		if (known == ENTRY_ALONE)
			return alone(skb, version, &entry);
	}
	if (!version || (!known && !skb_is_routed(skb) && !entry_routed(skb)))
		return TC_ACT_UNSPEC;
	kind = rules_ask(skb, version, 1, entry.tag, skb_link_len(skb));
	return kind == RULES_NONE ? TC_ACT_UNSPEC
				  : out(skb, kind, known, entry.tag, entry.recv_ifindex);
}

SEC("tc")
int divert_out(struct __sk_buff *skb)
{
	return verdict(egress(skb));
}
