/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether an address is this host's, or that of one interface: read from the kernel's own
 * lists, so that a change of addresses counts with the next packet.
 */
#ifndef DIVERT_ENGINE_OWN_BPF_H
#define DIVERT_ENGINE_OWN_BPF_H

#include "pass.bpf.h"

#define OWN_STEPS 65536 /* interfaces and addresses that are looked at */

struct own {
	__u64 dev;	/* the next interface's place in the list of all; 0: there is none */
	__u64 last_dev; /* the end of that list */
	__u64 ifa;	/* the next address; 0: there is none */
	__u64 last_ifa;
	__be32 addr[4];
	__u32 six;
	__u32 network; /* of the address's network is enough */
	/*
	 * On the desk: before Linux 6.7 the verifier walks a loop's function once. A 0 that is
	 * on the stack and stays one that time is to it 0 for ever, and what asks for it is taken out.
	 */
	__u32 *found;
	struct own_seen *seen; /* every IPv4 address is entered there; or NULL */
};

/*
 * Which IPv4 addresses this host may have, by hash, so that one that it has not costs no walk. The processor's own;
 * net.ipv4.dev_addr_genid changes with each change of addresses. A slot that does not say `stamp` has none.
 */
#define OWN_SLOTS 2048

struct own_seen {
	__u32 stamp; /* the genid, and 1 */
	__u32 slot[OWN_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct own_seen);
} own_seen SEC(".maps");

static __always_inline __u32 *own_slot(struct own_seen *seen, __be32 addr)
{
	__u32 hash = bpf_ntohl(addr) * 0x9e3779b1u; /* 2^32 by the golden ratio */

	return &seen->slot[hash / (0x100000000ull / OWN_SLOTS) % OWN_SLOTS];
}

/* What stands in READ is looked up in the kernel's types: nothing of ours may be. */
static __always_inline __u64 own_next(__u64 at)
{
	struct list_head *entry = AS(list_head, at);

	return (__u64)READ(entry, next);
}

static __always_inline void own_addresses(struct own *o, struct net_device *dev)
{
	struct inet6_dev *in6;
	struct in_device *in;

	o->ifa = 0;
	if (!o->six) {
		in = READ(dev, ip_ptr);
		o->ifa = in ? (__u64)READ(in, ifa_list) : 0;
	} else if (bpf_core_type_exists(struct inet6_dev)) {
		in6 = READ(dev, ip6_ptr);
		if (!in6)
			return;
		o->last_ifa = (__u64)in6 + bpf_core_field_offset(struct inet6_dev, addr_list);
		o->ifa = (__u64)READ(in6, addr_list.next);
	}
}

static __always_inline void own_compare4(struct own *o)
{
	struct in_ifaddr *ifa = AS(in_ifaddr, o->ifa);

	if (o->seen)
		*own_slot(o->seen, READ(ifa, ifa_local)) = o->seen->stamp;
	else if (o->network)
		*o->found = !((READ(ifa, ifa_address) ^ o->addr[0]) & READ(ifa, ifa_mask));
	else
		*o->found = READ(ifa, ifa_local) == o->addr[0];
	o->ifa = (__u64)READ(ifa, ifa_next);
}

/* Bits of the address that have to be the same. */
static __always_inline __u32 own_bits6(const struct own *o, __u64 at)
{
	struct inet6_ifaddr *ifa = AS(inet6_ifaddr, at);

	return o->network ? READ(ifa, prefix_len) : 128;
}

static __always_inline int own_same6(const struct own *o, const __be32 *addr, __u32 bits)
{
	__u32 i, keep, differ = 0;

	for (i = 0; i < 4; i++) {
		keep = bits > i * 32 ? bits - i * 32 : 0;
		if (keep >= 32)
			differ |= addr[i] ^ o->addr[i];
		else if (keep)
			differ |= bpf_ntohl(addr[i] ^ o->addr[i]) >> (32 - keep);
	}
	return !differ;
}

