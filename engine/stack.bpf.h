/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts inbound reinjected packets that the stack will drop, because Linux itself counts them for
 * the whole host at most. These are martians, as ip_route_input_slow() and ip6_rcv_core() define
 * them, and packets that IPsec policies refuse. They are still passed on: the stack may be set to
 * accept them, or to log them.
 */
#ifndef DIVERT_ENGINE_STACK_BPF_H
#define DIVERT_ENGINE_STACK_BPF_H

#include <linux/ip.h>

#include "entry.bpf.h"
#include "local.bpf.h"

/* A setting of net.ipv4.conf: set for all interfaces, or for this one. */
static __always_inline int stack_conf(struct net *net, struct in_device *in, __u32 which)
{
	struct ipv4_devconf *all = READ(net, ipv4.devconf_all);

	return READ(all, data[which - 1]) || READ(in, cnf.data[which - 1]);
}

static __always_inline int martian_local(struct __sk_buff *skb, __be32 src)
{
	__be32 addr[4] = {src};

	return local_maybe4(skb, src) && local_address(skb, NULL, addr, 0, 0);
}

#define IS_LOOPBACK4(addr)  ((addr) >> 24 == 127)
#define IS_MULTICAST4(addr) ((addr) >> 28 == 14)
#define BROADCAST4	    0xffffffffu

static __always_inline int martian4(struct __sk_buff *skb, struct net_device *dev, __u32 link_len)
{
	struct in_device *in = READ(dev, ip_ptr);
	struct net *net = READ(dev, nd_net.net);
	__be32 addr[2] = {};
	__u32 src, dst;

	if (skb_load(skb, link_len + offsetof(struct packet_ip4, src), addr, sizeof(addr)))
		return 0;
	src = bpf_ntohl(addr[0]);
	dst = bpf_ntohl(addr[1]);
	if (IS_MULTICAST4(src) || src == BROADCAST4)
		return 1;
	if (dst != BROADCAST4 && !IS_MULTICAST4(dst) && (src || dst)) {
		if (!src || !dst)
			return 1;
		if (IS_LOOPBACK4(dst) && !stack_conf(net, in, IPV4_DEVCONF_ROUTE_LOCALNET))
			return 1;
	}
	if (IS_LOOPBACK4(src) && !stack_conf(net, in, IPV4_DEVCONF_ROUTE_LOCALNET))
		return 1;
	return src && martian_local(skb, addr[0]) &&
	       !stack_conf(net, in, IPV4_DEVCONF_ACCEPT_LOCAL);
}

static __always_inline int is_loopback6(const __be32 *addr)
{
	return !(addr[0] | addr[1] | addr[2] | (addr[3] ^ bpf_htonl(1)));
}

/* This host's own address as a source is no martian: IPv6 accepts it from any interface. */
static __always_inline int martian6(struct __sk_buff *skb, __u32 link_len)
{
	__be32 addr[8] = {};
	__u32 dst;

	if (skb_load(skb, link_len + offsetof(struct packet_ip6, src), addr, sizeof(addr)))
		return 0;
	dst = bpf_ntohl(addr[4]);
	return bpf_ntohl(addr[0]) >> 24 == 0xff || is_loopback6(addr) || is_loopback6(addr + 4) ||
	       (dst >> 24 == 0xff &&
		(dst >> 16 & 15) <= 1); /* scope: reserved or interface-local */
}

/*
 * Would the stack ask for the IPsec state that a reinjected packet has lost? Only checks that there
 * are policies. One for the packet's addresses most likely exists, else it would not have come
 * through IPsec.
 */
static __always_inline int ipsec_is_asked(struct net_device *dev, int version)
{
	struct net *net = READ(dev, nd_net.net);
	struct inet6_dev *six = READ(dev, ip6_ptr);

	if (!bpf_core_field_exists(net->xfrm) ||
	    !(READ(net, xfrm.policy_count[0]) | READ(net, xfrm.policy_count[2])))
		return 0;
	return version == 4 ? !stack_conf(net, READ(dev, ip_ptr), IPV4_DEVCONF_NOPOLICY)
			    : !READ(six, cnf.disable_policy);
}

static __always_inline void stack_judge(struct __sk_buff *ctx, int version,
					const struct entry *entry, struct net_device *dev,
					__u32 link_len)
{
	if (READ(dev, flags) & IFF_LOOPBACK_BIT)
		return;
	if (version == 4 ? martian4(ctx, dev, link_len) : martian6(ctx, link_len))
		count_late(entry->stats, DIVERT_N_MARTIAN, entry->n);
	else if (entry->ipsec && ipsec_is_asked(dev, version))
		count_late(entry->stats, DIVERT_N_IPSEC, entry->n);
}

/* Count a packet that goes on to the stack. Not static: see struct packet_context. */
__noinline int stack_count(struct __sk_buff *ctx, int version, const struct entry *entry)
{
	if (entry)
		stack_judge(ctx, version, entry, READ(skb_of(ctx), dev), skb_link_len(ctx));
	return 0;
}

/*
 * Without a hook the stack knows a packet's type from its link address only. If that is another
 * host's, replace it by one of the right type.
 */
static __always_inline void stack_address(struct __sk_buff *skb, int version,
					  struct net_device *dev)
{
	__u8 own[8] = {}, to[8] = {};
	__u32 type;

	if (!is_ethernet(dev) || skb_load(skb, 0, to, ETH_ALEN) || to[0] & 1)
		return;
	bpf_probe_read_kernel(own, ETH_ALEN, READ(dev, dev_addr));
	if (*(__u64 *)to == *(__u64 *)own)
		return;
	type = entry_type(skb, version, ETH_HLEN, dev);
	if (type == PACKET_BROADCAST)
		__builtin_memset(own, 0xff, ETH_ALEN);
	else if (type == PACKET_MULTICAST)
		own[0] |= 1;
	bpf_skb_store_bytes(skb, 0, own, ETH_ALEN, 0);
}

/*
 * The verdict on an inbound packet for an interface without a hook, where it has no rule to meet. A
 * clone goes straight to the stack, which tells whether it arrived. Not static: see struct
 * packet_context.
 */
__noinline int stack_enter(struct __sk_buff *skb, int version)
{
	struct net_device *dev;
	struct entry entry = {};

	entry_take(skb, &entry, 0);
	dev = skb_find_dev(skb, entry.recv_ifindex);
	if (!dev)
		return TC_ACT_STOLEN;
	dev = AS(net_device, dev);
	stack_address(skb, version, dev);
	stack_judge(skb, version, &entry, dev, ETH_HLEN);
	if (!bpf_clone_redirect(skb, entry.recv_ifindex, BPF_F_INGRESS))
		count_late(entry.stats, DIVERT_N_ENTERED, entry.n);
	return TC_ACT_STOLEN;
}

#endif
