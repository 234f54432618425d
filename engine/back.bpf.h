/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way back: from a frame on lo to the packet on its way, and how its hook knows it. */
#ifndef DIVERT_ENGINE_BACK_BPF_H
#define DIVERT_ENGINE_BACK_BPF_H

#include "deliver.bpf.h"

#define LO_IFINDEX 1
#define AF_INET	   2
#define AF_INET6   10
#define AF_PACKET  17
#define ETH_HLEN   14

/* ---- between lo and the hook: cb[], which travels with the packet ---- */

/* Of cb[2], whose low 16 bits are the tag. */
#define ENTRY_BACK    0x10000u
#define ENTRY_ALONE   0x20000u /* back_alone() */
#define ENTRY_JOINED  0x40000u /* DIVERT_BACK_JOINED */
#define ENTRY_NUMBER  19       /* from this bit on: entry_wait() */
#define ENTRY_NUMBERS 0x1fff   /* 1 to this */

/* volatile: the verifier wants each word written on its own */
static __always_inline void entry_set(volatile struct __sk_buff *skb, __u16 tag, __u32 recv_ifindex,
				      __u32 stats)
{
	skb->cb[0] = entry_key[0];
	skb->cb[1] = entry_key[1];
	skb->cb[2] = ENTRY_BACK | tag;
	skb->cb[3] = recv_ifindex;
	skb->cb[4] = stats;
}

/* Inbound, where it waits to be received: by its number a train knows whether it still does. */
static __always_inline void entry_wait(volatile struct __sk_buff *skb)
{
	struct train_pass *pass = train_pass();

	if (!pass)
		return;
	pass->sent = pass->sent % ENTRY_NUMBERS + 1;
	skb->cb[2] |= pass->sent << ENTRY_NUMBER;
}

static __always_inline void entry_met(__u32 number)
{
	struct train_pass *pass = train_pass();

	if (pass)
		pass->met = number;
}

/* How many segments the packet, which lib/join.c made, is to be cut into. */
static __always_inline __u32 entry_segments(struct __sk_buff *skb, __u32 link_len)
{
	__u32 head = link_len + sizeof(struct packet_ip4), gso_size = skb->gso_size;
	__u8 ip[10] = {}, proto, offset = 2 << 4; /* UDP's header, in words */

	skb_load(skb, link_len, ip, sizeof(ip));
	proto = ip[offsetof(struct packet_ip4, proto)];
	if (ip[0] >> 4 == 6) {
		head = link_len + sizeof(struct packet_ip6);
		proto = ip[offsetof(struct packet_ip6, next)];
	}
	if (proto == PROTO_TCP)
		skb_load(skb, head + 12, &offset, sizeof(offset));
	head += (offset >> 4) * 4;
	return gso_size ? (skb->len - head + gso_size - 1) / gso_size : 1;
}

/* A packet that was written back, as its hook meets it. */
struct entry {
	__u32 tag;
	__u32 recv_ifindex; /* of one on its way out */
	__u32 stats;	    /* the sender's counters */
	__u32 n;	    /* as how many packets it counts */
};

/*
 * Was the packet written back: ENTRY_BACK, ENTRY_ALONE, 0? A packet of another namespace, or left-overs
 * of the stack in cb[], do not know the key. It serves once, and is wiped.
 */
static __always_inline int entry_take(volatile struct __sk_buff *skb, struct entry *e)
{
	__u32 entry;

	if (skb->cb[0] != entry_key[0] || skb->cb[1] != entry_key[1])
		return 0;
	entry = skb->cb[2] & (ENTRY_BACK | ENTRY_ALONE);
	if (!entry)
		return 0;
	e->tag = skb->cb[2] & 0xffff;
	if (skb->cb[2] >> ENTRY_NUMBER)
		entry_met(skb->cb[2] >> ENTRY_NUMBER);
	e->recv_ifindex = skb->cb[3];
	e->stats = skb->cb[4];
	e->n = skb->cb[2] & ENTRY_JOINED ? entry_segments((void *)skb, skb_link_len((void *)skb))
					 : 1;
	/* what was written and never came here was lost on the way: see DIVERT_N_LOST */
	if (entry == ENTRY_BACK)
		count_late(e->stats, DIVERT_N_ENTERED, e->n);
	skb->cb[0] = 0;
	skb->cb[1] = 0;
	skb->cb[2] = 0;
	skb->cb[3] = 0;
	return entry;
}

