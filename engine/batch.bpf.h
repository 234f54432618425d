/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many packets written in one frame: each in turn is put into its place and a clone of it is sent in.
 * What a packet costs on its way back is then shared by many: the call, the walk to lo's hook, the
 * softirq.
 */
#ifndef DIVERT_ENGINE_BATCH_BPF_H
#define DIVERT_ENGINE_BATCH_BPF_H

#include "back.bpf.h"

/* The processor's own, as the stack has no room. A hook that runs within this one does not touch it. */
struct batch_desk {
	__u32 stats;
	__u32 ifindex; /* of the way in: the last that was looked at: there, up, with a link header */
	__u32 oif;     /* of the way out: the last that has Ethernet's */
	__u32 cause;   /* why a packet was refused: counted in numbered batches */
	int verdict;   /* for the frame, which is the last packet by then */
	__u32 by_port; /* do routes mind ports? */
	/* the look-up that found a neighbour last in this frame: what was asked and answered; ifindex 0: none */
	struct bpf_fib_lookup asked, way;
	__u8 byte[DIVERT_BATCH_ROOM +
		  DIVERT_BATCH_PACKET]; /* records; the last may begin anywhere in ROOM */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY); /* by processor: the kernel's own kind ends at 32 KiB */
	__uint(max_entries, 1);		  /* as many as there are: see engine/load.c */
	__type(key, __u32);
	__type(value, struct batch_desk);
} batches SEC(".maps");

static __always_inline struct batch_desk *batch_desk(void)
{
	__u32 processor = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&batches, &processor);
}

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

#define BATCH_HEAD (ETH_HLEN + DIVERT_BATCH_BLANK)

/* Of a frame, or of one of its packets. */
enum batch_how {
	BATCH_LAST = 1 << 0,	 /* it goes as the frame itself */
	BATCH_NUMBERED = 1 << 1, /* what cannot be written is lost */
};

static __always_inline int batch_iface(struct __sk_buff *skb, struct batch_desk *d,
				       const struct divert_back *back)
{
	struct net_device *dev;

	if (back->ifindex == d->ifindex)
		return 0;
	dev = skb_find_dev(skb, back->ifindex);
	d->cause = DIVERT_N_NO_INTERFACE;
	if (!dev)
		return ENXIO;
	d->cause = DIVERT_N_IF_DOWN;
	if (!(READ(AS(net_device, dev), flags) & IFF_UP_BIT))
		return ENETDOWN;
	d->cause =
		DIVERT_N_NO_INTERFACE; /* another than it was when the packet was put into the batch */
	if (!has_link_header(dev))
		return EPROTOTYPE;
	d->ifindex = back->ifindex;
	return 0;
}

/* The frame becomes this packet. 0, or an errno. */
static __always_inline int batch_place(struct __sk_buff *skb, struct divert_batched *r, __u32 len)
{
	__u32 last;

	__builtin_memset(&r->back, 0, sizeof(r->back));
	len += ETH_HLEN;
	if (skb->len != len && bpf_skb_change_tail(skb, len, 0))
		return ENOBUFS;
	last = (len - 1) & (DIVERT_BATCH_PACKET - 1);
	__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */
	if (last >= DIVERT_BATCH_PACKET || bpf_skb_store_bytes(skb, 0, &r->back, last + 1, 0))
		return ENOBUFS;
	return 0;
}

static __always_inline int batch_in(struct __sk_buff *skb, struct batch_desk *d,
				    struct divert_batched *r, const struct divert_back *back,
				    __u32 len, __u32 how)
{
	int rc = batch_iface(skb, d, back);

	if (rc)
		return rc;
	d->cause = DIVERT_N_BAD_FRAME;
	rc = batch_place(skb, r, len);
	if (rc)
		return rc;
	count(d->stats, DIVERT_N_WRITTEN_IN);
	entry_set(skb, back->tag, back->ifindex, d->stats);
	entry_wait(skb);
	hops_set(skb, back->hops);
	skb->mark = back->mark;
	if (how & BATCH_LAST)
		d->verdict = bpf_redirect(back->ifindex, BPF_F_INGRESS);
	else
		bpf_clone_redirect(skb, back->ifindex, BPF_F_INGRESS);
	return 0;
}

