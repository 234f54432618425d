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

static __always_inline __u64 dev_private_flags(struct net_device *dev)
{
	return CAN_READ ? BPF_CORE_READ_BITFIELD(dev, priv_flags)
			: BPF_CORE_READ_BITFIELD_PROBED(dev, priv_flags);
}

/* Is the interface a port of something that carries IP in its stead? */
static __always_inline int skb_dev_is_port(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);

	return READ(dev, flags) & IFF_SLAVE_BIT ||
	       dev_private_flags(dev) &
		       (IFF_BRIDGE_PORT_BIT | IFF_OVS_DATAPATH_BIT | IFF_TEAM_PORT_BIT);
}

/* Does a bridge hand a frame to 01:80:c2:00:00:last to IP on the port itself, as it does of its own accord? */
static __always_inline int bridge_passes(struct net_device *dev, __u8 last)
{
	struct net_bridge_port *port = (void *)READ(dev, rx_handler_data);
	__u32 forwarded = 0, stp = BRIDGE_NO_STP;
	struct net_bridge *br;

	/* unless the bridges' module has come after the engine */
	if (bpf_core_type_exists(struct net_bridge) &&
	    bpf_core_type_exists(struct net_bridge_port)) {
		br = BPF_CORE_READ(port, br);
		forwarded = BPF_CORE_READ(port, group_fwd_mask) |
			    BPF_CORE_READ(br, group_fwd_mask) |
			    BPF_CORE_READ(br, group_fwd_mask_required);
		stp = BPF_CORE_READ(br, stp_enabled);
	}
	if (last == 1 || (!last && stp == BRIDGE_NO_STP))
		return 0;
	return !(forwarded >> last & 1);
}

/*
 * A frame that came in on a port may be IP's on the port itself, if it is to one of the 16 addresses that
 * no bridge is to forward. Of bonds and teams only unused ports do so; those of a used one are seen
 * twice, there and here. noinline: no IP packet has such an address, unless somebody tries something out.
 */
static __noinline int skb_port_passes(struct __sk_buff *ctx)
{
	struct net_device *dev = READ(skb_of(ctx), dev);
	__u64 private = dev_private_flags(dev);
	__u8 to[6] = {};

	skb_load(ctx, 0, to, sizeof(to));
	if (to[0] != 0x01 || to[1] != 0x80 || to[2] != 0xc2 || to[3] || to[4] || to[5] > 15)
		return 0;
	if (private & IFF_BRIDGE_PORT_BIT)
		return bridge_passes(dev, to[5]);
	return !(private & IFF_OVS_DATAPATH_BIT);
}

/*
 * A packet that was written back arrives without the addresses that it had. On a bridge's port give it one by
 * which the bridge hands it to IP there, and never forwards it: LACP's, and of a sender that nobody is.
 */
static __always_inline void skb_port_arrive(struct __sk_buff *ctx)
{
	static const __u8 mac[12] = {0x01, 0x80, 0xc2, 0, 0, 0x02, 0x02};

	if (dev_private_flags(READ(skb_of(ctx), dev)) & IFF_BRIDGE_PORT_BIT)
		bpf_skb_store_bytes(ctx, 0, mac, sizeof(mac), 0);
}

/* Does the device lie above this one, as a macvlan does? */
static __always_inline int dev_is_above(struct net_device *dev, struct net_device *below)
{
	void *first = BPF_CORE_READ(dev, adj_list.lower.next);
	struct netdev_adjacent *lower = first - bpf_core_field_offset(struct netdev_adjacent, list);

	return BPF_CORE_READ(lower, dev) == below;
}

/*
 * On the way out: did the IP stack route it, and to this interface? Not so: what a packet socket sends, what tc
 * mirrors or a bridge forwards. Its route may be of another interface if tc has redirected it,
 * and of none if tc has given it a tunnel to go through.
 */
