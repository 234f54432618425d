/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Batches: many packets in one frame. Each packet in turn is copied into the frame and a clone of
 * it is sent. All packets then share the cost of the system call, of the path to lo's hook and of
 * the softirq.
 */
#ifndef DIVERT_ENGINE_BATCH_BPF_H
#define DIVERT_ENGINE_BATCH_BPF_H

#include "reinject_out.bpf.h"

/*
 * Per CPU, because it is too large for the stack. A hook that runs inside this one does not touch
 * it.
 */
struct batch_context {
	__u32 stats;
	__u32 ifindex; /* inbound: the last interface that was checked: it exists and is up */
	__u32 hooked_in;
	__u32 out; /* outbound: the last interface that was checked */
	__u32 hooked_out;
	__u32 oif;     /* outbound: the last interface that is Ethernet */
	__u32 cause;   /* why a packet was refused; counted in numbered batches */
	int verdict;   /* for the frame, which has become the last packet by then */
	__u32 by_port; /* do routes depend on ports? */
	/*
	 * the last FIB lookup of this frame that found a neighbour, and its result; ifindex 0: none
	 */
	struct bpf_fib_lookup asked, meta;
	struct bpf_redir_neigh next; /* for the last packet; here to save stack */
	__u8 byte[DIVERT_BATCH_ROOM +
		  DIVERT_BATCH_PACKET]; /* records; the last may begin anywhere in ROOM */
};

struct {
	__uint(type,
	       BPF_MAP_TYPE_ARRAY); /* indexed by CPU: values of a per-CPU map end at 32 KiB */
	__uint(max_entries, 1);	    /* set to the number of CPUs: see engine/load.c */
	__type(key, __u32);
	__type(value, struct batch_context);
} batches SEC(".maps");

static __always_inline struct batch_context *batch_context(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&batches, &cpu);
}

/* Per packet socket: its last numbered batch, and how many packets of it are written. */
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

#define BATCH_HEAD (ETH_HLEN + sizeof(struct divert_reinject))

/* Flags of a frame, or of one of its packets. */
enum batch_how {
	BATCH_LAST = 1 << 0,	 /* the frame itself becomes this packet */
	BATCH_NUMBERED = 1 << 1, /* a packet that cannot be written is lost */
	BATCH_FAILED = 1 << 2,	 /* a packet of a numbered batch failed */
};

static __always_inline int batch_iface(struct __sk_buff *skb, struct batch_context *d,
				       const struct divert_reinject *reinject)
{
	struct net_device *dev;

	if (reinject->ifindex == d->ifindex)
		return 0;
	dev = skb_find_dev(skb, reinject->ifindex);
	d->cause = DIVERT_N_NO_INTERFACE;
	if (!dev)
		return ENXIO;
	d->cause = DIVERT_N_IF_DOWN;
	if (!dev_is_up(dev))
		return ENETDOWN;
	d->ifindex = reinject->ifindex;
	d->hooked_in = is_hooked(reinject->ifindex, DIVERT_IFACE_IN);
	return 0;
}

/* Send an outbound packet to this interface. */
static __always_inline void batch_enter_out(struct __sk_buff *skb, struct batch_context *d,
					    const struct divert_reinject *reinject, __u32 ifindex)
{
	if (ifindex != d->out) {
		d->out = ifindex;
		d->hooked_out = is_hooked(ifindex, DIVERT_IFACE_OUT);
	}
	reinject_enter_out(skb, reinject, d->hooked_out, d->stats);
}

/* Turn the frame into this packet. 0, or an errno. */
static __always_inline int batch_place(struct __sk_buff *skb, struct divert_batched *r, __u32 len)
{
	__u32 last;

	len += ETH_HLEN;
	if (skb->len != len && bpf_skb_change_tail(skb, len, 0))
		return ENOBUFS;
	last = (len - 1) & (DIVERT_BATCH_PACKET - 1);
	__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */
	if (last >= DIVERT_BATCH_PACKET || bpf_skb_store_bytes(skb, 0, r->link, last + 1, 0))
		return ENOBUFS;
	return 0;
}

static __always_inline int batch_in(struct __sk_buff *skb, struct batch_context *d,
				    struct divert_batched *r,
				    const struct divert_reinject *reinject, __u32 len, __u32 how)
{
	int rc = batch_iface(skb, d, reinject);
	__u64 flags;
	__u32 to;

	if (rc)
		return rc;
	d->cause = DIVERT_N_BAD_FRAME;
	rc = batch_place(skb, r, len);
	if (rc)
		return rc;
	count(d->stats, DIVERT_N_WRITTEN_IN);
	to = reinject_enter_in(skb, reinject, d->hooked_in, d->stats, &flags);
	if (how & BATCH_LAST)
		d->verdict = bpf_redirect(to, flags);
	else
		bpf_clone_redirect(skb, to, flags);
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

/* Route as reinject_fib(); consecutive packets to one destination share one lookup. */
static __always_inline int batch_fib(struct traversal *p, struct batch_context *d,
				     struct bpf_fib_lookup *fib,
				     const struct divert_reinject *reinject, __u32 len)
{
	int rc;

	reinject_ask(p, fib, d->by_port, reinject->oif);
	if (d->meta.ifindex && len <= d->meta.mtu_result && same_question(fib, &d->asked)) {
		*fib = d->meta;
		return BPF_FIB_LKUP_RET_SUCCESS;
	}
	d->asked = *fib;
	__builtin_memset(fib, 0, sizeof(*fib));
	rc = reinject_fib(p, fib, reinject, len);
	d->meta = *fib;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS)
		d->meta.ifindex = 0;
	return rc;
}