static __always_inline int same_question(const struct bpf_fib_lookup *a,
					 const struct bpf_fib_lookup *b)
{
	const __u32 *x = (const void *)a, *y = (const void *)b;
	__u32 i, other = 0;

	for (i = 0; i < sizeof(*a) / sizeof(*x); i++)
		other |= x[i] ^ y[i];
	return !other;
}

/* The way out, as back_way(): packets to one destination follow one another, and ask once. */
static __always_inline int batch_way(struct pass *p, struct batch_desk *d,
				     struct bpf_fib_lookup *fib, const struct divert_back *back,
				     __u32 len)
{
	int rc;

	back_ask(p, fib, d->by_port);
	if (d->way.ifindex && len <= d->way.mtu_result && same_question(fib, &d->asked)) {
		*fib = d->way;
		return BPF_FIB_LKUP_RET_SUCCESS;
	}
	d->asked = *fib;
	__builtin_memset(fib, 0, sizeof(*fib));
	rc = back_way(p, fib, back, len);
	d->way = *fib;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS)
		d->way.ifindex = 0;
	return rc;
}

/* noinline: for the stack of back_route() */
static __noinline int batch_out(struct __sk_buff *skb, struct batch_desk *d,
				const struct divert_back *back, __u32 how)
{
	struct bpf_redir_neigh next = {};
	struct bpf_fib_lookup fib = {};
	struct pass p = {.skb = skb, .desk = desk()};
	struct net_device *dev;
	struct ethhdr *eth;
	__u32 len;
	int rc, good;

	if (!p.desk)
		return EINVAL;
	skb->mark = back->mark;
	len = p.desk->shape.len;
	rc = batch_way(&p, d, &fib, back, len);
	good = rc == BPF_FIB_LKUP_RET_SUCCESS || rc == BPF_FIB_LKUP_RET_NO_NEIGH;
	if (!good && !(how & BATCH_NUMBERED))
		return EHOSTUNREACH; /* it is to come on its own, and be told why */
	if (good && how & BATCH_LAST) {
		next.nh_family = fib.family;
		__builtin_memcpy(next.ipv6_nh, fib.ipv6_dst, sizeof(next.ipv6_nh));
		d->verdict = back_leave(skb, back, fib.ifindex, &next, d->stats);
		return 0;
	}
	if (rc == BPF_FIB_LKUP_RET_SUCCESS && fib.ifindex != d->oif) {
		dev = skb_find_dev(skb, fib.ifindex);
		d->oif = dev && is_ethernet(dev) ? fib.ifindex : 0;
	}
	if (rc != BPF_FIB_LKUP_RET_SUCCESS || !d->oif) {
		back_alone(skb, back, d->stats);
		return 0;
	}
	/*
	 * The neighbour is known, and nothing is asked of it; that its address is looked after is
	 * for the last packet of each batch, which goes to it by way of the stack. The frame is no clone's
	 * any more: batch_place() has written to it.
	 */
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return ENOBUFS;
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	count(d->stats, DIVERT_N_WRITTEN_OUT);
	entry_set(skb, back->tag, back->ifindex, d->stats);
	hops_set(skb, back->hops);
	bpf_clone_redirect(skb, fib.ifindex, 0);
	return 0;
}

/* Send the packet of the record at this place. 0, or an errno. Not static: see struct desk. */
__noinline int batch_write(struct __sk_buff *skb, __u32 at, __u32 how)
{
	struct batch_desk *d = batch_desk();
	struct divert_batched *r;
	struct divert_back back;
	struct desk *known;
	__u32 len;
	int rc, version;

	__asm__ volatile("" : "+r"(at));
	if (!d || at >= DIVERT_BATCH_ROOM)
		return EINVAL;
	r = (void *)&d->byte[at];
	back = r->back;
	len = r->len;
	d->cause = DIVERT_N_BAD_FRAME;
	if (len < sizeof(struct packet_ip4) || len > DIVERT_BATCH_PACKET - sizeof(*r) ||
	    back.flags & ~(DIVERT_BACK_FRAME | DIVERT_BACK_OUT | DIVERT_BACK_GUESS))
		return EINVAL;
	d->cause = DIVERT_N_LOOP;
	if (back.hops > DIVERT_HOPS_MAX)
		return ELOOP;
	if (!(back.flags & DIVERT_BACK_OUT))
		return batch_in(skb, d, r, &back, len, how);
	version = r->protocol == bpf_htons(ETH_P_IPV6) ? 6 : 4;
	d->cause = DIVERT_N_BAD_FRAME;
	rc = batch_place(skb, r, len);
	if (rc)
		return rc;
	known = desk_begin();
	if (!known)
		return EINVAL;
	known->link_len = ETH_HLEN;
	if (desk_read(skb, version) < 0)
		return EINVAL;
	return batch_out(skb, d, &back, how);
}

