/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reinjection outbound: on the packet's original path, or by the routes. */
#ifndef DIVERT_ENGINE_REINJECT_OUT_BPF_H
#define DIVERT_ENGINE_REINJECT_OUT_BPF_H

#include "reinject.bpf.h"

/* ---- routing ---- */

/* The lookup found no route: return the error that send() gives on a raw socket. */
static __always_inline int reinject_no_route(struct __sk_buff *skb,
					     const struct divert_reinject *reinject, int rc)
{
	switch (rc) {
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		if (!skb->sk)
			return reinject_refuse(skb, reinject, DIVERT_N_TOO_BIG, EMSGSIZE);
		return reinject_error(skb, EMSGSIZE); /* the library fragments it, or counts it */
	case BPF_FIB_LKUP_RET_UNREACHABLE:
		return reinject_refuse(skb, reinject, DIVERT_N_NO_ROUTE, EHOSTUNREACH);
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return reinject_refuse(skb, reinject, DIVERT_N_NO_ROUTE, EACCES);
	case BPF_FIB_LKUP_RET_BLACKHOLE:
		return reinject_refuse(skb, reinject, DIVERT_N_NO_ROUTE, EINVAL);
	case BPF_FIB_LKUP_RET_FWD_DISABLED: /* forwarding of lo is switched off */
		return reinject_refuse(skb, reinject, DIVERT_N_NO_ROUTE, ENETDOWN);
	}
	/*
	 * No route, or none to another host: this helper does not distinguish local, broadcast and
	 * multicast destinations from missing routes. The library can, and sends again if there is
	 * a route.
	 */
	if (!skb->sk)
		return reinject_refuse(skb, reinject, DIVERT_N_NO_ROUTE, ENETUNREACH);
	return reinject_refuse(skb, reinject, DIVERT_N_UNROUTED, ENETUNREACH);
}

/* Bytes of the longest packet that leaves; for a GSO packet, of its longest segment. */
static __always_inline __u32 reinject_len(struct traversal *p)
{
	__u32 head = p->context->shape.payload + 8; /* UDP's */
	__u32 gso_size = p->skb->gso_size;
	__u8 offset = 0;

	if (!gso_size)
		return p->context->shape.len;
	if (p->context->packet.field[DIVERT_F_PROTO] == PROTO_TCP) {
		packet_load(p, p->context->shape.payload + 12, &offset, sizeof(offset));
		head = p->context->shape.payload + (offset >> 4) * 4;
	}
	return head + gso_size;
}

/*
 * A diverted packet that may not be fragmented: the stack found that it fits when it sent it, and
 * knows better than the lookup. The lookup also uses path MTUs that this host has learned for its
 * own packets, which a router does not; so it would refuse path MTU probes.
 */
static __always_inline int reinject_fitted(struct traversal *p,
					   const struct divert_reinject *reinject)
{
	__u8 frag = 0x40;

	if (!(p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6))
		packet_load(p, offsetof(struct packet_ip4, frag), &frag, sizeof(frag));
	return reinject->tag && frag & 0x40;
}

/* Do routes depend on ports? Yes, if that cannot be known. */
static __always_inline int routes_by_port(struct __sk_buff *skb, int version)
{
	struct net_device *dev = READ(skb_of(skb), dev);
	struct net *net = READ(dev, nd_net.net);

	if (version == 6)
		return !bpf_core_field_exists(net->ipv6.fib6_has_custom_rules) ||
		       READ(net, ipv6.fib6_has_custom_rules) ||
		       READ(net, ipv6.sysctl.multipath_hash_policy);
	return !bpf_core_field_exists(net->ipv4.fib_has_custom_rules) ||
	       !bpf_core_field_exists(net->ipv4.sysctl_fib_multipath_hash_policy) ||
	       READ(net, ipv4.fib_has_custom_rules) ||
	       READ(net, ipv4.sysctl_fib_multipath_hash_policy);
}

