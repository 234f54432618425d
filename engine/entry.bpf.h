/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a hook recognises a reinjected packet: the state that travels with it from lo, or on the bulk
 * path.
 */
#ifndef DIVERT_ENGINE_ENTRY_BPF_H
#define DIVERT_ENGINE_ENTRY_BPF_H

#include "context.bpf.h"
#include "counters.bpf.h"

/* ---- between lo and the hook: cb[], which travels with the packet ---- */

/* Bits of cb[2]; its low 16 bits are the tag. */
#define ENTRY_REINJECTED 0x10000u
#define ENTRY_ALONE	 0x20000u /* reinject_alone() */
#define ENTRY_IN	 0x30000u /* reinject_enter_in() */
#define ENTRY_JOINED	 0x40000u /* DIVERT_REINJECT_JOINED */
#define ENTRY_NUMBER	 19	  /* number from this bit on. In: entry_wait(). Out: owner.bpf.h */
#define ENTRY_NUMBERS	 0xfff	  /* in: 1 to this */
#define ENTRY_IPSEC	 (1u << 31) /* in: DIVERT_META_IPSEC */

/* volatile: the verifier wants each word written separately */
static __always_inline void entry_set(volatile struct __sk_buff *skb, __u16 tag, __u32 recv_ifindex,
				      __u32 stats)
{
	skb->cb[0] = entry_key[0];
	skb->cb[1] = entry_key[1];
	skb->cb[2] = ENTRY_REINJECTED | tag;
	skb->cb[3] = recv_ifindex;
	skb->cb[4] = stats;
}

/*
 * A rule sends the packet to another interface: a hook that meets it there lets it pass, as no rule
 * is behind this tag, and no port counts it. Every such packet has it, whether there is a hook or
 * not: two hooks can never send it to and fro.
 */
#define ENTRY_FORWARDED (ENTRY_REINJECTED | 0xffffu)
#define ENTRY_MISSED	0xffffffffu /* in cb[4]: it counts as lost until the hook meets it */
#define ENTRY_FOUND	0xfffffffeu /* in cb[4]: it counts no more */

/* Such a packet was seen, or leaves where no hook will see it. */
static __always_inline void entry_found(void)
{
	__u64 *n = port_counters(0);

	if (n)
		n[DIVERT_N_FWD]--;
}

static __always_inline void entry_forward(struct __sk_buff *skb, int hooked)
{
	if (!hooked)
		entry_found();
	entry_set(skb, 0xffff, 0, hooked ? ENTRY_MISSED : ENTRY_FOUND);
}

/* Is it such a packet? Of one with the key; takes its entry. */
static __always_inline int entry_forwarded(volatile struct __sk_buff *skb)
{
	const __u32 how = skb->cb[4];

	if (skb->cb[2] != ENTRY_FORWARDED || how < ENTRY_FOUND)
		return 0;
	if (how == ENTRY_MISSED)
		entry_found();
	skb->cb[0] = 0;
	return 1;
}

/* No hook will consume the entry. */
static __always_inline void entry_forget(volatile struct __sk_buff *skb)
{
	skb->cb[0] = 0;
}

/*
 * Number an inbound packet that waits in the queue to be received, so that the bulk path knows
 * whether it is still there.
 */
static __always_inline void entry_wait(volatile struct __sk_buff *skb)
{
	struct bulk_state *pass = bulk_state();

	if (!pass)
		return;
	pass->sent = pass->sent % ENTRY_NUMBERS + 1;
	skb->cb[2] |= pass->sent << ENTRY_NUMBER;
}

static __always_inline void entry_met(__u32 number)
{
	struct bulk_state *pass = bulk_state();

	if (pass)
		pass->met = number;
}

/* Bytes up to the payload of a GSO packet without extension headers, as lib/ makes them. */
static __always_inline __u32 large_head(struct __sk_buff *skb, __u32 link_len)
{
	__u32 head = link_len + sizeof(struct packet_ip4);
	__u8 ip[10] = {}, proto, offset = 2 << 4; /* UDP's header, in words */

	skb_load(skb, link_len, ip, sizeof(ip));
	proto = ip[offsetof(struct packet_ip4, proto)];
	if (ip[0] >> 4 == 6) {
		head = link_len + sizeof(struct packet_ip6);
		proto = ip[offsetof(struct packet_ip6, next)];
	}
	if (proto == PROTO_TCP)
		skb_load(skb, head + 12, &offset, sizeof(offset));
	return head + (offset >> 4) * 4;
}

/* How many segments the GSO packet, made by lib/inject/gro.c, will be split into. */
static __always_inline __u32 entry_segments(struct __sk_buff *skb, __u32 link_len)
{
	__u32 gso_size = skb->gso_size, head = large_head(skb, link_len);

	return gso_size ? (skb->len - head + gso_size - 1) / gso_size : 1;
}

/* A reinjected packet, as its hook sees it. */
struct entry {
	__u32 tag;
	__u32 recv_ifindex; /* of an outbound packet */
	__u32 stats;	    /* index of the sender's counters */
	__u32 n;	    /* how many packets it counts as */
	__u32 owner;	    /* of an outbound packet */
	int ipsec;	    /* inbound: it came through IPsec */
};

