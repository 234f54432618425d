/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel half reads of a packet beyond its bytes. */
#ifndef DIVERT_ENGINE_SKB_BPF_H
#define DIVERT_ENGINE_SKB_BPF_H

#include "kernel.h"
#include "layout.h"

/* pkt_type, as in <linux/if_packet.h> */
#define PACKET_HOST	 0
#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_OTHERHOST 3
#define PACKET_LOOPBACK	 5

/*
 * Linux 6.2 and later let a program read the kernel's structures as memory; before,
 * each look takes a call of a helper. Which it is is known when the program is loaded,
 * and the other half of each READ is gone by then.
 */
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;
extern void *bpf_rdonly_cast(const void *at, __u32 type) __ksym __weak;

#define CAN_READ	(bpf_cast_to_kern_ctx && bpf_rdonly_cast)
#define READ(at, field) (CAN_READ ? (at)->field : BPF_CORE_READ(at, field))

/* In the hooks of clsact the context is the sk_buff itself. */
static __always_inline struct sk_buff *skb_of(struct __sk_buff *ctx)
{
	return CAN_READ ? bpf_cast_to_kern_ctx(ctx) : (struct sk_buff *)ctx;
}

/* An address that was computed, as a pointer that READ takes. */
#define AS(type, at)                                                                               \
	((struct type *)(CAN_READ ? bpf_rdonly_cast((void *)(at),                                  \
						    bpf_core_type_id_kernel(struct type))          \
				  : (void *)(at)))

/*
 * Bytes of the packet, from its link header on; len is a constant. 0, or -1: it has none such. A
 * helper is called only for those that are not in place.
 */
static __always_inline int skb_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 len)
{
	void *at = (void *)(long)skb->data;

	__asm__ volatile("" : "+r"(offset)); /* what is checked is what is used */
	if (offset < 0x8000) {
		at += offset;
		if (at + len <= (void *)(long)skb->data_end) {
			__builtin_memcpy(to, at, len);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, offset, to, len) ? -1 : 0;
}

/*
 * Bytes before the IP header: the link header's, none on tun and the like.
 * Both hooks see the packet from its link header on.
 */
static __always_inline __u32 skb_link_len(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	__u16 network = READ(skb, network_header);
	__u16 mac = READ(skb, mac_header);

	return (__u16)(network - mac);
}

static __always_inline int skb_is_partial(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);

	return (CAN_READ ? BPF_CORE_READ_BITFIELD(skb, ip_summed)
			 : BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed)) == CHECKSUM_PARTIAL;
}

static __always_inline void skb_partial(struct __sk_buff *ctx, struct divert_record *r)
{
	struct sk_buff *skb = skb_of(ctx);

	r->csum_start = READ(skb, csum_start) - READ(skb, network_header);
	r->csum_offset = READ(skb, csum_offset);
}

static __always_inline __u16 skb_gso_type(struct __sk_buff *ctx)
{
	const __u32 tcp = SKB_GSO_TCPV4 | SKB_GSO_TCPV6;
	const __u32 plain = SKB_GSO_DODGY | SKB_GSO_TCP_ECN | SKB_GSO_TCP_ACCECN | SKB_GSO_FRAGLIST;
	struct sk_buff *skb = skb_of(ctx);
	struct skb_shared_info *info = (void *)(READ(skb, head) + READ(skb, end));
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
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	__u64 private = CAN_READ ? BPF_CORE_READ_BITFIELD(dev, priv_flags)
				 : BPF_CORE_READ_BITFIELD_PROBED(dev, priv_flags);

	return READ(dev, flags) & IFF_SLAVE_BIT ||
	       private & (IFF_BRIDGE_PORT_BIT | IFF_OVS_DATAPATH_BIT | IFF_TEAM_PORT_BIT);
}

/* In two words, for which no helper is called. */
static __always_inline void dev_name(struct net_device *dev, char *name)
{
	const __u64 *half = (const void *)&dev->name;
	__u64 both[DIVERT_NAME_LEN / sizeof(*half)];

	if (CAN_READ) {
		both[0] = half[0];
		both[1] = half[1];
		__builtin_memcpy(name, both, sizeof(both));
	} else {
		bpf_core_read(name, DIVERT_NAME_LEN, &dev->name);
	}
}

/* Name and first IPv4 address of the interface that the packet is on. */
static __always_inline void skb_dev_name(struct __sk_buff *ctx, char *name)
{
	struct sk_buff *skb = skb_of(ctx);

	dev_name(READ(skb, dev), name);
}

static __always_inline __be32 skb_dev_addr(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct in_device *in = READ(dev, ip_ptr);
	struct in_ifaddr *first = READ(in, ifa_list);

	return READ(first, ifa_local); /* 0 behind a NULL */
}

/*
 * Is this the broadcast address of a network of the interface's, of its first few addresses?
 * The last bit of such an address is 1: the caller has looked. noinline: few packets get so far.
 */
static __noinline int skb_dev_broadcast(struct __sk_buff *ctx, __be32 addr)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct in_device *in = READ(dev, ip_ptr);
	struct in_ifaddr *a = READ(in, ifa_list);
	__be32 host; /* the bits that tell hosts apart: of 31 and 32 none is a broadcast address */
	int i;

	for (i = 0; i < 8 && a; i++) {
		host = ~READ(a, ifa_mask);
		if (READ(a, ifa_broadcast) == addr ||
		    (bpf_ntohl(host) > 1 && (READ(a, ifa_local) | host) == addr))
			return 1;
		a = READ(a, ifa_next);
	}
	return 0;
}

/* The interface of this index in the namespace of the packet's; NULL: there is none. */
static __noinline struct net_device *skb_find_dev(struct __sk_buff *ctx, __u32 ifindex)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct net *net = READ(dev, nd_net.net);
	void *heads = READ(net, dev_index_head);
	struct hlist_node *node;
	int i;

	heads += ifindex % HASH_BUCKETS * sizeof(struct hlist_head);
	node = READ(AS(hlist_head, heads), first);
	for (i = 0; i < 64 && node; i++) {
		dev = AS(net_device,
			 (void *)node - bpf_core_field_offset(struct net_device, index_hlist));
		if ((__u32)READ(dev, ifindex) == ifindex)
			return dev;
		node = READ(AS(hlist_node, node), next);
	}
	return NULL;
}

/* Name of another interface than the one that the packet is on; all zero if it is gone. */
static __always_inline void skb_name_of(struct __sk_buff *ctx, __u32 ifindex, char *name)
{
	struct net_device *dev = skb_find_dev(ctx, ifindex);

	if (dev)
		dev_name(AS(net_device, dev), name);
}

#endif