/*
 * A packet of BPF_PROG_TEST_RUN, which can have no route, is routed if whoever knows the key says so,
 * and no more. Asked only of those that have none.
 */
static __always_inline int entry_routed(struct __sk_buff *skb)
{
	return skb->cb[0] == entry_key[0] && skb->cb[1] == entry_key[1];
}

/*
 * Arriving over lo's frame, the packet looks like another host's: its link
 * header is not the interface's. The destination says what it is.
 */
static __always_inline void set_type(struct __sk_buff *skb, int version)
{
	__u32 at = skb_link_len(skb) + (version == 4 ? offsetof(struct packet_ip4, dst)
						     : offsetof(struct packet_ip6, dst));
	__u32 type = PACKET_HOST;
	union {
		__u8 byte[4];
		__be32 word;
	} dst = {};

	skb_load(skb, at, &dst, sizeof(dst));
	if (version == 6) {
		if (dst.byte[0] == 0xff)
			type = PACKET_MULTICAST;
	} else if (dst.byte[0] >> 4 == 14) {
		type = PACKET_MULTICAST;
	} else if (dst.word == ~0u) {
		type = PACKET_BROADCAST;
	} else if (dst.byte[3] & 1 && skb_dev_broadcast(skb, dst.word)) {
		type = PACKET_BROADCAST;
	}
	if (skb->pkt_type != type)
		bpf_skb_change_type(skb, type);
}

/* How often the packet was written back goes with it, so that no program makes it run for ever. */
static __always_inline void hops_set(struct __sk_buff *skb, __u8 hops)
{
	skb->tc_index = hops_sign() | hops;
}

/*
 * ---- in a train (train.bpf.c) ----
 *
 * Is the packet one of the train that is on its way here? Once.
 */
static __always_inline int train_take(struct __sk_buff *skb, struct entry *e)
{
	struct train_mac *from = (void *)(long)skb->data + ETH_ALEN;
	struct train_pass *pass;
	__u32 place;

	if ((void *)(from + 1) > (void *)(long)skb->data_end || from->sign != TRAIN_SIGN)
		return 0;
	place = from->place;
	pass = train_pass();
	if (!pass || place >= DIVERT_TRAIN_LIST || from->key != pass->key ||
	    !pass->car[place].there)
		return 0;
	pass->car[place].there = 0;
	e->tag = pass->car[place].tag;
	e->stats = pass->car[place].stats;
	e->n = 1;
	skb->mark = pass->car[place].mark;
	hops_set(skb, pass->car[place].hops);
	count_late(e->stats, DIVERT_N_ENTERED, 1);
	return 1;
}

/* ---- on lo ---- */

static __always_inline int is_back(struct __sk_buff *skb)
{
	/* the mark is a secret, and only a packet socket's frame can carry what follows */
	return skb->mark == back_mark && skb->ifindex == LO_IFINDEX && skb->sk &&
	       skb->sk->family == AF_PACKET;
}

/* Counters of the sender's port: its packet socket has them as priority. */
static __always_inline __u32 back_stats(struct __sk_buff *skb)
{
	return skb->priority;
}