static __always_inline void own_compare6(struct own *o)
{
	__be32 addr[4] = {};
	__u64 at = o->ifa;

	if (!bpf_core_type_exists(struct inet6_ifaddr))
		return;
	at -= bpf_core_field_offset(struct inet6_ifaddr, if_list);
	bpf_probe_read_kernel(addr, sizeof(addr),
			      (void *)at + bpf_core_field_offset(struct inet6_ifaddr, addr));
	*o->found = own_same6(o, addr, own_bits6(o, at));
	o->ifa = own_next(o->ifa);
	if (o->ifa == o->last_ifa)
		o->ifa = 0;
}

static long own_step(__u32 i, struct own *o)
{
	if (o->six && o->ifa == o->last_ifa)
		o->ifa = 0;
	if (o->ifa) {
		if (o->six)
			own_compare6(o);
		else
			own_compare4(o);
		return *o->found != 0;
	}
	if (!o->dev || o->dev == o->last_dev)
		return 1;
	own_addresses(o,
		      AS(net_device, o->dev - bpf_core_field_offset(struct net_device, dev_list)));
	o->dev = own_next(o->dev);
	return 0;
}

/*
 * addr: network order, of IPv4 the first word. dev NULL: of any interface in the namespace.
 * network: an address in the network of one of these will do.
 */
static __noinline __u32 own_address(struct __sk_buff *ctx, struct net_device *dev,
				    const __be32 *addr, __u32 six, __u32 network)
{
	struct sk_buff *skb = skb_of(ctx);
	struct own o = {.addr = {addr[0], addr[1], addr[2], addr[3]},
			.six = six,
			.network = network};
	struct desk *d = desk();
	struct net *net;

	if (!d)
		return 0;
	d->own = 0;
	o.found = &d->own;
	if (dev) {
		own_addresses(&o, dev);
	} else {
		dev = READ(skb, dev);
		net = READ(dev, nd_net.net);
		o.last_dev = (__u64)net + bpf_core_field_offset(struct net, dev_base_head);
		o.dev = (__u64)READ(net, dev_base_head.next);
	}
	bpf_loop(OWN_STEPS, own_step, &o, 0);
	return d->own;
}

/* May this be an IPv4 address of the host? If not, it is none. */
static __noinline int own_maybe4(struct __sk_buff *ctx, __be32 addr)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct net *net = READ(dev, nd_net.net);
	__u32 zero = 0, stamp = READ(net, ipv4.dev_addr_genid.counter) + 1;
	struct own_seen *seen = bpf_map_lookup_elem(&own_seen, &zero);
	struct desk *d = desk();
	struct own o = {};

	if (!seen || !d)
		return 1;
	if (seen->stamp != stamp) {
		seen->stamp = stamp;
		o.seen = seen;
		o.found = &d->own;
		d->own = 0;
		/* this interface's twice: see `found` of an ifa that is 0 at first */
		own_addresses(&o, dev);
		o.last_dev = (__u64)net + bpf_core_field_offset(struct net, dev_base_head);
		o.dev = (__u64)READ(net, dev_base_head.next);
		bpf_loop(OWN_STEPS, own_step, &o, 0);
	}
	return *own_slot(seen, addr) == stamp;
}

/* A global address of the interface that the packet is on, if it has one: they come first in the list. */
static __always_inline void own_first6(struct __sk_buff *ctx, __be32 *addr)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct inet6_dev *in6;
	__be32 found[4] = {};
	__u64 at;

	if (!bpf_core_type_exists(struct inet6_dev) || !bpf_core_type_exists(struct inet6_ifaddr))
		return;
	in6 = READ(dev, ip6_ptr);
	if (!in6)
		return;
	at = (__u64)READ(in6, addr_list.next);
	if (at == (__u64)in6 + bpf_core_field_offset(struct inet6_dev, addr_list))
		return;
	at -= bpf_core_field_offset(struct inet6_ifaddr, if_list);
	bpf_probe_read_kernel(found, sizeof(found),
			      (void *)at + bpf_core_field_offset(struct inet6_ifaddr, addr));
	if (!found[0] || (bpf_ntohl(found[0]) & 0xffc00000) == 0xfe800000)
		return;
	__builtin_memcpy(addr, found, sizeof(found));
}

#endif
