/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reinjection frames on lo: their senders, their contents, and the inbound direction. */
#ifndef DIVERT_ENGINE_REINJECT_BPF_H
#define DIVERT_ENGINE_REINJECT_BPF_H

#include "deliver.bpf.h"
#include "entry.bpf.h"
#include "owner.bpf.h"

#define AF_PACKET 17

/* The divert socket that sent the frame, or NULL. */
static __always_inline const struct divert_sender *reinject_sender(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (skb->ifindex != LO_IFINDEX || !sk || sk->family != AF_PACKET)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&senders, sk, NULL, 0) : NULL;
}

/* Counters of the sender's port. While a frame is handled, skb->priority holds their index. */
static __always_inline __u32 reinject_stats(struct __sk_buff *skb)
{
	return skb->priority;
}

/* Refuse this frame: send() fails with ENOBUFS, and the library reads the reason from the map. */
static __always_inline int reinject_error(struct __sk_buff *skb, __u32 error)
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

static __always_inline int reinject_joined(const struct divert_reinject *reinject)
{
	return (reinject->flags & DIVERT_REINJECT_JOINED) == DIVERT_REINJECT_JOINED;
}

/* Refuse the packet and count a loss, unless it is a merged one: its segments are sent again. */
static __always_inline int reinject_refuse(struct __sk_buff *skb,
					   const struct divert_reinject *reinject,
					   enum divert_cause cause, __u32 error)
{
	if (!reinject_joined(reinject))
		count(reinject_stats(skb), cause);
	return reinject_error(skb, error);
}

/* Count a written packet; a merged one counts as its segments. Returns how many. */
static __always_inline __u32 reinject_count(struct __sk_buff *skb,
					    const struct divert_reinject *reinject,
					    enum divert_cause cause, __u32 stats)
{
	__u32 n = reinject_joined(reinject) ? entry_segments(skb, ETH_HLEN) : 1;

	count_many(stats, cause, n);
	if (reinject_joined(reinject))
		count_many(stats, DIVERT_N_JOINED, n);
	return n;
}

/* Mark the packet for the hook that it will meet: reinjected, and received on this interface. */
static __always_inline void reinject_tell(struct __sk_buff *skb,
					  const struct divert_reinject *reinject,
					  __u32 recv_ifindex, __u32 stats)
{
	entry_set(skb, reinject->tag, recv_ifindex, stats);
	if (reinject_joined(reinject))
		skb->cb[2] |= ENTRY_JOINED;
}

/* Pass on the owner of an outbound packet. */
static __always_inline void reinject_own(volatile struct __sk_buff *skb,
					 const struct divert_reinject *reinject)
{
	if (reinject->meta & DIVERT_META_OWNER)
		skb->cb[2] |= owner_number(reinject->uid, reinject->gid) << ENTRY_NUMBER;
}

/* The packet leaves. On an interface without a hook no rule is ahead of it any more. */
static __always_inline void reinject_enter_out(struct __sk_buff *skb,
					       const struct divert_reinject *reinject, int hooked,
					       __u32 stats)
{
	__u32 n = reinject_count(skb, reinject, DIVERT_N_WRITTEN_OUT, stats);

	if (hooked) {
		reinject_tell(skb, reinject, reinject->ifindex, stats);
		reinject_own(skb, reinject);
	} else {
		entry_forget(skb);
		count_many(stats, DIVERT_N_ENTERED, n);
	}
	hops_set(skb, reinject->hops);
	skb->priority = reinject->priority;
}

/*
 * The interface is gone. With GUESS that is no loss yet: the library may find another one, by the
 * same name or by the routes.
 */
static __always_inline int reinject_gone(struct __sk_buff *skb,
					 const struct divert_reinject *reinject)
{
	if (reinject->flags & DIVERT_REINJECT_GUESS)
		return reinject_error(skb, ENXIO);
	return reinject_refuse(skb, reinject, DIVERT_N_NO_INTERFACE, ENXIO);
}

/* Wake the process that sleeps on the ring, by a discarded record. */
static __always_inline int reinject_wake(__u32 slot)
{
	void *record, *ring = bpf_map_lookup_elem(&sockets, &slot);

	record = ring ? bpf_ringbuf_reserve(ring, 8, 0) : NULL;
	if (record) /* if full, the reader is not asleep */
		bpf_ringbuf_discard(record, BPF_RB_FORCE_WAKEUP);
	return TC_ACT_STOLEN;
}

/* The sender's storage for a header that is sent ahead; or NULL. */
static __always_inline struct divert_ahead *reinject_ahead(struct __sk_buff *skb, __u64 flags)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&ahead, sk, NULL, flags) : NULL;
}

static __always_inline int reinject_set_ahead(struct __sk_buff *skb,
					      const struct divert_reinject *reinject)
{
	struct divert_ahead *a = reinject_ahead(skb, BPF_SK_STORAGE_GET_F_CREATE);

	if (!a || bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(*reinject), a, sizeof(*a)))
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	return TC_ACT_STOLEN;
}