/* Not this frame: send() fails with ENOBUFS, and the library looks here for the reason. */
static __always_inline int back_answer(struct __sk_buff *skb, __u32 error)
{
	struct bpf_sock *sk = skb->sk;
	__u32 *why;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return TC_ACT_SHOT;
	why = bpf_sk_storage_get(&errors, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (why)
		*why = error;
	return TC_ACT_SHOT;
}

static __always_inline int back_joined(const struct divert_back *back)
{
	return (back->flags & DIVERT_BACK_JOINED) == DIVERT_BACK_JOINED;
}

/* Refuse the packet, which is a loss, unless its segments come again. */
static __always_inline int back_refuse(struct __sk_buff *skb, const struct divert_back *back,
				       enum divert_cause cause, __u32 error)
{
	if (!back_joined(back))
		count(back_stats(skb), cause);
	return back_answer(skb, error);
}

/* Of those that it is, as many are counted: how many? */
static __always_inline __u32 back_count(struct __sk_buff *skb, const struct divert_back *back,
					enum divert_cause cause, __u32 stats)
{
	__u32 n = back_joined(back) ? entry_segments(skb, ETH_HLEN) : 1;

	count_many(stats, cause, n);
	if (back_joined(back))
		count_many(stats, DIVERT_N_JOINED, n);
	return n;
}

/* It is on its way, as one that was received on this interface; cause: DIVERT_N_WRITTEN_... */
static __always_inline void back_enter(struct __sk_buff *skb, const struct divert_back *back,
				       enum divert_cause cause, __u32 recv_ifindex, __u32 stats)
{
	back_count(skb, back, cause, stats);
	entry_set(skb, back->tag, recv_ifindex, stats);
	if (back_joined(back))
		skb->cb[2] |= ENTRY_JOINED;
	hops_set(skb, back->hops);
	skb->priority = 0;
}

/* Its interface: the library may know of another by the same name, or by the routes. */
static __always_inline int back_gone(struct __sk_buff *skb, const struct divert_back *back)
{
	if (back->flags & DIVERT_BACK_GUESS)
		return back_answer(skb, ENXIO);
	return back_refuse(skb, back, DIVERT_N_NO_INTERFACE, ENXIO);
}

/* Whoever sleeps on the ring looks at it again; what is put there is a record that is none. */
static __always_inline int back_wake(__u32 slot)
{
	void *record, *ring = bpf_map_lookup_elem(&sockets, &slot);

	record = ring ? bpf_ringbuf_reserve(ring, 8, 0) : NULL;
	if (record) /* else it is full, and nobody sleeps */
		bpf_ringbuf_discard(record, BPF_RB_FORCE_WAKEUP);
	return TC_ACT_STOLEN;
}

/* A setting of the library's: enum divert_set. */
static __always_inline int back_set(struct __sk_buff *skb, const struct divert_back *back)
{
	__u32 key = back->ifindex;
	struct divert_socket *conf;
	struct divert_port *port;

	if (back->tag == DIVERT_SET_BYPASS) {
		port = bpf_map_lookup_elem(&ports, &key);
		if (!port)
			return back_refuse(skb, back, DIVERT_N_BAD_FRAME, ENOENT);
		if (back->mark)
			port->flags |= DIVERT_PORT_BYPASS;
		else
			port->flags &= ~DIVERT_PORT_BYPASS;
		return TC_ACT_STOLEN;
	}
	if (back->tag == DIVERT_SET_WAKE)
		return back_wake(key);
	conf = bpf_map_lookup_elem(&socket_conf, &key);
	if (!conf)
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, ENOENT);
	if (back->tag == DIVERT_SET_FLAGS)
		conf->flags = back->mark;
	else if (back->tag == DIVERT_SET_LIMIT)
		conf->limit = back->mark;
	else
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	return TC_ACT_STOLEN;
}

/*
 * The packet's own type into a frame that has DIVERT_BACK_ETHERTYPE. Of a large frame only the
 * link header can be looked at in place.
 */
static __always_inline int back_type(struct __sk_buff *skb)
{
	__be16 *type = (void *)(long)skb->data + 2 * ETH_ALEN;
	__u8 first;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &first, sizeof(first)))
		return -1;
	if ((void *)(type + 1) > (void *)(long)skb->data_end)
		return -1;
	*type = bpf_htons(first >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	return 0;
}

