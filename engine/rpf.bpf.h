/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reverse path tests of a packet's source: verrevpath, versrcreach, antispoof. */
#ifndef DIVERT_ENGINE_RPF_BPF_H
#define DIVERT_ENGINE_RPF_BPF_H

#include "local.bpf.h"

/*
 * Destinations to which only a default route leads: reserved IPv4 addresses, and unassigned IPv6
 * addresses. Two of each, as routers often have routes that drop some of them. The last word of the
 * IPv6 address is 1.
 */
#define RPF_NOWHERE4_A 0xf0000001u
#define RPF_NOWHERE4_B 0x00000001u
#define RPF_NOWHERE6_A 0x40000000u
#define RPF_NOWHERE6_B 0x60000000u

/* Per CPU: hooks do not nest, and the stack has no room for it. */
struct rpf {
	struct bpf_fib_lookup source, nowhere;
	__be32 dst[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rpf);
} paths SEC(".maps");

/* Link-local and multicast addresses, which the lookup refuses. */
static __always_inline int rpf_is_link6(const __u64 *wide)
{
	return wide[0] >> 54 == 0xfe80 >> 6 || wide[0] >> 56 == 0xff;
}

/*
 * Look up the route from the packet's destination to its source; or, if place is not 0, to the
 * address that begins with that word. 1: found. Without a gateway the result's destination is 0.
 */
static __noinline int rpf_find(struct __sk_buff *skb, struct rpf *path, struct bpf_fib_lookup *fib,
			       __u32 place)
{
	const struct packet_context *d = context();
	__be32 *dst = path->dst;
	int six, rc;

	if (!d)
		return 0;
	six = (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	__builtin_memset(fib, 0, sizeof(*fib));
	__builtin_memset(dst, 0, sizeof(path->dst));
	if (!place) {
		address_bytes(&d->packet, 1, dst);
	} else {
		dst[0] = bpf_htonl(place);
		dst[3] = six ? bpf_htonl(1) : 0;
	}
	fib->family = six ? AF_INET6 : AF_INET;
	fib->tot_len = 1; /* so that no MTU matters */
	fib->ifindex = LO_IFINDEX;
	__builtin_memcpy(fib->ipv6_dst, dst, sizeof(path->dst));
	if (six) {
		fib->flowinfo = bpf_htonl((__u32)d->shape.tos << 20);
		if (!rpf_is_link6(d->packet.wide[DIVERT_W_DST6]))
			wide_bytes(d->packet.wide[DIVERT_W_DST6], fib->ipv6_src);
	} else {
		fib->tos = d->shape.tos;
		fib->ipv4_src = d->packet.field[DIVERT_F_DST4];
	}
	rc = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	if (fib->ipv6_dst[0] == dst[0] && fib->ipv6_dst[1] == dst[1] &&
	    fib->ipv6_dst[2] == dst[2] && fib->ipv6_dst[3] == dst[3])
		__builtin_memset(fib->ipv6_dst, 0, sizeof(fib->ipv6_dst));
	return 1;
}

static __always_inline int rpf_is_same(const struct bpf_fib_lookup *a,
				       const struct bpf_fib_lookup *b)
{
	return a->ifindex == b->ifindex && a->family == b->family && a->rt_metric == b->rt_metric &&
	       a->ipv6_dst[0] == b->ipv6_dst[0] && a->ipv6_dst[1] == b->ipv6_dst[1] &&
	       a->ipv6_dst[2] == b->ipv6_dst[2] && a->ipv6_dst[3] == b->ipv6_dst[3];
}

/* Is there a route to the source other than the default route? */
static __always_inline int rpf_reaches(struct __sk_buff *skb, struct rpf *path, int six)
{
	if (!rpf_find(skb, path, &path->source, 0))
		return 0;
	if (!rpf_find(skb, path, &path->nowhere, six ? RPF_NOWHERE6_A : RPF_NOWHERE4_A) &&
	    !rpf_find(skb, path, &path->nowhere, six ? RPF_NOWHERE6_B : RPF_NOWHERE4_B))
		return 1;
	return !rpf_is_same(&path->source, &path->nowhere);
}

/*
 * If the source is in a network that is connected to this host, did it arrive on that network's
 * interface? Also 1 if it is in no such network.
 */
static __always_inline int rpf_is_honest(struct __sk_buff *skb, const struct packet_context *d,
					 struct rpf *path, int six)
{
	struct sk_buff *sk_buff = skb_of(skb);
	struct net_device *dev = READ(sk_buff, dev);

	address_bytes(&d->packet, 1, path->dst);
	return local_address(skb, dev, path->dst, six, 1) ||
	       !local_address(skb, NULL, path->dst, six, 1);
}

/* Test an inbound packet: enum divert_rpf. Not static: see struct packet_context. */
__noinline int rpf_ask(struct __sk_buff *skb, __u32 what)
{
	const struct packet_context *d = context();
	__u32 zero = 0;
	struct rpf *path = bpf_map_lookup_elem(&paths, &zero);
	int six;

	if (!d || !path)
		return 0;
	six = (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	if (skb->ifindex == LO_IFINDEX || (six && rpf_is_link6(d->packet.wide[DIVERT_W_SRC6])))
		return 1;
	switch (what) {
	case DIVERT_RPF_REVERSE:
		return rpf_find(skb, path, &path->source, 0) &&
		       path->source.ifindex == skb->ifindex;
	case DIVERT_RPF_REACH:
		return rpf_reaches(skb, path, six);
	}
	return rpf_is_honest(skb, d, path, six);
}

#endif
