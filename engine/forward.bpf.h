/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fwd: sends an outbound packet to a next hop instead of the one that its route names. The packet
 * leaves by the interface on whose link the hop is. Its bytes stay as they are; the kernel writes
 * the link header, and asks for the hop's address first if it has to.
 */
#ifndef DIVERT_ENGINE_FORWARD_BPF_H
#define DIVERT_ENGINE_FORWARD_BPF_H

#include "local.bpf.h"
#include "reinject_out.bpf.h"
#include "reject.bpf.h"

#define FORWARD_TOO_BIG (-2) /* no verdict: reject() tells the sender */

/* Packets that are on their way to lo, by their serial numbers; more are lost. */
#define FORWARD_HOPS 4096

struct forward_hop {
	__u32 serial; /* 0: it is being written */
	__u32 ifindex;
	__be32 addr[4];
	__u32 six;
	__u32 priority; /* of the packet, which loses it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FORWARD_HOPS);
	__type(key, __u32);
	__type(value, struct forward_hop);
} forward_hops SEC(".maps");

struct forward_head {
	__u32 serial; /* the last one that was given */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct forward_head);
} forward_head SEC(".maps");

/* ---- the interface of the hop, by the routes ---- */

/*
 * Look up the way to the hop; len: for packets of this length, or 0. by: lo, or with FIB_OUTPUT the
 * interface, or the VRF. Rules of policy routing for the packet do not apply to the hop.
 */
static __always_inline int forward_ask(struct __sk_buff *skb, const struct packet_context *d,
				       struct bpf_fib_lookup *fib, __u32 len, __u32 by, __u32 flags)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = d->hop_six ? AF_INET6 : AF_INET;
	fib->tot_len = len;
	fib->ifindex = by;
	__builtin_memcpy(fib->ipv6_dst, d->hop, sizeof(fib->ipv6_dst));
	return bpf_fib_lookup(skb, fib, sizeof(*fib), flags);
}

/* Is the hop a neighbour? A route by a gateway has its address here. */
static __always_inline int forward_is_near(const struct packet_context *d,
					   const struct bpf_fib_lookup *fib)
{
	const __be32 *to = fib->ipv6_dst;

	if (fib->family != (d->hop_six ? AF_INET6 : AF_INET) || to[0] != d->hop[0])
		return 0;
	return !d->hop_six || (to[1] == d->hop[1] && to[2] == d->hop[2] && to[3] == d->hop[3]);
}

/*
 * Get d->hop_ifindex. 1: the hop is a neighbour, and its link address is known; 0: it is one;
 * -1: it is none. mtu: 0, or what the packet is too long for; then the first look does not say
 * where the hop is.
 */
static __always_inline int forward_routed(struct __sk_buff *skb, struct packet_context *d,
					  __u32 len, __u32 *mtu)
{
	const __u32 vrf = dev_vrf(READ(skb_of(skb), dev)), flags = vrf ? FIB_OUTPUT : 0;
	const __u32 by = vrf ? vrf : LO_IFINDEX;
	struct bpf_fib_lookup fib;
	int rc = forward_ask(skb, d, &fib, len, by, flags);

	if (rc == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
		*mtu = fib.mtu_result;
		rc = forward_ask(skb, d, &fib, 0, by, flags);
		if (rc == BPF_FIB_LKUP_RET_FRAG_NEEDED)
			rc = BPF_FIB_LKUP_RET_SUCCESS;
	}
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return -1;
	d->hop_ifindex = fib.ifindex;
	if (!forward_is_near(d, &fib))
		return -1;
	return rc == BPF_FIB_LKUP_RET_SUCCESS;
}

/* ---- the interface of a link-local hop, by its name ---- */

struct forward_search {
	__u64 at, end; /* in the list of all interfaces */
	struct packet_context *context;
};

static long forward_step(__u32 i, struct forward_search *s)
{
	struct net_device *dev;
	__u64 name[2];

	if (s->at == s->end)
		return 1;
	dev = AS(net_device, s->at - bpf_core_field_offset(struct net_device, dev_list));
	dev_name(dev, (char *)name);
	if (name[0] == s->context->hop_name[0] && name[1] == s->context->hop_name[1]) {
		s->context->hop_ifindex = READ(dev, ifindex);
		return 1;
	}
	s->at = local_next(s->at);
	return 0;
}