static __always_inline int has_link_header(struct net_device *dev)
{
	__u16 type = READ(AS(net_device, dev), type);

	return type == ARPHRD_ETHER_TYPE || type == ARPHRD_LOOPBACK_TYPE;
}

static __always_inline int is_ethernet(struct net_device *dev)
{
	return READ(AS(net_device, dev), type) == ARPHRD_ETHER_TYPE;
}

/*
 * A copy of the packet goes out by way of lo once more, on its own: only a program's verdict, not a
 * clone, waits for a neighbour. Nobody is told what becomes of it; a loss is counted.
 */
static __always_inline void back_alone(struct __sk_buff *skb, const struct divert_back *back,
				       __u32 stats)
{
	entry_set(skb, back->tag, back->ifindex, stats);
	skb->cb[2] = ENTRY_ALONE | back->tag;
	hops_set(skb, back->hops);
	bpf_clone_redirect(skb, LO_IFINDEX, 0);
}

static __always_inline int back_in(struct __sk_buff *skb, const struct divert_back *back)
{
	struct net_device *dev = skb_find_dev(skb, back->ifindex);

	if (!dev)
		return back_gone(skb, back);
	if (!(READ(AS(net_device, dev), flags) & IFF_UP_BIT))
		return back_refuse(skb, back, DIVERT_N_IF_DOWN, ENETDOWN);
	if (skb->protocol == bpf_htons(DIVERT_BACK_ETHERTYPE)) {
		if (!has_link_header(dev))
			return back_answer(skb, EPROTOTYPE);
		if (back_type(skb))
			return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	}
	back_enter(skb, back, DIVERT_N_WRITTEN_IN, back->ifindex, back_stats(skb));
	entry_wait(skb);
	skb->mark = back->mark;
	return bpf_redirect(back->ifindex, BPF_F_INGRESS);
}

/* What a look-up that found no way says, as send() says it of a raw socket. */
static __always_inline int back_no_route(struct __sk_buff *skb, const struct divert_back *back,
					 int rc)
{
	switch (rc) {
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		if (!skb->sk)
			return back_refuse(skb, back, DIVERT_N_TOO_BIG, EMSGSIZE);
		return back_answer(skb, EMSGSIZE); /* the library cuts it, or counts it */
	case BPF_FIB_LKUP_RET_UNREACHABLE:
		return back_refuse(skb, back, DIVERT_N_NO_ROUTE, EHOSTUNREACH);
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return back_refuse(skb, back, DIVERT_N_NO_ROUTE, EACCES);
	case BPF_FIB_LKUP_RET_BLACKHOLE:
		return back_refuse(skb, back, DIVERT_N_NO_ROUTE, EINVAL);
	case BPF_FIB_LKUP_RET_FWD_DISABLED: /* somebody switched forwarding of lo off */
		return back_refuse(skb, back, DIVERT_N_NO_ROUTE, ENETDOWN);
	}
	/*
	 * No route, or none to another host: this helper does not tell a local,
	 * a broadcast or a multicast destination from none. The library knows
	 * how to ask, and comes again if there is a way.
	 */
	if (!skb->sk)
		return back_refuse(skb, back, DIVERT_N_NO_ROUTE, ENETUNREACH);
	return back_refuse(skb, back, DIVERT_N_UNROUTED, ENETUNREACH);
}

/* Bytes of the longest packet that leaves: of a large one, of its segments. */
static __always_inline __u32 back_len(struct pass *p)
{
	__u32 head = p->desk->shape.payload + 8; /* UDP's */
	__u32 gso_size = p->skb->gso_size;
	__u8 offset = 0;

	if (!gso_size)
		return p->desk->shape.len;
	if (p->desk->packet.field[DIVERT_F_PROTO] == PROTO_TCP) {
		packet_load(p, p->desk->shape.payload + 12, &offset, sizeof(offset));
		head = p->desk->shape.payload + (offset >> 4) * 4;
	}
	return head + gso_size;
}

