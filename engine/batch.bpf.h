/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many packets written in one frame: each in turn is put into its place and a clone of it is sent in.
 * What a packet costs on its way back is then shared by many: the call, the walk to lo's hook, the
 * softirq.
 */
#ifndef DIVERT_ENGINE_BATCH_BPF_H
#define DIVERT_ENGINE_BATCH_BPF_H

#include "back.bpf.h"

struct batch_bytes {
	__u8 byte[DIVERT_BATCH_ROOM +
		  DIVERT_BATCH_PACKET]; /* of records; the last may begin anywhere in ROOM */
};

/* The processor's own, as the stack has no room. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct batch_bytes);
} batches SEC(".maps");

/* Of a packet socket: the batch with a number that came last, and how many of its packets are written. */
struct batch_written {
	__u32 number;
	__u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct batch_written);
} batch_written SEC(".maps");

struct batch {
	struct __sk_buff *skb;
	__u32 stats;
	__u32 at, end; /* of the records */
	__u32 n, done;
	__u32 skip;    /* of done: before this frame */
	__u32 ifindex; /* the last that was looked at: it is there, up, and has a link header */
	__u32 error, cause;
	__u16 numbered, guess;
	__u32 failed; /* one of a numbered batch */
};

static __always_inline int batch_iface(struct batch *b, __u32 ifindex)
{
	struct net_device *dev;

	if (ifindex == b->ifindex)
		return 0;
	dev = skb_find_dev(b->skb, ifindex);
	b->cause = b->guess ? DIVERT_N_CAUSES : DIVERT_N_NO_INTERFACE;
	if (!dev)
		return ENXIO;
	b->cause = DIVERT_N_IF_DOWN;
	if (!(READ(AS(net_device, dev), flags) & IFF_UP_BIT))
		return ENETDOWN;
	/* no loss: it is to come on its own; where it cannot, its interface is another than it was */
	b->cause = b->numbered ? DIVERT_N_NO_INTERFACE : DIVERT_N_CAUSES;
	if (!has_link_header(dev))
		return EPROTOTYPE;
	b->ifindex = ifindex;
	return 0;
}

/* 0, or an errno. */
static __always_inline int batch_one(struct batch *b, struct divert_batched *r, __u32 len)
{
	struct divert_back back = r->back;
	struct __sk_buff *skb = b->skb;
	__u32 last;
	int rc;

	b->cause = DIVERT_N_BAD_FRAME;
	if (back.flags &
	    (DIVERT_BACK_OUT | DIVERT_BACK_COUNT | DIVERT_BACK_QUERY | DIVERT_BACK_SET))
		return EINVAL;
	b->cause = DIVERT_N_LOOP;
	if (back.hops > DIVERT_HOPS_MAX)
		return ELOOP;
	b->guess = back.flags & DIVERT_BACK_GUESS;
	rc = batch_iface(b, back.ifindex);
	if (rc)
		return rc;
	b->cause = DIVERT_N_BAD_FRAME;
	__builtin_memset(&r->back, 0, sizeof(r->back));
	len += ETH_HLEN;
	if (skb->len != len && bpf_skb_change_tail(skb, len, 0))
		return ENOBUFS;
	last = (len - 1) & (DIVERT_BATCH_PACKET - 1);
	__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */
	if (last >= DIVERT_BATCH_PACKET || bpf_skb_store_bytes(skb, 0, &r->back, last + 1, 0))
		return ENOBUFS;
	count(b->stats, DIVERT_N_WRITTEN_IN);
	entry_set(skb, back.tag, back.ifindex, b->stats);
	hops_set(skb, &back);
	skb->mark = back.mark;
	return 0;
}

static long batch_step(__u32 i, struct batch *b)
{
	struct batch_bytes *bytes;
	struct divert_batched *r;
	__u32 zero = 0, len;

	bytes = bpf_map_lookup_elem(&batches, &zero);
	if (!bytes)
		return 1;
	r = (void *)&bytes->byte[b->at & (DIVERT_BATCH_ROOM - 1)];
	len = r->len;
	b->error = EINVAL;
	b->cause = DIVERT_N_BAD_FRAME;
	if (len < sizeof(struct packet_ip4) || len > DIVERT_BATCH_PACKET - sizeof(*r) ||
	    b->at + sizeof(*r) + len > b->end)
		return 1;
	b->at += sizeof(*r) + len;
	if (i >= b->skip) {
		b->error = batch_one(b, r, len);
		if (b->error && !b->numbered)
			return 1;
		if (b->error) {
			count(b->stats, b->cause);
			b->failed = 1;
		} else if (i + 1 < b->n) /* the last one goes as the frame itself */
			bpf_clone_redirect(b->skb, b->ifindex, BPF_F_INGRESS);
		b->done = i + 1;
	}
	return i + 1 >= b->n;
}

/* noinline: for its stack. */
static __noinline int back_batch(struct __sk_buff *skb, const struct divert_back *back)
{
	struct batch b = {
		.skb = skb,
		.stats = back_stats(skb),
		.n = back->tag,
		.numbered = back->ifindex != 0,
	};
	__u32 zero = 0, last = skb->len - ETH_HLEN - 1;
	struct batch_bytes *bytes = bpf_map_lookup_elem(&batches, &zero);
	struct batch_written *written = NULL;
	struct bpf_sock *sk = skb->sk;

	if (!bytes || b.n > DIVERT_BATCH_MAX)
		return back_refuse(skb, DIVERT_N_BAD_FRAME, EINVAL);
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk && b.numbered)
		written = bpf_sk_storage_get(&batch_written, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (b.numbered && !written)
		return back_refuse(skb, DIVERT_N_BAD_FRAME, ENOMEM);
	if (written && written->number == back->ifindex)
		b.skip = b.done = written->n;
	if (b.skip >= b.n)
		return TC_ACT_STOLEN;
	__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */
	if (last >= DIVERT_BATCH_ROOM || bpf_skb_load_bytes(skb, ETH_HLEN, bytes, last + 1))
		return back_refuse(skb, DIVERT_N_BAD_FRAME, EINVAL);
	b.end = last + 1;
	skb->priority = 0;
	bpf_loop(DIVERT_BATCH_MAX, batch_step, &b, 0);
	if (written) {
		written->number = back->ifindex;
		written->n = b.done;
	}
	if (!b.error && b.done == b.n && !b.failed)
		return bpf_redirect(b.ifindex, BPF_F_INGRESS);
	if (b.numbered) {
		if (!b.error && b.done == b.n)
			bpf_clone_redirect(skb, b.ifindex, BPF_F_INGRESS);
		return TC_ACT_SHOT;
	}
	if (b.cause < DIVERT_N_CAUSES)
		count(b.stats, b.cause);
	return back_answer(skb, b.done << 16 | b.error);
}

#endif
