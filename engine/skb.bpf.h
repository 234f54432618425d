/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel half reads of a packet beyond its bytes. */
#ifndef DIVERT_ENGINE_SKB_BPF_H
#define DIVERT_ENGINE_SKB_BPF_H

#include "kernel.h"
#include "layout.h"

/* In the hooks of clsact the context is the sk_buff itself. */
static __always_inline struct sk_buff *skb_of(struct __sk_buff *ctx)
{
	return (struct sk_buff *)ctx;
}

/*
 * Bytes before the IP header: the link header's, none on tun and the like.
 * Both hooks see the packet from its link header on.
 */
static __always_inline __u32 skb_link_len(struct __sk_buff *ctx)
{
	__u16 network = BPF_CORE_READ(skb_of(ctx), network_header);
	__u16 mac = BPF_CORE_READ(skb_of(ctx), mac_header);

	return (__u16)(network - mac);
}

static __always_inline int skb_is_partial(struct __sk_buff *ctx)
{
	return BPF_CORE_READ_BITFIELD_PROBED(skb_of(ctx), ip_summed) == CHECKSUM_PARTIAL;
}

static __always_inline void skb_partial(struct __sk_buff *ctx, struct divert_record *r)
{
	r->csum_start = BPF_CORE_READ(skb_of(ctx), csum_start) -
			BPF_CORE_READ(skb_of(ctx), network_header);
	r->csum_offset = BPF_CORE_READ(skb_of(ctx), csum_offset);
}

static __always_inline __u16 skb_gso_type(struct __sk_buff *ctx)
{
	struct skb_shared_info *info =
		(void *)(BPF_CORE_READ(skb_of(ctx), head) + BPF_CORE_READ(skb_of(ctx), end));
	const __u32 tcp = SKB_GSO_TCPV4 | SKB_GSO_TCPV6;
	const __u32 plain = SKB_GSO_DODGY | SKB_GSO_TCP_ECN | SKB_GSO_TCP_ACCECN | SKB_GSO_FRAGLIST;
	__u32 type = BPF_CORE_READ(info, gso_type);
	__u16 out = 0;

	if (type & tcp)
		out |= DIVERT_GSO_TCP;
	if (type & SKB_GSO_UDP_L4)
		out |= DIVERT_GSO_UDP;
	if (type & SKB_GSO_TCP_FIXEDID)
		out |= DIVERT_GSO_FIXEDID;
	if (type & ~(tcp | SKB_GSO_UDP_L4 | SKB_GSO_TCP_FIXEDID | plain))
		out |= DIVERT_GSO_OTHER;
	return out;
}

/* Is the interface a port of something that carries IP in its stead? */
static __always_inline int skb_dev_is_port(struct __sk_buff *ctx)
{
	struct net_device *dev = BPF_CORE_READ(skb_of(ctx), dev);

	return BPF_CORE_READ(dev, flags) & IFF_SLAVE_BIT ||
	       BPF_CORE_READ_BITFIELD_PROBED(dev, priv_flags) &
		       (IFF_BRIDGE_PORT_BIT | IFF_OVS_DATAPATH_BIT | IFF_TEAM_PORT_BIT);
}

/* Name and first IPv4 address of the interface that the packet is on. */
static __always_inline void skb_dev_name(struct __sk_buff *ctx, char *name)
{
	struct net_device *dev = BPF_CORE_READ(skb_of(ctx), dev);

	bpf_core_read(name, DIVERT_NAME_LEN, &dev->name);
}

static __always_inline __be32 skb_dev_addr(struct __sk_buff *ctx)
{
	return BPF_CORE_READ(skb_of(ctx), dev, ip_ptr, ifa_list, ifa_local);
}

/* The interface of this index in the namespace of the packet's; NULL: there is none. */
static __noinline struct net_device *skb_find_dev(struct __sk_buff *ctx, __u32 ifindex)
{
	struct net *net = BPF_CORE_READ(skb_of(ctx), dev, nd_net.net);
	struct hlist_head *heads = BPF_CORE_READ(net, dev_index_head);
	struct hlist_node *node = NULL;
	int i;

	bpf_probe_read_kernel(&node, sizeof(node), heads + ifindex % HASH_BUCKETS);
	for (i = 0; i < 64 && node; i++) {
		struct net_device *dev =
			(void *)node - bpf_core_field_offset(struct net_device, index_hlist);

		if ((__u32)BPF_CORE_READ(dev, ifindex) == ifindex)
			return dev;
		node = BPF_CORE_READ(node, next);
	}
	return NULL;
}

/* Name of another interface than the one that the packet is on; all zero if it is gone. */
static __noinline int skb_name_of(struct __sk_buff *ctx, __u32 ifindex, char *name)
{
	struct net_device *dev = skb_find_dev(ctx, ifindex);

	if (dev)
		bpf_core_read(name, DIVERT_NAME_LEN, &dev->name);
	return 0;
}

#endif