/*
 * Send the packet as a clone of the frame, with the link header that is in it. 0, or an errno. If
 * the queue is full the packet is lost and counted. Its sender is not told, because other packets
 * were written with it.
 */
static __always_inline int batch_clone(struct __sk_buff *skb, struct batch_context *d,
				       const struct divert_reinject *reinject, __u32 ifindex,
				       __u32 how)
{
	batch_enter_out(skb, d, reinject, ifindex);
	if (bpf_clone_redirect(skb, ifindex, 0) != NET_XMIT_DROP)
		return 0;
	d->cause = DIVERT_N_QUEUE_FULL;
	if (how & BATCH_NUMBERED)
		return ENOBUFS;
	count(d->stats, DIVERT_N_QUEUE_FULL);
	return 0;
}

/* noinline: for the stack of reinject_route() */
static __noinline int batch_out(struct __sk_buff *skb, struct batch_context *d,
				const struct divert_reinject *reinject, __u32 how)
{
	struct bpf_fib_lookup fib = {};
	struct traversal p = {.skb = skb, .context = context()};
	struct net_device *dev;
	struct ethhdr *eth;
	__u32 len;
	int rc, good;

	if (!p.context)
		return EINVAL;
	skb->mark = reinject->mark;
	len = p.context->shape.len;
	rc = batch_fib(&p, d, &fib, reinject, len);
	good = rc == BPF_FIB_LKUP_RET_SUCCESS || rc == BPF_FIB_LKUP_RET_NO_NEIGH;
	if (!good && !(how & BATCH_NUMBERED))
		return EHOSTUNREACH; /* sent again on its own, which tells the reason */
	if (good && how & BATCH_LAST) {
		d->next.nh_family = fib.family;
		__builtin_memcpy(d->next.ipv6_nh, fib.ipv6_dst, sizeof(d->next.ipv6_nh));
		d->verdict = reinject_leave(skb, reinject, fib.ifindex, &d->next, d->stats);
		return 0;
	}
	if (rc == BPF_FIB_LKUP_RET_SUCCESS && fib.ifindex != d->oif) {
		dev = skb_find_dev(skb, fib.ifindex);
		d->oif = dev && is_ethernet(dev) ? fib.ifindex : 0;
	}
	if (rc != BPF_FIB_LKUP_RET_SUCCESS || !d->oif) {
		reinject_alone(skb, reinject, d->stats);
		return 0;
	}
	/*
	 * The neighbour is resolved, so the link header is written here. The last packet of each
	 * batch goes through the stack, which keeps the neighbour entry fresh. The frame shares its
	 * bytes with no clone any more, because batch_place() wrote to it.
	 */
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return ENOBUFS;
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	return batch_clone(skb, d, reinject, fib.ifindex, how);
}

/* As batch_out(), on the packet's original path. */
static __noinline int batch_out_same(struct __sk_buff *skb, struct batch_context *d,
				     const struct divert_reinject *reinject, __u32 how)
{
	struct net_device *dev = reinject_same(skb, reinject);

	/*
	 * packets to this host, or to be routed on their interface only, are few: they go on their
	 * own
	 */
	if (!dev || reinject->oif == LO_IFINDEX || reinject->meta & DIVERT_META_IFACE ||
	    !reinject_short(skb, dev))
		return EAGAIN;
	skb->mark = reinject->mark;
	if (!(how & BATCH_LAST) || dev_has_queue(dev))
		return batch_clone(skb, d, reinject, reinject->oif, how);
	batch_enter_out(skb, d, reinject, reinject->oif);
	d->verdict = bpf_redirect(reinject->oif, 0);
	return 0;
}

/*
 * Send the packet of the record at this offset. 0, or an errno. Not static: see struct
 * packet_context.
 */
