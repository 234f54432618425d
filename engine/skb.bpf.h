/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads the kernel's metadata of a packet: everything other than its bytes. */
#ifndef DIVERT_ENGINE_SKB_BPF_H
#define DIVERT_ENGINE_SKB_BPF_H

#include "kernel.h"
#include "layout.h"

#define AF_INET	 2
#define AF_INET6 10

#define ETH_HLEN 14

/* pkt_type, as in <linux/if_packet.h> */
#define PACKET_HOST	 0
#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_OTHERHOST 3
#define PACKET_LOOPBACK	 5

/*
 * Linux 6.2 and later let a program read kernel structures as memory; before, each read is a helper
 * call. The kernel version is known at load time, and the unused half of each READ is removed then.
 */
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;
extern void *bpf_rdonly_cast(const void *at, __u32 type) __ksym __weak;

#define CAN_READ	(bpf_cast_to_kern_ctx && bpf_rdonly_cast)
#define READ(at, field) (CAN_READ ? (at)->field : BPF_CORE_READ(at, field))

/* In clsact hooks the context is the sk_buff itself. */
static __always_inline struct sk_buff *skb_of(struct __sk_buff *ctx)
{
	return CAN_READ ? bpf_cast_to_kern_ctx(ctx) : (struct sk_buff *)ctx;
}

/* A computed address as a pointer for READ. */
#define AS(type, at)                                                                               \
	((struct type *)(CAN_READ ? bpf_rdonly_cast((void *)(at),                                  \
						    bpf_core_type_id_kernel(struct type))          \
				  : (void *)(at)))

/*
 * Load bytes of the packet, from its link header on; len is a constant. 0; -1: it has no such
 * bytes. Only bytes outside the linear part cost a helper call.
 */
static __always_inline int skb_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 len)
{
	void *at = (void *)(long)skb->data;

	__asm__ volatile("" : "+r"(offset)); /* use exactly the value we checked */
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
 * Bytes before the IP header: the link header; none on tun and the like. In both hooks the packet
 * begins with its link header.
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

static __always_inline struct skb_shared_info *skb_shared(struct sk_buff *skb)
{
	return (void *)(READ(skb, head) + READ(skb, end));
}

#define SCTP_SEGMENTS_MAX 4096 /* of 16 bytes each, which fill the longest packet */

struct segments {
	struct sk_buff *next;
	__u32 longest;
};

static long segments_step(__u32 i, struct segments *s)
{
	struct sk_buff *skb = s->next;
	__u32 len;

	if (!skb)
		return 1;
	len = BPF_CORE_READ(skb, len);
	if (len > s->longest)
		s->longest = len;
	s->next = BPF_CORE_READ(skb, next);
	return 0;
}

/*
 * The longest segment of an SCTP packet. SCTP does not use gso_size: each segment is a buffer of
 * its own. It fills them in turn with as many chunks as fit the path, so the longest one determines
 * where all of them end. noinline: few packets are SCTP.
 */
static __noinline __u32 skb_longest_segment(struct __sk_buff *ctx)
{
	struct segments s = {};

	s.next = BPF_CORE_READ(skb_shared(skb_of(ctx)), frag_list);
	bpf_loop(SCTP_SEGMENTS_MAX, segments_step, &s, 0);
	return s.longest;
}

/* Store what the sender left to the network card: the checksum and, for SCTP, the segment size. */
static __always_inline void skb_partial(struct __sk_buff *ctx, struct divert_record *r)
{
	struct sk_buff *skb = skb_of(ctx);

	r->csum_start = READ(skb, csum_start) - READ(skb, network_header);
	r->csum_offset = READ(skb, csum_offset);
	if (r->gso_type & DIVERT_GSO_SCTP)
		r->gso_size = skb_longest_segment(ctx);
}

static __always_inline __u16 skb_gso_type(struct __sk_buff *ctx)
{
	const __u32 tcp = SKB_GSO_TCPV4 | SKB_GSO_TCPV6;
	const __u32 plain = SKB_GSO_DODGY | SKB_GSO_TCP_ECN | SKB_GSO_TCP_ACCECN | SKB_GSO_FRAGLIST;
	__u32 type = BPF_CORE_READ(skb_shared(skb_of(ctx)), gso_type);
	__u16 out = 0;

	if (type & tcp)
		out |= DIVERT_GSO_TCP;
	if (type & SKB_GSO_UDP_L4)
		out |= DIVERT_GSO_UDP;
	if (type & SKB_GSO_SCTP)
		out |= DIVERT_GSO_SCTP;
	if (type & SKB_GSO_TCP_FIXEDID)
		out |= DIVERT_GSO_FIXEDID;
	if (type & ~(tcp | SKB_GSO_UDP_L4 | SKB_GSO_SCTP | SKB_GSO_TCP_FIXEDID | plain))
		out |= DIVERT_GSO_OTHER;
	return out;
}

static __always_inline __u64 dev_private_flags(struct net_device *dev)
{
	return CAN_READ ? BPF_CORE_READ_BITFIELD(dev, priv_flags)
			: BPF_CORE_READ_BITFIELD_PROBED(dev, priv_flags);
}

/* Is the interface a port of another one (bridge, bond, ...) that carries its IP? */
static __always_inline int skb_dev_is_port(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);

	return READ(dev, flags) & IFF_SLAVE_BIT ||
	       dev_private_flags(dev) &
		       (IFF_BRIDGE_PORT_BIT | IFF_OVS_DATAPATH_BIT | IFF_TEAM_PORT_BIT);
}

