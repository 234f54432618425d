/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a packet's source is to be found where it came in: verrevpath, versrcreach, antispoof. */
#ifndef DIVERT_ENGINE_PATH_BPF_H
#define DIVERT_ENGINE_PATH_BPF_H

#include "back.bpf.h"
#include "own.bpf.h"

/*
 * Places to which only a default route leads: reserved addresses of IPv4, and of IPv6 such as nobody
 * has been given. Two, as routers often have routes that drop some of these; the last word of IPv6's is 1.
 */
#define PATH_NOWHERE4_A 0xf0000001u
#define PATH_NOWHERE4_B 0x00000001u
#define PATH_NOWHERE6_A 0x40000000u
#define PATH_NOWHERE6_B 0x60000000u

/* Of the processor, as no hook runs within another, and the stack has no room for it. */
struct path {
	struct bpf_fib_lookup source, nowhere;
	__be32 dst[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path);
} paths SEC(".maps");

/* Such addresses are of a link, and the look-up refuses them. */
static __always_inline int path_is_link6(const __u64 *wide)
{
	return wide[0] >> 54 == 0xfe80 >> 6 || wide[0] >> 56 == 0xff;
}

/*
 * The way that this host would take from the packet's destination to its source, or to the place
 * that is given by its first word. 1: there is one. Of one without gateway the destination is 0.
 */
static __noinline int path_find(struct __sk_buff *skb, struct path *path,
				struct bpf_fib_lookup *fib, __u32 place)
{
	const struct desk *d = desk();
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
	fib->tot_len = 1; /* whatever its length is */
	fib->ifindex = LO_IFINDEX;
	__builtin_memcpy(fib->ipv6_dst, dst, sizeof(path->dst));
	if (six) {
		fib->flowinfo = bpf_htonl((__u32)d->shape.tos << 20);
		if (!path_is_link6(d->packet.wide[DIVERT_W_DST6]))
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

static __always_inline int path_is_same(const struct bpf_fib_lookup *a,
					const struct bpf_fib_lookup *b)
{
	return a->ifindex == b->ifindex && a->family == b->family && a->rt_metric == b->rt_metric &&
	       a->ipv6_dst[0] == b->ipv6_dst[0] && a->ipv6_dst[1] == b->ipv6_dst[1] &&
	       a->ipv6_dst[2] == b->ipv6_dst[2] && a->ipv6_dst[3] == b->ipv6_dst[3];
}

/* A way leads to the source, and it is not the default one. */
static __always_inline int path_reaches(struct __sk_buff *skb, struct path *path, int six)
{
	if (!path_find(skb, path, &path->source, 0))
		return 0;
	if (!path_find(skb, path, &path->nowhere, six ? PATH_NOWHERE6_A : PATH_NOWHERE4_A) &&
	    !path_find(skb, path, &path->nowhere, six ? PATH_NOWHERE6_B : PATH_NOWHERE4_B))
		return 1;
	return !path_is_same(&path->source, &path->nowhere);
}

/* The source is of a network that this host has an address of, and it came in there, too; or of none. */
static __always_inline int path_is_honest(struct __sk_buff *skb, const struct desk *d,
					  struct path *path, int six)
{
	struct sk_buff *sk_buff = skb_of(skb);
	struct net_device *dev = READ(sk_buff, dev);

	address_bytes(&d->packet, 1, path->dst);
	return own_address(skb, dev, path->dst, six, 1) ||
	       !own_address(skb, NULL, path->dst, six, 1);
}

/* enum divert_path; of packets that came in. Not static: see struct desk. */
__noinline int path_ask(struct __sk_buff *skb, __u32 what)
{
	const struct desk *d = desk();
	__u32 zero = 0;
	struct path *path = bpf_map_lookup_elem(&paths, &zero);
	int six;

	if (!d || !path)
		return 0;
	six = (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	if (skb->ifindex == LO_IFINDEX || (six && path_is_link6(d->packet.wide[DIVERT_W_SRC6])))
		return 1;
	switch (what) {
	case DIVERT_PATH_REVERSE:
		return path_find(skb, path, &path->source, 0) &&
		       path->source.ifindex == skb->ifindex;
	case DIVERT_PATH_REACH:
		return path_reaches(skb, path, six);
	}
	return path_is_honest(skb, d, path, six);
}

#endif