__noinline int batch_write(struct __sk_buff *skb, __u32 at, __u32 how)
{
	struct batch_context *d = batch_context();
	struct divert_batched *r;
	const struct divert_reinject *reinject;
	struct packet_context *known;
	__u32 len;
	int rc, version;

	__asm__ volatile("" : "+r"(at));
	if (!d || at >= DIVERT_BATCH_ROOM)
		return EINVAL;
	r = (void *)&d->byte[at];
	reinject = &r->reinject;
	len = r->len;
	d->cause = DIVERT_N_BAD_FRAME;
	if (len < sizeof(struct packet_ip4) || len > DIVERT_BATCH_PACKET - sizeof(*r) ||
	    reinject->flags &
		    ~(DIVERT_REINJECT_FRAME | DIVERT_REINJECT_OUT | DIVERT_REINJECT_GUESS))
		return EINVAL;
	d->cause = DIVERT_N_LOOP;
	if (reinject->hops > DIVERT_HOPS_MAX)
		return ELOOP;
	if (!(reinject->flags & DIVERT_REINJECT_OUT))
		return batch_in(skb, d, r, reinject, len, how);
	version = r->protocol == bpf_htons(ETH_P_IPV6) ? 6 : 4;
	d->cause = DIVERT_N_BAD_FRAME;
	rc = batch_place(skb, r, len);
	if (rc)
		return rc;
	rc = batch_out_same(skb, d, reinject, how);
	if (rc != EAGAIN)
		return rc;
	known = context_begin();
	if (!known)
		return EINVAL;
	known->link_len = ETH_HLEN;
	if (context_read(skb, version) < 0)
		return EINVAL;
	return batch_out(skb, d, reinject, how);
}

struct batch {
	struct __sk_buff *skb;
	__u32 at, end; /* range of the records */
	__u32 n, done; /* packets of the batch, and how many are done */
	__u32 skip;    /* how many of these before this frame */
	__u32 error;
	__u32 how; /* flags of the frame, enum batch_how */
};

static __always_inline void batch_count(const struct batch_context *d)
{
	__u32 cause = d->cause;

	__asm__ volatile("" : "+r"(cause)); /* use exactly the value we checked */
	if (cause < DIVERT_N_CAUSES)
		count(d->stats, cause);
}

static long batch_step(__u32 i, struct batch *b)
{
	struct batch_context *d = batch_context();
	struct divert_batched *r;
	__u32 at = b->at, how = b->how, len;

	__asm__ volatile("" : "+r"(at)); /* use exactly the value we checked */
	if (!d || at >= DIVERT_BATCH_ROOM)
		return 1;
	r = (void *)&d->byte[at];
	len = r->len;
	b->error = EINVAL;
	d->cause = DIVERT_N_BAD_FRAME;
	if (len > DIVERT_BATCH_PACKET || at + sizeof(*r) + len > b->end)
		return 1;
	b->at = DIVERT_BATCH_NEXT(at + sizeof(*r) + len);
	if (i >= b->skip) {
		if (i + 1 >= b->n)
			how |= BATCH_LAST;
		b->error = batch_write(b->skb, at, how);
		if (b->error && !(how & BATCH_NUMBERED))
			return 1;
		if (b->error) {
			batch_count(d);
			b->how |= BATCH_FAILED;
		}
		b->done = i + 1;
	}
	return i + 1 >= b->n;
}

/* noinline: for its stack */
static __noinline int reinject_batch(struct __sk_buff *skb, const struct divert_reinject *reinject)
{
	struct batch b = {.skb = skb, .n = reinject->tag};
	struct batch_written *written = NULL;
	__u32 last = skb->len - BATCH_HEAD - 1;
	struct batch_context *d = batch_context();
	struct bpf_sock *sk = skb->sk;
	__u32 so_far;

	if (!d || b.n > DIVERT_BATCH_MAX)
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (reinject->ifindex) {
		b.how = BATCH_NUMBERED;
		if (sk)
			written = bpf_sk_storage_get(&batch_written, sk, NULL,
						     BPF_SK_STORAGE_GET_F_CREATE);
		if (!written)
			return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, ENOMEM);
		so_far = written->number == reinject->ifindex ? written->n : 0;
		if (so_far < reinject->oif) /* an earlier frame is missing: both will be resent */
			return TC_ACT_SHOT;
		b.skip = b.done = so_far - reinject->oif;
	}
	if (b.skip >= b.n)
		return TC_ACT_STOLEN;
	__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */
	if (last >= DIVERT_BATCH_ROOM || bpf_skb_load_bytes(skb, BATCH_HEAD, d->byte, last + 1))
		return reinject_refuse(skb, reinject, DIVERT_N_BAD_FRAME, EINVAL);
	b.end = last + 1;
	d->stats = reinject_stats(skb);
	d->ifindex = d->out = d->oif = d->meta.ifindex = 0;
	d->by_port = routes_by_port(skb, skb->protocol == bpf_htons(ETH_P_IPV6) ? 6 : 4);
	d->verdict = TC_ACT_STOLEN;
	skb->priority = 0;
	bpf_loop(DIVERT_BATCH_MAX, batch_step, &b, 0);
	if (written) {
		written->number = reinject->ifindex;
		written->n = reinject->oif + b.done;
	}
	if (!b.error && b.done == b.n && !(b.how & BATCH_FAILED))
		return d->verdict;
	if (written) /* a good last packet needs its verdict: the next frame reports a failure */
		return !b.error && b.done == b.n ? d->verdict : TC_ACT_SHOT;
	/* no loss: the library sends it again on its own, where it is counted and reported */
	return reinject_error(skb, b.done << 16 | b.error);
}

#endif
