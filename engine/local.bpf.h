/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is an address this host's, or that of one interface? The kernel's own lists are read, so that a
 * change of addresses takes effect with the next packet.
 */
#ifndef DIVERT_ENGINE_LOCAL_BPF_H
#define DIVERT_ENGINE_LOCAL_BPF_H

#include "context.bpf.h"

#define LOCAL_STEPS 65536 /* interfaces and addresses that are examined */

struct local_search {
	__u64 dev;	/* the next interface in the list of all; 0: none */
	__u64 last_dev; /* the end of that list */
	__u64 ifa;	/* the next address; 0: none */
	__u64 last_ifa;
	__be32 addr[4];
	__u32 six;
	__u32 network; /* any address in the network matches */
	/*
	 * Kept in the packet context: before Linux 6.7 the verifier walks a loop's function once.
	 * It then treats a stack slot that is 0 in that one walk as constant, and removes the
	 * branches that test it.
	 */
	__u32 *found;
	struct own_seen *seen; /* record every IPv4 address there; or NULL */
};

/*
 * A per-CPU set of the hashes of this host's IPv4 addresses, so that a foreign address costs no
 * walk. It is rebuilt when net.ipv4.dev_addr_genid changes, as each change of addresses does. A
 * slot is in use if it holds `stamp`.
 */
#define LOCAL_SLOTS 2048

struct own_seen {
	__u32 stamp; /* the genid plus 1 */
	__u32 slot[LOCAL_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct own_seen);
} own_seen SEC(".maps");

static __always_inline __u32 *local_slot(struct own_seen *seen, __be32 addr)
{
	__u32 hash = bpf_ntohl(addr) * 0x9e3779b1u; /* 2^32 / the golden ratio */

	return &seen->slot[hash / (0x100000000ull / LOCAL_SLOTS) % LOCAL_SLOTS];
}

/* READ looks up its types in the kernel's BTF; our own types must not appear there. */
static __always_inline __u64 local_next(__u64 at)
{
	struct list_head *entry = AS(list_head, at);

	return (__u64)READ(entry, next);
}

static __always_inline void local_addresses(struct local_search *o, struct net_device *dev)
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

static __always_inline void local_compare4(struct local_search *o)
{
	struct in_ifaddr *ifa = AS(in_ifaddr, o->ifa);

	if (o->seen)
		*local_slot(o->seen, READ(ifa, ifa_local)) = o->seen->stamp;
	else if (o->network)
		*o->found = !((READ(ifa, ifa_address) ^ o->addr[0]) & READ(ifa, ifa_mask));
	else
		*o->found = READ(ifa, ifa_local) == o->addr[0];
	o->ifa = (__u64)READ(ifa, ifa_next);
}

/* How many bits of the address must match. */
static __always_inline __u32 local_bits6(const struct local_search *o, __u64 at)
{
	struct inet6_ifaddr *ifa = AS(inet6_ifaddr, at);

	return o->network ? READ(ifa, prefix_len) : 128;
}

static __always_inline int local_same6(const struct local_search *o, const __be32 *addr, __u32 bits)
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

static __always_inline void local_compare6(struct local_search *o)
{
	__be32 addr[4] = {};
	__u64 at = o->ifa;

	if (!bpf_core_type_exists(struct inet6_ifaddr))
		return;
	at -= bpf_core_field_offset(struct inet6_ifaddr, if_list);
	bpf_probe_read_kernel(addr, sizeof(addr),
			      (void *)at + bpf_core_field_offset(struct inet6_ifaddr, addr));
	*o->found = local_same6(o, addr, local_bits6(o, at));
	o->ifa = local_next(o->ifa);
	if (o->ifa == o->last_ifa)
		o->ifa = 0;
}

static long local_step(__u32 i, struct local_search *o)
{
	if (o->six && o->ifa == o->last_ifa)
		o->ifa = 0;
	if (o->ifa) {
		if (o->six)
			local_compare6(o);
		else
			local_compare4(o);
		return *o->found != 0;
	}
	if (!o->dev || o->dev == o->last_dev)
		return 1;
	local_addresses(o, AS(net_device,
			      o->dev - bpf_core_field_offset(struct net_device, dev_list)));
	o->dev = local_next(o->dev);
	return 0;
}

/*
 * Is addr (network order; IPv4: the first word) an address of dev, or with dev NULL of any
 * interface in the namespace? network: an address in the network of one of these matches, too.
 */
static __noinline __u32 local_address(struct __sk_buff *ctx, struct net_device *dev,
				      const __be32 *addr, __u32 six, __u32 network)
{
	struct sk_buff *skb = skb_of(ctx);
	struct local_search o = {.addr = {addr[0], addr[1], addr[2], addr[3]},
				 .six = six,
				 .network = network};
	struct packet_context *d = context();
	struct net *net;

	if (!d)
		return 0;
	d->own = 0;
	o.found = &d->own;
	if (dev) {
		local_addresses(&o, dev);
	} else {
		dev = READ(skb, dev);
		net = READ(dev, nd_net.net);
		o.last_dev = (__u64)net + bpf_core_field_offset(struct net, dev_base_head);
		o.dev = (__u64)READ(net, dev_base_head.next);
	}
	bpf_loop(LOCAL_STEPS, local_step, &o, 0);
	return d->own;
}

/* May this be an IPv4 address of the host? 0 is certain. */
static __noinline int local_maybe4(struct __sk_buff *ctx, __be32 addr)
{
	struct sk_buff *skb = skb_of(ctx);
	struct net_device *dev = READ(skb, dev);
	struct net *net = READ(dev, nd_net.net);
	__u32 zero = 0, stamp = READ(net, ipv4.dev_addr_genid.counter) + 1;
	struct own_seen *seen = bpf_map_lookup_elem(&own_seen, &zero);
	struct packet_context *d = context();
	struct local_search o = {};

	if (!seen || !d)
		return 1;
	if (seen->stamp != stamp) {
		seen->stamp = stamp;
		o.seen = seen;
		o.found = &d->own;
		d->own = 0;
		/*
		 * reads this interface's addresses twice: an ifa that starts as 0 would be
		 * constant, see `found`
		 */
		local_addresses(&o, dev);
		o.last_dev = (__u64)net + bpf_core_field_offset(struct net, dev_base_head);
		o.dev = (__u64)READ(net, dev_base_head.next);
		bpf_loop(LOCAL_STEPS, local_step, &o, 0);
	}
	return *local_slot(seen, addr) == stamp;
}

/* A global address of the packet's interface, if it has one: these come first in the list. */
static __always_inline void local_first6(struct __sk_buff *ctx, __be32 *addr)
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