/*
 * Does the bridge pass a frame to 01:80:c2:00:00:`last` to IP on the port itself, by its own
 * settings?
 */
static __always_inline int bridge_passes(struct net_device *dev, __u8 last)
{
	struct net_bridge_port *port = (void *)READ(dev, rx_handler_data);
	__u32 forwarded = 0, stp = BRIDGE_NO_STP;
	struct net_bridge *br;

	/* unless the bridge module was loaded after the engine */
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
 * Does IP on the port itself receive this frame? Only if it is sent to one of the 16 addresses that
 * no bridge forwards. On bonds and teams, only unused ports do that; frames of a used port are seen
 * twice, on the port and on its master. noinline: no ordinary IP packet has such an address.
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
 * A reinjected packet arrives without its link addresses. On a bridge port, give it a destination
 * that the bridge passes to IP on the port and never forwards (LACP's), and an unused source.
 */
static __always_inline void skb_port_arrive(struct __sk_buff *ctx)
{
	static const __u8 mac[12] = {0x01, 0x80, 0xc2, 0, 0, 0x02, 0x02};

	if (dev_private_flags(READ(skb_of(ctx), dev)) & IFF_BRIDGE_PORT_BIT)
		bpf_skb_store_bytes(ctx, 0, mac, sizeof(mac), 0);
}

/* Does the route give the packet its encapsulation, as on a tunnel with many endpoints? */
static __always_inline int skb_is_encap(struct __sk_buff *ctx)
{
	unsigned long dst = READ(skb_of(ctx), _skb_refdst) & ~SKB_DST_NOREF;

	return dst && bpf_core_field_exists(((struct dst_entry *)0)->lwtstate) &&
	       READ(AS(dst_entry, dst), lwtstate);
}

/* A number that changes whenever a route or a routing rule changes. */
static __always_inline __u8 skb_routes(struct __sk_buff *ctx)
{
	struct net_device *dev = READ(skb_of(ctx), dev);
	struct net *net = READ(dev, nd_net.net);
	__u32 n = READ(net, ipv4.rt_genid.counter);
	struct rt6_statistics *six;

	if (!bpf_core_field_exists(net->ipv6.fib6_sernum))
		return n;
	six = READ(net, ipv6.rt6_stats);
	/*
	 * every change adds to the sum, a removed IPv6 route, too: changes cannot cancel each other
	 * out
	 */
	return n + READ(net, ipv6.fib6_sernum.counter) * 37 - READ(six, fib_rt_entries) * 7;
}

/* Did it come through IPsec? */
static __always_inline int skb_is_ipsec(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);

	return bpf_core_field_exists(skb->active_extensions) &&
	       bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_SEC_PATH) &&
	       READ(skb, active_extensions) >>
			       bpf_core_enum_value(enum skb_ext_id, SKB_EXT_SEC_PATH) &
		       1;
}

/* Is its hash one that multipath routes use? */
static __always_inline int skb_is_hashed(struct __sk_buff *ctx)
{
	struct sk_buff *skb = skb_of(ctx);

	return CAN_READ ? BPF_CORE_READ_BITFIELD(skb, l4_hash)
			: BPF_CORE_READ_BITFIELD_PROBED(skb, l4_hash);
}

/* Did its sender bind it to this interface (SO_BINDTODEVICE)? */
static __always_inline int skb_is_bound(struct __sk_buff *ctx)
{
	struct sock *sk = READ(skb_of(ctx), sk);

	return sk && READ(sk, __sk_common.skc_bound_dev_if) == (int)ctx->ifindex;
}

static __always_inline __u16 dev_type(struct net_device *dev)
{
	return READ(AS(net_device, dev), type);
}

static __always_inline int is_ethernet(struct net_device *dev)
{
	return dev_type(dev) == ARPHRD_ETHER_TYPE;
}

static __always_inline int has_ethernet_header(struct net_device *dev)
{
	const __u16 type = dev_type(dev);

	return type == ARPHRD_ETHER_TYPE || type == ARPHRD_LOOPBACK_TYPE;
}

static __always_inline int dev_is_up(struct net_device *dev)
{
	return READ(AS(net_device, dev), flags) & IFF_UP_BIT;
}