/*
 * A packet that a rule diverted, and that may not be fragmented: when the stack sent it, it found
 * that it fits. It knows better than the look-up, which minds what this host has learned of paths
 * (for its own packets; a router does not), and refuses what probes them.
 */
static __always_inline int back_fitted(struct pass *p, const struct divert_back *back)
{
	__u8 frag = 0x40;

	if (!(p->desk->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6))
		packet_load(p, offsetof(struct packet_ip4, frag), &frag, sizeof(frag));
	return back->tag && frag & 0x40;
}

/* Do ports have a say in where packets are routed? Where it cannot be known they do. */
static __always_inline int routes_by_port(struct __sk_buff *skb, int version)
{
	struct net_device *dev = READ(skb_of(skb), dev);
	struct net *net = READ(dev, nd_net.net);

	if (version == 6)
		return !bpf_core_field_exists(net->ipv6.fib6_has_custom_rules) ||
		       READ(net, ipv6.fib6_has_custom_rules) ||
		       READ(net, ipv6.sysctl.multipath_hash_policy);
	return !bpf_core_field_exists(net->ipv4.fib_has_custom_rules) ||
	       !bpf_core_field_exists(net->ipv4.sysctl_fib_multipath_hash_policy) ||
	       READ(net, ipv4.fib_has_custom_rules) ||
	       READ(net, ipv4.sysctl_fib_multipath_hash_policy);
}

/* What the look-up is asked, but for the packet's length. */
static __always_inline void back_ask(struct pass *p, struct bpf_fib_lookup *fib, int ports)
{
	struct divert_packet *k = &p->desk->packet;
	int v6 = k->field[DIVERT_F_FLAGS] & DIVERT_IS_V6;

	fib->family = v6 ? AF_INET6 : AF_INET;
	fib->l4_protocol = k->field[DIVERT_F_PROTO];
	if (ports && k->field[DIVERT_F_SPORT] != DIVERT_ABSENT) {
		fib->sport = bpf_htons(k->field[DIVERT_F_SPORT]);
		fib->dport = bpf_htons(k->field[DIVERT_F_DPORT]);
	}
	fib->ifindex = LO_IFINDEX;
	if (v6) {
		packet_load(p, offsetof(struct packet_ip6, src), fib->ipv6_src, 32);
		fib->flowinfo = bpf_htonl((__u32)p->desk->shape.tos << 20);
	} else {
		fib->ipv4_src = k->field[DIVERT_F_SRC4];
		fib->ipv4_dst = k->field[DIVERT_F_DST4];
		fib->tos = p->desk->shape.tos;
	}
	if (fib_flags & FIB_MARK)
		*(__u32 *)fib->smac = p->skb->mark;
}

/* len: to be looked at; 0: only the device's own MTU counts. */
static __always_inline int back_route(struct pass *p, struct bpf_fib_lookup *fib, __u16 len)
{
	back_ask(p, fib, 1);
	fib->tot_len = len;
	return bpf_fib_lookup(p->skb, fib, sizeof(*fib), fib_flags);
}