struct batch {
	struct __sk_buff *skb;
	__u32 at, end; /* of the records */
	__u32 n, done;
	__u32 skip; /* of done: before this frame */
	__u32 error;
	__u32 failed; /* one of a numbered batch */
	__u32 how;
};

static __always_inline void batch_count(const struct batch_desk *d)
{
	__u32 cause = d->cause;

	__asm__ volatile("" : "+r"(cause)); /* what is checked is what is used */
	if (cause < DIVERT_N_CAUSES)
		count(d->stats, cause);
}

static long batch_step(__u32 i, struct batch *b)
{
	struct batch_desk *d = batch_desk();
	struct divert_batched *r;
	__u32 at = b->at, how = b->how, len;

	__asm__ volatile("" : "+r"(at)); /* what is checked is what is used */
	if (!d || at >= DIVERT_BATCH_ROOM)
		return 1;
	r = (void *)&d->byte[at];
	len = r->len;
	b->error = EINVAL;
	d->cause = DIVERT_N_BAD_FRAME;
	if (len > DIVERT_BATCH_PACKET || at + sizeof(*r) + len > b->end)
		return 1;
	b->at = at + sizeof(*r) + len;
	if (i >= b->skip) {
		if (i + 1 >= b->n)
			how |= BATCH_LAST;
		b->error = batch_write(b->skb, at, how);
		if (b->error && !(how & BATCH_NUMBERED))
			return 1;
		if (b->error) {
			batch_count(d);
			b->failed = 1;
		}
		b->done = i + 1;
	}
	return i + 1 >= b->n;
}

/* noinline: for its stack. */
static __noinline int back_batch(struct __sk_buff *skb, const struct divert_back *back)
{
	struct batch b = {.skb = skb, .n = back->tag};
	struct batch_written *written = NULL;
	__u32 last = skb->len - BATCH_HEAD - 1;
	struct batch_desk *d = batch_desk();
	struct bpf_sock *sk = skb->sk;

	if (!d || b.n > DIVERT_BATCH_MAX)
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (back->ifindex) {
		b.how = BATCH_NUMBERED;
		if (sk)
			written = bpf_sk_storage_get(&batch_written, sk, NULL,
						     BPF_SK_STORAGE_GET_F_CREATE);
		if (!written)
			return back_refuse(skb, back, DIVERT_N_BAD_FRAME, ENOMEM);
		if (written->number == back->ifindex)
			b.skip = b.done = written->n;
	}
	if (b.skip >= b.n)
		return TC_ACT_STOLEN;
	__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */
	if (last >= DIVERT_BATCH_ROOM || bpf_skb_load_bytes(skb, BATCH_HEAD, d->byte, last + 1))
		return back_refuse(skb, back, DIVERT_N_BAD_FRAME, EINVAL);
	b.end = last + 1;
	d->stats = back_stats(skb);
	d->ifindex = d->oif = d->way.ifindex = 0;
	d->by_port = routes_by_port(skb, skb->protocol == bpf_htons(ETH_P_IPV6) ? 6 : 4);
	d->verdict = TC_ACT_STOLEN;
	skb->priority = 0;
	bpf_loop(DIVERT_BATCH_MAX, batch_step, &b, 0);
	if (written) {
		written->number = back->ifindex;
		written->n = b.done;
	}
	if (!b.error && b.done == b.n && !b.failed)
		return d->verdict;
	if (written) /* a last one that is good needs the verdict; what failed before it, the next to find */
		return !b.error && b.done == b.n ? d->verdict : TC_ACT_SHOT;
	/* no loss: it is to come on its own, and is counted and told then */
	return back_answer(skb, b.done << 16 | b.error);
}

#endif