/*
 * Fill in the lookup, except for the packet's length. from: the interface that the packet comes
 * from; or the VRF, with FIB_OUTPUT.
 */
static __always_inline void reinject_ask(struct traversal *p, struct bpf_fib_lookup *fib, int ports,
					 __u32 from)
{
	struct divert_packet *k = &p->context->packet;
	int v6 = k->field[DIVERT_F_FLAGS] & DIVERT_IS_V6;

	fib->family = v6 ? AF_INET6 : AF_INET;
	fib->l4_protocol = k->field[DIVERT_F_PROTO];
	if (ports && k->field[DIVERT_F_SPORT] != DIVERT_ABSENT) {
		fib->sport = bpf_htons(k->field[DIVERT_F_SPORT]);
		fib->dport = bpf_htons(k->field[DIVERT_F_DPORT]);
	}
	fib->ifindex = from;
	if (v6) {
		packet_load(p, offsetof(struct packet_ip6, src), fib->ipv6_src, 32);
		fib->flowinfo = bpf_htonl((__u32)p->context->shape.tos << 20);
	} else {
		fib->ipv4_src = k->field[DIVERT_F_SRC4];
		fib->ipv4_dst = k->field[DIVERT_F_DST4];
		fib->tos = p->context->shape.tos;
	}
	if (fib_flags & FIB_MARK)
		*(__u32 *)fib->smac = p->skb->mark;
}

#define FIB_OUTPUT 2u /* BPF_FIB_LOOKUP_OUTPUT */

/*
 * The interface to look up from: for a packet of this host in a VRF, the VRF with FIB_OUTPUT; else
 * lo, which does not influence the result.
 */
static __always_inline __u32 reinject_from(struct traversal *p,
					   const struct divert_reinject *reinject, __u32 *flags)
{
	struct net_device *dev = reinject->oif ? skb_find_dev(p->skb, reinject->oif) : NULL;
	__u32 vrf = dev ? dev_vrf(dev) : 0;

	*flags = fib_flags;
	if (!vrf)
		return LO_IFINDEX;
	*flags |= FIB_OUTPUT;
	return vrf;
}

/* len: checked against the MTU; 0: only the device's MTU counts. */
static __always_inline int reinject_route(struct traversal *p, struct bpf_fib_lookup *fib,
					  const struct divert_reinject *reinject, __u16 len)
{
	__u32 flags, from = reinject_from(p, reinject, &flags);

	reinject_ask(p, fib, 1, from);
	fib->tot_len = len;
	return bpf_fib_lookup(p->skb, fib, sizeof(*fib), flags);
}

/*
 * Look up the route for a packet of this length. If the neighbour is not known the result has no
 * MTU, and the device's is used.
 */