/* The look-up for a packet of so many bytes. Of a neighbour that is not known it tells no MTU: the device does. */
static __always_inline int back_way(struct pass *p, struct bpf_fib_lookup *fib,
				    const struct divert_back *back, __u32 len)
{
	int rc = back_route(p, fib, len);
	struct net_device *dev;

	if (rc != BPF_FIB_LKUP_RET_FRAG_NEEDED || !back_fitted(p, back))
		return rc;
	rc = back_route(p, fib, 0);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return rc;
	dev = skb_find_dev(p->skb, fib->ifindex);
	return dev && len <= READ(dev, mtu) ? rc : BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* To the interface's egress, where its hook meets the packet again. */
static __always_inline int back_leave(struct __sk_buff *skb, const struct divert_back *back,
				      __u32 ifindex, struct bpf_redir_neigh *next, __u32 stats)
{
	back_enter(skb, back, DIVERT_N_WRITTEN_OUT,
		   back->flags & DIVERT_BACK_LINK ? 0 : back->ifindex, stats);
	return bpf_redirect_neigh(ifindex, next, sizeof(*next), 0);
}

static __always_inline int back_link(struct pass *p, const struct divert_back *back)
{
	struct bpf_redir_neigh next = {};
	struct net_device *dev = skb_find_dev(p->skb, back->ifindex);

	if (!dev)
		return back_gone(p->skb, back);
	if (!(READ(AS(net_device, dev), flags) & IFF_UP_BIT))
		return back_refuse(p->skb, back, DIVERT_N_IF_DOWN, ENETDOWN);
	if (back_len(p) > READ(AS(net_device, dev), mtu))
		return back_answer(p->skb, EMSGSIZE);
	if (p->desk->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		next.nh_family = AF_INET6;
		packet_load(p, offsetof(struct packet_ip6, dst), next.ipv6_nh, 16);
	} else {
		next.nh_family = AF_INET;
		next.ipv4_nh = p->desk->packet.field[DIVERT_F_DST4];
	}
	return back_leave(p->skb, back, back->ifindex, &next, back_stats(p->skb));
}

/* Take the header off a frame; the link header is left as that of any packet on lo. */
static __always_inline int back_header(struct __sk_buff *skb, struct divert_back *back)
{
	void *data = (void *)(long)skb->data;

	if (data + ETH_HLEN > (void *)(long)skb->data_end) {
		__builtin_memset(back, 0, sizeof(*back));
		return -1;
	}
	__builtin_memcpy(back, data, sizeof(*back));
	__builtin_memset(data, 0, sizeof(*back));
	return 0;
}

/*
 * TC_ACT_OK: to this host itself, and it is for the caller to go on with it as on its way out
 * over lo. noinline: what it needs leaves the stack before the rules do. Not static: see struct desk.
 */
__noinline int back_out(struct __sk_buff *skb, int version, const struct divert_back *back)
{
	struct pass p = {.skb = skb};
	struct bpf_redir_neigh next = {};
	struct bpf_fib_lookup fib = {};
	struct net_device *dev;
	__u32 len, n;
	int rc;

	if (!back)
		return TC_ACT_SHOT;
	if (pass_begin(&p))
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	p.desk->link_len = ETH_HLEN;
	if (desk_read(skb, version) < 0)
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	skb->mark = back->mark;
	if (back->flags & DIVERT_BACK_LINK)
		return back_link(&p, back);
	len = back_len(&p);
	rc = back_way(&p, &fib, back, len);
	if (rc == BPF_FIB_LKUP_RET_NOT_FWDED && back->flags & DIVERT_BACK_LOCAL) {
		n = back_count(skb, back, DIVERT_N_WRITTEN_OUT, back_stats(skb));
		count_many(back_stats(skb), DIVERT_N_ENTERED, n);
		hops_set(skb, back->hops);
		skb->priority = 0;
		return TC_ACT_OK;
	}
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return back_no_route(skb, back, rc);
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH && skb->sk) {
		dev = skb_find_dev(skb, fib.ifindex);
		if (dev && is_ethernet(dev)) { /* others have no neighbours */
			if (back_joined(back))
				return back_answer(skb, EHOSTUNREACH);
			back_alone(skb, back, back_stats(skb));
			return back_answer(skb, EINPROGRESS);
		}
	}
	next.nh_family = fib.family;
	__builtin_memcpy(next.ipv6_nh, fib.ipv6_dst, sizeof(next.ipv6_nh));
	return back_leave(skb, back, fib.ifindex, &next, back_stats(skb));
}

#endif