/*
 * Was the packet reinjected: ENTRY_REINJECTED, ENTRY_ALONE, ENTRY_IN, or 0? Packets of other
 * namespaces, and what the stack leaves in cb[], lack the key.
 */
static __always_inline __u32 entry_kind(volatile struct __sk_buff *skb)
{
	if (skb->cb[0] != entry_key[0] || skb->cb[1] != entry_key[1])
		return 0;
	return skb->cb[2] & ENTRY_IN;
}

/*
 * The same, and take the entry: it is wiped and counts once. Inlined, because a call would cost the
 * verifier a fifth more steps.
 */
static __always_inline int entry_take(volatile struct __sk_buff *skb, struct entry *e, int out)
{
	__u32 entry, number = skb->cb[2] >> ENTRY_NUMBER;

	if (skb->cb[0] != entry_key[0] || skb->cb[1] != entry_key[1])
		return 0;
	entry = skb->cb[2] & (ENTRY_REINJECTED | ENTRY_ALONE);
	if (!entry)
		return 0;
	e->tag = skb->cb[2] & 0xffff;
	if (out) {
		e->owner = number;
	} else {
		e->ipsec = !!(skb->cb[2] & ENTRY_IPSEC);
		if (number & ENTRY_NUMBERS)
			entry_met(number & ENTRY_NUMBERS);
	}
	e->recv_ifindex = skb->cb[3];
	e->stats = skb->cb[4];
	e->n = skb->cb[2] & ENTRY_JOINED ? entry_segments((void *)skb, skb_link_len((void *)skb))
					 : 1;
	/* a packet that was written and not counted here was lost on the way: see DIVERT_N_LOST */
	if (entry == ENTRY_REINJECTED)
		count_late(e->stats, DIVERT_N_ENTERED, e->n);
	skb->cb[0] = 0;
	skb->cb[1] = 0;
	skb->cb[2] = 0;
	skb->cb[3] = 0;
	return entry;
}

/*
 * A packet of BPF_PROG_TEST_RUN cannot have a route. It counts as routed if it carries the key,
 * which gives it no other right. Only called for packets without a route.
 */
static __always_inline int entry_routed(struct __sk_buff *skb)
{
	return skb->cb[0] == entry_key[0] && skb->cb[1] == entry_key[1];
}

/*
 * A packet whose link header is not this interface's, as programs write them, looks like
 * PACKET_OTHERHOST. Get its type PACKET_... from its destination.
 */
static __always_inline __u32 entry_type(struct __sk_buff *skb, int version, __u32 link_len,
					struct net_device *dev)
{
	__u32 at = link_len + (version == 4 ? offsetof(struct packet_ip4, dst)
					    : offsetof(struct packet_ip6, dst));
	union {
		__u8 byte[4];
		__be32 word;
	} dst = {};

	skb_load(skb, at, &dst, sizeof(dst));
	if (version == 6)
		return dst.byte[0] == 0xff ? PACKET_MULTICAST : PACKET_HOST;
	if (dst.byte[0] >> 4 == 14)
		return PACKET_MULTICAST;
	if (dst.word == ~0u || (dst.byte[3] & 1 && dev_broadcast(dev, dst.word)))
		return PACKET_BROADCAST;
	return PACKET_HOST;
}

static __always_inline void set_type(struct __sk_buff *skb, int version)
{
	__u32 type = entry_type(skb, version, skb_link_len(skb), READ(skb_of(skb), dev));

	if (skb->pkt_type != type)
		bpf_skb_change_type(skb, type);
}

/*
 * The count of reinjections travels with the packet, so that no program can make it loop for ever.
 */
static __always_inline void hops_set(struct __sk_buff *skb, __u8 hops)
{
	skb->tc_index = hops_sign() | hops;
}

/*
 * ---- on the bulk path (bulk.bpf.c) ----
 *
 * Is the packet one of the bulk frames on their way here? Takes its entry: true once per frame.
 */
static __always_inline int bulk_take(struct __sk_buff *skb, struct entry *e)
{
	struct bulk_mac *from = (void *)(long)skb->data + ETH_ALEN;
	struct bulk_state *pass;
	__u32 place;

	if ((void *)(from + 1) > (void *)(long)skb->data_end || from->sign != BULK_SIGN)
		return 0;
	place = from->place;
	pass = bulk_state();
	if (!pass || place >= DIVERT_BULK_LIST || from->key != pass->key ||
	    !pass->slot[place].there)
		return 0;
	pass->slot[place].there = 0;
	e->tag = pass->slot[place].tag;
	e->stats = pass->slot[place].stats;
	e->n = 1;
	skb->mark = pass->slot[place].mark;
	hops_set(skb, pass->slot[place].hops);
	if (pass->slot[place].hashed)
		bpf_set_hash(skb, pass->slot[place].hash);
	bpf_skb_store_bytes(skb, ETH_ALEN, pass->slot[place].source, ETH_ALEN, 0);
	count_late(e->stats, DIVERT_N_ENTERED, 1);
	return 1;
}

#endif