static __always_inline int reinject_fib(struct traversal *p, struct bpf_fib_lookup *fib,
					const struct divert_reinject *reinject, __u32 len)
{
	int rc = reinject_route(p, fib, reinject, len);
	struct net_device *dev;

	if (rc != BPF_FIB_LKUP_RET_FRAG_NEEDED || !reinject_fitted(p, reinject))
		return rc;
	rc = reinject_route(p, fib, reinject, 0);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return rc;
	dev = skb_find_dev(p->skb, fib->ifindex);
	return dev && len <= READ(dev, mtu) ? rc : BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* The queue is full: the packet is lost, and its sender is told. */
static __always_inline int reinject_queue_full(struct __sk_buff *skb,
					       const struct divert_reinject *reinject, __u32 stats)
{
	skb->priority = stats;
	if (!reinject_joined(reinject))
		return reinject_refuse(skb, reinject, DIVERT_N_QUEUE_FULL, ENOBUFS);
	/* sent again, its segments would meet the same queue */
	count_many(stats, DIVERT_N_QUEUE_FULL, entry_segments(skb, ETH_HLEN));
	return TC_ACT_STOLEN;
}

/* Send to the interface's egress, where its hook, if any, meets the packet again. */
static __always_inline int reinject_leave(struct __sk_buff *skb,
					  const struct divert_reinject *reinject, __u32 ifindex,
					  struct bpf_redir_neigh *next, __u32 stats)
{
	reinject_enter_out(skb, reinject, is_hooked(ifindex, DIVERT_IFACE_OUT), stats);
	if (!next)
		return bpf_redirect_neigh(ifindex, NULL, 0, 0);
	return bpf_redirect_neigh(ifindex, next, sizeof(*next), 0);
}

/* The packet cannot leave by this interface: it is gone, or down. */
static __always_inline int reinject_off(struct __sk_buff *skb,
					const struct divert_reinject *reinject,
					const struct net_device *dev)
{
	return dev ? reinject_refuse(skb, reinject, DIVERT_N_IF_DOWN, ENETDOWN)
		   : reinject_gone(skb, reinject);
}

static __always_inline int reinject_link(struct traversal *p,
					 const struct divert_reinject *reinject)
{
	struct net_device *dev = skb_find_dev(p->skb, reinject->oif);
	struct bpf_redir_neigh next = {};

	if (!dev || !dev_is_up(dev))
		return reinject_off(p->skb, reinject, dev);
	if (reinject_len(p) > READ(AS(net_device, dev), mtu))
		return reinject_error(p->skb, EMSGSIZE);
	if (p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		next.nh_family = AF_INET6;
		packet_load(p, offsetof(struct packet_ip6, dst), next.ipv6_nh, 16);
	} else {
		next.nh_family = AF_INET;
		next.ipv4_nh = p->context->packet.field[DIVERT_F_DST4];
	}
	return reinject_leave(p->skb, reinject, reinject->oif, &next, reinject_stats(p->skb));
}

/* ---- the original path ---- */

/* Is the packet's original next hop still the one that it would have now? */
static __always_inline int reinject_has_hop(struct __sk_buff *skb,
					    const struct divert_reinject *reinject)
{
	return reinject->meta & (DIVERT_META_LINK | DIVERT_META_DIRECT) &&
	       (reinject->meta & DIVERT_META_SOON || reinject->routes == skb_routes(skb));
}

/* The interface to send by on the original path; NULL: route the packet. */
static __always_inline struct net_device *reinject_same(struct __sk_buff *skb,
							const struct divert_reinject *reinject)
{
	struct net_device *dev;

	if (!(reinject->meta & DIVERT_META_IFACE) && !reinject_has_hop(skb, reinject))
		return NULL;
	dev = skb_find_dev(skb, reinject->oif);
	if (!dev || !dev_is_up(dev))
		return NULL;
	/* the index may belong to another interface by now */
	if (reinject->meta & DIVERT_META_LINK && !has_ethernet_header(dev))
		return NULL;
	return dev;
}

/* Does the packet, or its longest segment, fit the interface's MTU? */
static __always_inline int reinject_short(struct __sk_buff *skb, struct net_device *dev)
{
	__u32 len = skb->len;

	if (skb->gso_size)
		len = large_head(skb, ETH_HLEN) + skb->gso_size;
	return len - ETH_HLEN <= READ(AS(net_device, dev), mtu);
}

/* To this host itself: the packet is already on lo. */
static __always_inline int reinject_here(struct __sk_buff *skb,
					 const struct divert_reinject *reinject)
{
	const __u32 stats = reinject_stats(skb);
	__u32 n = reinject_count(skb, reinject, DIVERT_N_WRITTEN_OUT, stats);

	count_many(stats, DIVERT_N_ENTERED, n);
	hops_set(skb, reinject->hops);
	skb->priority = reinject->priority;
	return TC_ACT_OK;
}

/* reinject_out() on the original path. */
static __always_inline int reinject_out_same(struct __sk_buff *skb,
					     const struct divert_reinject *reinject,
					     struct net_device *dev)
{
	const __u32 stats = reinject_stats(skb);
	int rc;

	if (!reinject_short(skb, dev))
		return reinject_error(skb, EMSGSIZE);
	skb->mark = reinject->mark;
	if (reinject->oif == LO_IFINDEX)
		return reinject_here(skb, reinject);
	if (!reinject_has_hop(skb, reinject))
		return reinject_leave(skb, reinject, reinject->oif, NULL, stats);
	reinject_enter_out(skb, reinject, is_hooked(reinject->oif, DIVERT_IFACE_OUT), stats);
	if (!dev_has_queue(dev))
		return bpf_redirect(reinject->oif, 0);
	/*
	 * the verdict does not tell whether the queue took it; a clone does, and shares the same
	 * bytes
	 */
	rc = bpf_clone_redirect(skb, reinject->oif, 0);
	return rc == NET_XMIT_DROP ? reinject_queue_full(skb, reinject, stats) : TC_ACT_STOLEN;
}

/*
 * Clear a multicast destination address: bpf_redirect_neigh(), which writes a new link header,
 * drops a packet that has one.
 */
static __always_inline void reinject_to_nobody(struct __sk_buff *skb)
{
	static const __u8 nobody[ETH_ALEN] = {};
	__u8 first = 0;

	skb_load(skb, 0, &first, sizeof(first));
	if (first & 1)
		bpf_skb_store_bytes(skb, 0, nobody, sizeof(nobody), 0);
}

/*
 * reinject_out() by the routes; the packet context is filled in. noinline: keeps its stack out of
 * the call that reads the packet.
 */
static __noinline int reinject_out_routed(struct __sk_buff *skb,
					  const struct divert_reinject *reinject)
{
	struct traversal p = {.skb = skb, .context = context()};
	struct bpf_redir_neigh next = {};
	struct bpf_fib_lookup fib = {};
	struct net_device *dev;
	int rc;

	if (!p.context)
		return TC_ACT_SHOT;
	skb->mark = reinject->mark;
	if (reinject->flags & DIVERT_REINJECT_LINK)
		return reinject_link(&p, reinject);
	rc = reinject_fib(&p, &fib, reinject, reinject_len(&p));
	if (rc == BPF_FIB_LKUP_RET_NOT_FWDED && reinject->flags & DIVERT_REINJECT_LOCAL)
		return reinject_here(skb, reinject);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return reinject_no_route(skb, reinject, rc);
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH && skb->sk) {
		dev = skb_find_dev(skb, fib.ifindex);
		if (dev && is_ethernet(dev)) { /* others have no neighbours */
			if (reinject_joined(reinject))
				return reinject_error(skb, EHOSTUNREACH);
			reinject_alone(skb, reinject, reinject_stats(skb));
			return reinject_error(skb, EINPROGRESS);
		}
	}
	next.nh_family = fib.family;
	__builtin_memcpy(next.ipv6_nh, fib.ipv6_dst, sizeof(next.ipv6_nh));
	return reinject_leave(skb, reinject, fib.ifindex, &next, reinject_stats(skb));
}

/*
 * Send an outbound packet. TC_ACT_OK: it is for this host itself, and the caller continues with it
 * as outbound on lo. Not static: see struct packet_context.
 */
__noinline int reinject_out(struct __sk_buff *skb, int version,
			    const struct divert_reinject *reinject)
{
	struct net_device *dev;
	struct packet_context *d;

	if (!reinject)
		return TC_ACT_SHOT;
	dev = reinject_same(skb, reinject);
	if (dev)
		return reinject_out_same(skb, reinject, dev);
	/*
	 * the packet is bound to its interface or was sent by it explicitly: no other one will do,
	 * least of all for a tunnel
	 */
	if (reinject->meta & DIVERT_META_IFACE)
		return reinject_off(skb, reinject, skb_find_dev(skb, reinject->oif));
	d = context_begin();
	if (!d)
		return TC_ACT_SHOT;
	d->link_len = ETH_HLEN;
	if (context_read(skb, version) < 0)
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	reinject_to_nobody(skb);
	return reinject_out_routed(skb, reinject);
}

#endif