static __always_inline int skb_is_routed(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev), *to;
	unsigned long dst = READ(skb, _skb_refdst);

	if (!dst)
		return 0;
	to = READ(AS(dst_entry, dst & ~SKB_DST_NOREF), dev);
	if (to == dev)
		return 1;
	if (skb_dev_is_port(ctx))
		return 0;
	return !to || dev_is_above(to, dev) ||
	       (CAN_READ ? BPF_CORE_READ_BITFIELD(skb, redirected)
			 : BPF_CORE_READ_BITFIELD_PROBED(skb, redirected));
}

/* ---- the IP version, from the protocol and the VLAN tags ahead of it ---- */

#define VLAN_ID	      0x0fff
#define VLAN_TAG      4
#define VLAN_TAGS_MAX (1u << 15) /* more than a frame has room for */

static __always_inline int is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/* 4 or 6; 0: another protocol. */
static __always_inline int version_of(__be16 protocol)
{
	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return 4;
	case bpf_htons(ETH_P_IPV6):
		return 6;
	}
	return 0;
}

static __always_inline int vlan0_of(struct net_device **eighth)
{
	struct net_device *dev = NULL;

	if (eighth)
		bpf_core_read(&dev, sizeof(dev), eighth);
	return dev != NULL;
}

/* Has the interface a VLAN with the id 0? What has a tag of that id is its own, then. */
static __always_inline int dev_has_vlan0(struct net_device *dev)
{
	struct vlan_info *info = NULL;

	if (!bpf_core_field_exists(dev->vlan_info) ||
	    !bpf_core_field_exists(info->grp.vlan_devices_arrays[0]))
		return 0;
	info = BPF_CORE_READ(dev, vlan_info);
	return info && (vlan0_of(BPF_CORE_READ(info, grp.vlan_devices_arrays[0])) ||
			vlan0_of(BPF_CORE_READ(info, grp.vlan_devices_arrays[8])));
}

struct tags {
	struct __sk_buff *skb;
	__u32 at;	 /* in the packet */
	__be16 protocol; /* of what stands there */
};

static long tags_step(__u32 i, struct tags *t)
{
	__be16 tag[VLAN_TAG / 2];

	if (!is_vlan(t->protocol) || bpf_skb_load_bytes(t->skb, t->at, tag, sizeof(tag)) ||
	    bpf_ntohs(tag[0]) & VLAN_ID)
		return 1;
	t->at += VLAN_TAG;
	t->protocol = tag[1];
	return 0;
}

/*
 * On the way in. Linux takes off a tag that names a priority and no VLAN, its id being 0, and any
 * number of them: the version, and the bytes before the IP header with those that are among them. Other tagged
 * packets are their VLAN device's: 0. noinline: few have such a tag.
 */
static __noinline int version_tagged(struct __sk_buff *skb, __u32 *link_len)
{
	struct tags t = {.skb = skb, .at = skb_link_len(skb), .protocol = skb->protocol};

	if (skb->vlan_tci & VLAN_ID || dev_has_vlan0(READ(skb_of(skb), dev)))
		return 0;
	bpf_loop(VLAN_TAGS_MAX, tags_step, &t, 0);
	*link_len = t.at;
	return version_of(t.protocol);
}

static __always_inline int version_in(struct __sk_buff *skb, __u32 *link_len)
{
	*link_len = skb_link_len(skb);
	return skb->vlan_present ? version_tagged(skb, link_len) : version_of(skb->protocol);
}

/* On the way out. A VLAN device without reorder_hdr puts its tag into the packet, ahead of the IP header. */
static __always_inline int version_out(struct __sk_buff *skb)
{
	__be16 protocol = skb->protocol;

	if (skb->vlan_present)
		return 0;
	if (is_vlan(protocol)) {
		if (!(dev_private_flags(READ(skb_of(skb), dev)) & IFF_802_1Q_VLAN_BIT) ||
		    skb_load(skb, skb_link_len(skb) - sizeof(protocol), &protocol,
			     sizeof(protocol)))
			return 0;
	}
	return version_of(protocol);
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