/* Returns what forward_routed() does. Where the look-up fails, the link address may be known. */
static __always_inline int forward_named(struct __sk_buff *skb, struct packet_context *d, __u32 len,
					 __u32 *mtu)
{
	struct net_device *dev = READ(skb_of(skb), dev);
	struct net *net = READ(dev, nd_net.net);
	struct forward_search s = {.context = d};
	struct bpf_fib_lookup fib;
	int rc;

	s.at = (__u64)READ(net, dev_base_head.next);
	s.end = (__u64)net + bpf_core_field_offset(struct net, dev_base_head);
	d->hop_ifindex = 0;
	bpf_loop(LOCAL_STEPS, forward_step, &s, 0);
	if (!d->hop_ifindex)
		return -1;
	rc = forward_ask(skb, d, &fib, len, d->hop_ifindex, FIB_OUTPUT);
	if (rc == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		*mtu = fib.mtu_result;
	return rc == BPF_FIB_LKUP_RET_SUCCESS && fib.ifindex == d->hop_ifindex;
}

static __always_inline __u32 forward_mtu(const struct packet_context *d, struct net_device *dev)
{
	struct inet6_dev *six;

	if (!d->hop_six || !bpf_core_type_exists(struct inet6_dev))
		return READ(dev, mtu);
	six = READ(dev, ip6_ptr);
	return six ? (__u32)READ(six, cnf.mtu6) : READ(dev, mtu);
}

/* ---- sending ---- */

/*
 * No program can fragment a packet, and the stack does so before the hooks only: its sender is
 * told, whether it allows fragments or not.
 */
static __always_inline int forward_too_big(struct packet_context *d, __u32 mtu)
{
	entry_found();
	count(0, DIVERT_N_TOO_BIG);
	d->reject = DIVERT_REJECT_V4 | DIVERT_REJECT_TOO_BIG | ICMP_NEEDFRAG;
	d->mtu = mtu;
	return FORWARD_TOO_BIG;
}

/*
 * bpf_redirect_neigh() replaces the link header, and drops a packet without one. A VLAN's tag in it
 * would be the packet's.
 */
static __always_inline int forward_strip(struct __sk_buff *skb, const struct packet_context *d)
{
	const __be16 protocol = skb->protocol;

	if (is_vlan(protocol))
		return -1;
	if (!d->link_len)
		return bpf_skb_change_head(skb, ETH_HLEN, 0) ||
				       bpf_skb_store_bytes(skb, 2 * ETH_ALEN, &protocol,
							   sizeof(protocol), 0)
			       ? -1
			       : 0;
	reinject_to_nobody(skb);
	return 0;
}

static __always_inline int forward_leave(struct __sk_buff *skb, const struct forward_hop *hop)
{
	struct bpf_redir_neigh next = {.nh_family = hop->six ? AF_INET6 : AF_INET};

	__builtin_memcpy(next.ipv6_nh, hop->addr, sizeof(next.ipv6_nh));
	entry_forward(skb, is_hooked(hop->ifindex, DIVERT_IFACE_OUT));
	return bpf_redirect_neigh(hop->ifindex, &next, sizeof(next), 0);
}

/*
 * The hop's link address is not known yet. The kernel gives a packet that has waited for it to the
 * neighbour of its route, which is another one. On its way to lo the packet loses that route, and
 * from there it leaves for the hop, and waits. Not static: see struct packet_context.
 */
__noinline int forward_by_lo(struct __sk_buff *ctx)
{
	static const __u8 another[ETH_ALEN] = {0x02}; /* without a hook on lo, nobody takes it */
	volatile struct __sk_buff *skb = ctx;	      /* see entry_set() */
	struct packet_context *d = context();
	struct forward_hop *hop;
	__u32 serial, at = 0;
	struct forward_head *head = bpf_map_lookup_elem(&forward_head, &at);

	if (!d || !head || (d->link_len && d->link_len != ETH_HLEN) ||
	    bpf_skb_store_bytes(ctx, 0, another, sizeof(another), 0))
		return TC_ACT_STOLEN;
	serial = __sync_fetch_and_add(&head->serial, 1) + 1;
	at = serial % FORWARD_HOPS;
	hop = bpf_map_lookup_elem(&forward_hops, &at);
	if (!hop)
		return TC_ACT_STOLEN;
	hop->serial = 0;
	__builtin_memcpy(hop->addr, d->hop, sizeof(hop->addr));
	hop->six = d->hop_six;
	hop->ifindex = d->hop_ifindex;
	hop->priority = skb->priority;
	hop->serial = serial;
	skb->cb[0] = entry_key[0];
	skb->cb[1] = entry_key[1];
	skb->cb[2] = ENTRY_ALONE;
	skb->cb[3] = serial;
	return bpf_redirect(LO_IFINDEX, BPF_F_INGRESS);
}

/* Such a packet has arrived on lo. Not static: see struct packet_context. */
__noinline int forward_from_lo(struct __sk_buff *ctx)
{
	volatile struct __sk_buff *skb = ctx;
	__u32 serial = skb->cb[3], at = serial % FORWARD_HOPS;
	struct forward_hop *hop = bpf_map_lookup_elem(&forward_hops, &at), copy;

	skb->cb[0] = 0;
	if (!hop || hop->serial != serial)
		return TC_ACT_SHOT;
	copy = *hop;
	if (hop->serial != serial) /* another CPU has just used the place for another packet */
		return TC_ACT_SHOT;
	skb->priority = copy.priority;
	return forward_leave(ctx, &copy);
}

/*
 * The packet, which the rules have left, to d->hop. Returns the verdict, or FORWARD_TOO_BIG. Not
 * static: see struct packet_context.
 */
__noinline int forward(struct __sk_buff *skb)
{
	struct traversal p = {.skb = skb, .context = context()};
	struct packet_context *d = p.context;
	struct forward_hop hop = {};
	struct net_device *dev;
	__u32 len, mtu = 0;
	int known;

	if (!d)
		return TC_ACT_STOLEN;
	count(0, DIVERT_N_FWD); /* until it is seen to leave */
	len = reinject_len(&p);
	known = d->hop_name[0] ? forward_named(skb, d, len, &mtu)
			       : forward_routed(skb, d, len, &mtu);
	dev = known < 0 ? NULL : skb_find_dev(skb, d->hop_ifindex);
	/* what leaves by a macvlan would meet the rules of this interface again, below it */
	if (!dev || !dev_is_up(dev) || dev_is_above(dev, READ(skb_of(skb), dev)))
		return TC_ACT_STOLEN;
	if (d->hop_name[0] && len > forward_mtu(d, dev))
		mtu = forward_mtu(d, dev);
	if (mtu)
		return forward_too_big(d, mtu);
	if (forward_strip(skb, d))
		return TC_ACT_STOLEN;
	if (!known)
		return forward_by_lo(skb);
	__builtin_memcpy(hop.addr, d->hop, sizeof(hop.addr));
	hop.six = d->hop_six;
	hop.ifindex = d->hop_ifindex;
	return forward_leave(skb, &hop);
}

#endif