/*
 * Can packets wait and be dropped in the interface's queue? All its queues are usually of one kind.
 */
static __always_inline int dev_has_queue(struct net_device *dev)
{
	struct netdev_queue *queue = READ(AS(net_device, dev), _tx);
	struct Qdisc *qdisc = READ(AS(netdev_queue, queue), qdisc);

	return READ(AS(Qdisc, qdisc), enqueue) != NULL;
}

/* The VRF that the interface is in; 0: none. */
static __always_inline __u32 dev_vrf(struct net_device *dev)
{
	struct netdev_adjacent *upper;
	void *first;

	if (!(dev_private_flags(AS(net_device, dev)) & IFF_L3MDEV_SLAVE_BIT))
		return 0;
	first = BPF_CORE_READ(dev, adj_list.upper.next);
	upper = first - bpf_core_field_offset(struct netdev_adjacent, list);
	return BPF_CORE_READ(upper, dev, ifindex);
}

/* Is the device stacked on the one below, as a macvlan? */
static __always_inline int dev_is_above(struct net_device *dev, struct net_device *below)
{
	void *first = BPF_CORE_READ(dev, adj_list.lower.next);
	struct netdev_adjacent *lower = first - bpf_core_field_offset(struct netdev_adjacent, list);

	return BPF_CORE_READ(lower, dev) == below;
}

/*
 * Outbound: did the IP stack route the packet to this interface? Packets of packet sockets, those
 * that tc mirrors and those that a bridge forwards have no such route. The route may be another
 * interface's if tc redirected the packet, and may have no interface if tc gave it a tunnel.
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

/* Does the interface have a VLAN with id 0? Frames tagged with it then belong to that VLAN. */
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
	__be16 protocol; /* of the bytes there */
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
 * Inbound. Linux removes priority tags (id 0), any number of them. Returns the version, and the
 * bytes before the IP header including these tags. Other tagged packets belong to a VLAN device: 0.
 * noinline: few packets have such a tag.
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

/*
 * Outbound. A VLAN device without reorder_hdr puts its tag into the packet, ahead of the IP header.
 */
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

/* In two words, which needs no helper call. */
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

/* Name of the interface that the packet is on. */
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

	return READ(first, ifa_local); /* 0 if the interface has none */
}

/*
 * Is this a broadcast address of the interface? Only its first few addresses are examined. The
 * caller has checked that the last bit is 1, as in every such address. noinline: few packets get
 * here.
 */
static __noinline int dev_broadcast(struct net_device *dev, __be32 addr)
{
	struct in_device *in = READ(AS(net_device, dev), ip_ptr);
	struct in_ifaddr *a = READ(in, ifa_list);
	__be32 host; /* the host bits; prefixes of 31 and 32 bits have no broadcast address */
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

/* The same for the interface that the packet is on. */
static __always_inline int skb_dev_broadcast(struct __sk_buff *ctx, __be32 addr)
{
	struct sk_buff *skb = skb_of(ctx);

	return dev_broadcast(READ(skb, dev), addr);
}

/*
 * A pointer that the kernel stores at this address, as a number: READ would give a pointer, and the
 * verifier lets no function return one. The type is just one that begins with 8 bytes of number.
 */
static __always_inline __u64 pointer_at(const void *at)
{
	return READ(AS(timespec64, at), tv_sec);
}

/*
 * Address of the interface with this index in the packet's namespace; 0: none. Not static: then the
 * verifier walks the loop once, and not again at each call.
 */
__noinline __u64 skb_dev_at(struct __sk_buff *ctx, __u32 ifindex)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct net *net = READ(dev, nd_net.net);
	void *heads = READ(net, dev_index_head);
	__u64 node, at;
	int i;

	/* both hold the pointer first: struct hlist_head and struct hlist_node */
	node = pointer_at(heads + ifindex % HASH_BUCKETS * sizeof(struct hlist_head));
	for (i = 0; i < 64 && node; i++) {
		at = node - bpf_core_field_offset(struct net_device, index_hlist);
		if ((__u32)READ(AS(net_device, at), ifindex) == ifindex)
			return at;
		node = pointer_at((void *)node);
	}
	return 0;
}

/* The interface with this index in the packet's namespace; NULL: none. */
static __always_inline struct net_device *skb_find_dev(struct __sk_buff *ctx, __u32 ifindex)
{
	__u64 at = skb_dev_at(ctx, ifindex);

	return at ? AS(net_device, at) : NULL;
}

/* Name of an interface other than the packet's; all zeros if it is gone. */
static __always_inline void skb_name_of(struct __sk_buff *ctx, __u32 ifindex, char *name)
{
	struct net_device *dev = skb_find_dev(ctx, ifindex);

	if (dev)
		dev_name(dev, name);
}

#endif