/* Apply a setting that the library sends for its own socket: enum divert_set. */
static __always_inline int reinject_set(struct __sk_buff *skb,
					const struct divert_reinject *reinject,
					const struct divert_sender *sender)
{
	__u32 key = sender->key, slot = sender->engine ? reinject->ifindex : sender->slot, error;
	struct divert_socket *conf;
	struct divert_port *port;

	if (reinject->tag == DIVERT_SET_AHEAD)
		return reinject_set_ahead(skb, reinject);
	if (!key && !sender->engine)
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, ENOENT);
	if (reinject->tag == DIVERT_SET_BYPASS) {
		port = bpf_map_lookup_elem(&ports, &key);
		if (!port)
			return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, ENOENT);
		if (reinject->mark)
			port->flags |= DIVERT_PORT_BYPASS;
		else
			port->flags &= ~DIVERT_PORT_BYPASS;
		return TC_ACT_STOLEN;
	}
	if (reinject->tag == DIVERT_SET_WAKE)
		return reinject_wake(slot);
	if (reinject->tag == DIVERT_SET_RELEASE) {
		error = release_set(skb, ETH_HLEN + sizeof(*reinject), key, reinject->mark);
		return error ? reinject_error(skb, error) : TC_ACT_STOLEN;
	}
	conf = bpf_map_lookup_elem(&socket_conf, &slot);
	if (!conf)
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, ENOENT);
	if (reinject->tag == DIVERT_SET_FLAGS)
		conf->flags = reinject->mark;
	else if (reinject->tag == DIVERT_SET_LIMIT)
		conf->limit = reinject->mark;
	else
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	return TC_ACT_STOLEN;
}

/*
 * Send a copy of the packet out over lo again, on its own. Only a packet that leaves by a program's
 * verdict can wait for a neighbour; a clone cannot. Its fate is not reported; a loss is counted.
 */
static __always_inline void reinject_alone(struct __sk_buff *skb,
					   const struct divert_reinject *reinject, __u32 stats)
{
	entry_set(skb, reinject->tag, reinject->ifindex, stats);
	skb->cb[2] = ENTRY_ALONE | reinject->tag;
	reinject_own(skb, reinject);
	hops_set(skb, reinject->hops);
	skb->priority = reinject->priority;
	bpf_clone_redirect(skb, LO_IFINDEX, 0);
	skb->priority = stats;
}

/* Give the frame the packet's hash; the frame may have been another packet before. */
static __always_inline void reinject_hash(struct __sk_buff *skb,
					  const struct divert_reinject *reinject)
{
	if (reinject->meta & DIVERT_META_HASH)
		bpf_set_hash(skb, reinject->hash);
	else if (skb->hash)
		bpf_set_hash_invalid(skb);
}

/*
 * Prepare an inbound packet. It goes to its interface or, if that has no hook, over lo again on its
 * own to stack_enter(). Returns the interface, and the flags for bpf_redirect().
 */
static __always_inline __u32 reinject_enter_in(struct __sk_buff *skb,
					       const struct divert_reinject *reinject, int hooked,
					       __u32 stats, __u64 *flags)
{
	reinject_tell(skb, reinject, reinject->ifindex, stats);
	if (reinject->meta & DIVERT_META_IPSEC)
		skb->cb[2] |= ENTRY_IPSEC;
	if (hooked)
		entry_wait(skb);
	else
		skb->cb[2] |= ENTRY_IN;
	hops_set(skb, reinject->hops);
	reinject_hash(skb, reinject);
	skb->mark = reinject->mark;
	*flags = hooked ? BPF_F_INGRESS : 0;
	return hooked ? reinject->ifindex : LO_IFINDEX;
}

static __always_inline int reinject_in(struct __sk_buff *skb,
				       const struct divert_reinject *reinject)
{
	struct net_device *dev = skb_find_dev(skb, reinject->ifindex);
	const __u32 stats = reinject_stats(skb);
	__u32 to;
	__u64 flags;

	if (!dev)
		return reinject_gone(skb, reinject);
	if (!dev_is_up(dev))
		return reinject_refuse(skb, reinject, DIVERT_N_IF_DOWN, ENETDOWN);
	reinject_count(skb, reinject, DIVERT_N_WRITTEN_IN, stats);
	to = reinject_enter_in(skb, reinject, is_hooked(reinject->ifindex, DIVERT_IFACE_IN), stats,
			       &flags);
	skb->priority = reinject->priority;
	return bpf_redirect(to, flags);
}

/*
 * Get the header of a packet that leaves no room for it in its frame, and restore the link header.
 * 0, or -1.
 */
static __noinline int reinject_long(struct __sk_buff *skb, struct divert_reinject *reinject)
{
	struct divert_ahead *a = reinject_ahead(skb, 0);
	struct divert_long head;

	if (!a || !reinject || skb_load(skb, 0, &head, sizeof(head)) || head.number != a->number)
		return -1;
	*reinject = a->reinject;
	return bpf_skb_store_bytes(skb, 0, a->link, sizeof(a->link), 0) ? -1 : 0;
}

#define REINJECT_LONG  1 /* the packet has no header to remove */
#define REINJECT_AGAIN 2 /* the header sent ahead belongs to another packet */

/* Read the header of the frame; -1: the library did not make it. */
static __always_inline int reinject_header(struct __sk_buff *skb, struct divert_reinject *reinject)
{
	if (skb_load(skb, ETH_HLEN, reinject, sizeof(*reinject))) {
		__builtin_memset(reinject, 0, sizeof(*reinject));
		return -1;
	}
	if (reinject->version)
		return reinject_long(skb, reinject) ? REINJECT_AGAIN : REINJECT_LONG;
	return reinject->next != DIVERT_REINJECT_NEXT ? -1 : 0;
}

/*
 * Remove the header, so that the packet follows its link header. 0; -1: it is too short to be a
 * packet.
 */
static __always_inline int reinject_unwrap(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -(int)sizeof(struct divert_reinject), BPF_ADJ_ROOM_MAC,
				   BPF_F_ADJ_ROOM_FIXED_GSO)
		       ? -1
		       : 0;
}

#endif
