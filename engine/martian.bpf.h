/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets written inbound that the stack drops for their addresses, and counts, if at all, for the whole
 * host: martians, as ip_route_input_slow() and ip6_rcv_core() define them. They are counted here and left to the
 * stack: it may be set to take them, and logs them where it is set to log.
 */
#ifndef DIVERT_ENGINE_MARTIAN_BPF_H
#define DIVERT_ENGINE_MARTIAN_BPF_H

#include <linux/ip.h>

#include "back.bpf.h"
#include "own.bpf.h"

/* A setting of net.ipv4.conf, which counts if it is set for all interfaces or for this one. */
static __always_inline int martian_conf(struct net *net, struct in_device *in, __u32 which)
{
	struct ipv4_devconf *all = READ(net, ipv4.devconf_all);

	return READ(all, data[which - 1]) || READ(in, cnf.data[which - 1]);
}

static __always_inline int martian_own(struct __sk_buff *skb, __be32 src)
{
	__be32 addr[4] = {src};

	return own_maybe4(skb, src) && own_address(skb, NULL, addr, 0, 0);
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
		if (IS_LOOPBACK4(dst) && !martian_conf(net, in, IPV4_DEVCONF_ROUTE_LOCALNET))
			return 1;
	}
	if (IS_LOOPBACK4(src) && !martian_conf(net, in, IPV4_DEVCONF_ROUTE_LOCALNET))
		return 1;
	return src && martian_own(skb, addr[0]) &&
	       !martian_conf(net, in, IPV4_DEVCONF_ACCEPT_LOCAL);
}

static __always_inline int is_loopback6(const __be32 *addr)
{
	return !(addr[0] | addr[1] | addr[2] | (addr[3] ^ bpf_htonl(1)));
}

/* This host's own source is none here: IPv6 takes it from any interface. */
static __always_inline int martian6(struct __sk_buff *skb, __u32 link_len)
{
	__be32 addr[8] = {};
	__u32 dst;

	if (skb_load(skb, link_len + offsetof(struct packet_ip6, src), addr, sizeof(addr)))
		return 0;
	dst = bpf_ntohl(addr[4]);
	return bpf_ntohl(addr[0]) >> 24 == 0xff || is_loopback6(addr) || is_loopback6(addr + 4) ||
	       (dst >> 24 == 0xff && (dst >> 16 & 15) <= 1); /* of no scope beyond the interface */
}

/* Of a packet that goes on to the stack; n: as how many it counts. Not static: see struct desk. */
__noinline int martian_count(struct __sk_buff *ctx, int version, __u32 stats, __u32 n)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	__u32 link_len = skb_link_len(ctx);

	if (READ(dev, flags) & IFF_LOOPBACK_BIT)
		return 0;
	if (version == 4 ? martian4(ctx, dev, link_len) : martian6(ctx, link_len))
		count_late(stats, DIVERT_N_MARTIAN, n);
	return 0;
}

#endif
