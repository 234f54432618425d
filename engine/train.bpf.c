// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets on their way back, inbound, a train at a time. The library runs this program by
 * BPF_PROG_TEST_RUN with live frames, once for each packet: it makes the packet of the frame, and the
 * kernel receives all frames on the interface as one list, as from a network card. That saves what
 * the way over lo costs: a frame sent, a copy and a clone for each packet, twice a queue.
 *
 * Only what this host forwards goes so. A frame lies in a page that the run counts as its own until it is
 * free: a socket that is not read would keep it, and the kernel complains in its log after a minute. All that
 * is out of the ordinary ends the train: it goes over lo, where it is judged.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "skb.bpf.h"
#include "trains.bpf.h"

#define AF_INET	 2
#define AF_INET6 10

#define IP4_HEADER 20
#define IP6_HEADER 40

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 netns = 0; /* inode of the engine's network namespace */

struct divert_train train;

static __always_inline struct net_device *dev_of(struct xdp_md *ctx)
{
	struct xdp_buff *xdp = CAN_READ ? bpf_cast_to_kern_ctx(ctx) : (struct xdp_buff *)ctx;
	struct xdp_rxq_info *rxq = READ(xdp, rxq);

	return READ(rxq, dev);
}

/* Does the kernel steer the interface's packets to other processors, which may reorder them? */
static __always_inline int steers(struct net_device *dev)
{
	struct netdev_rx_queue *rx = READ(dev, _rx);
	struct netdev_rx_queue___tagged *tagged = (void *)rx;

	if (bpf_core_field_exists(rx->rps_map) && READ(rx, rps_map))
		return 1;
	if (bpf_core_field_exists(rx->rps_flow_table))
		return !!READ(rx, rps_flow_table);
	return bpf_core_field_exists(tagged->rps_flow_table) && READ(tagged, rps_flow_table);
}

/* Would the kernel receive the frames at once, here, in their order, and nobody else before the hook? */
static __always_inline int fits(struct net_device *dev)
{
	struct net *net = READ(dev, nd_net.net);

	if (READ(net, ns.inum) != netns || !(READ(dev, flags) & IFF_UP_BIT) ||
	    READ(dev, type) != ARPHRD_ETHER_TYPE || READ(dev, rx_handler) || READ(dev, xdp_prog))
		return 0;
	return !steers(dev);
}

static __always_inline struct train_pass *begin(struct xdp_md *ctx)
{
	struct train_pass *pass = train_pass();
	struct net_device *dev = dev_of(ctx);
	struct divert_settings *set;
	__u32 i, zero = 0;

	set = bpf_map_lookup_elem(&settings, &zero);
	if (!set || set->no_trains || !pass || pass->sent != pass->met || !fits(dev))
		return NULL;
	for (i = 0; i < DIVERT_TRAIN_LIST; i++)
		pass->car[i].there = 0;
	pass->key = bpf_get_prandom_u32();
	bpf_probe_read_kernel(pass->to, ETH_ALEN, READ(dev, dev_addr));
	pass->forwards = 0;
	return pass;
}

/* Does this host forward it? A train's packets to one destination are asked for once. */
static __noinline int forwards(struct xdp_md *ctx, const __u8 *p, __u32 six)
{
	struct train_pass *pass = train_pass();
	struct bpf_fib_lookup fib = {.ifindex = ctx->ingress_ifindex};
	__be32 dst[4] = {};
	int rc;

	if (!pass || !p)
		return 0;
	if (six)
		__builtin_memcpy(dst, p + 24, 16);
	else
		__builtin_memcpy(dst, p + 16, 4);
	if (pass->forwards && dst[0] == pass->dst[0] && dst[1] == pass->dst[1] &&
	    dst[2] == pass->dst[2] && dst[3] == pass->dst[3])
		return 1;
	if (six) {
		fib.family = AF_INET6;
		fib.l4_protocol = p[6];
		__builtin_memcpy(fib.ipv6_src, p + 8, 32);
	} else {
		fib.family = AF_INET;
		fib.l4_protocol = p[9];
		fib.tos = p[1];
		__builtin_memcpy(&fib.ipv4_src, p + 12, 4);
		__builtin_memcpy(&fib.ipv4_dst, p + 16, 4);
	}
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	pass->forwards = rc == BPF_FIB_LKUP_RET_SUCCESS || rc == BPF_FIB_LKUP_RET_NO_NEIGH;
	__builtin_memcpy(pass->dst, dst, sizeof(dst));
	return pass->forwards;
}

#define SHORT 128 /* bytes */

/* Word by word, the last one at the end: for a short packet a helper takes longer to begin. 0, or -1. */
static __always_inline int copy_short(void *to, void *end, const void *from, __u32 len)
{
	__u32 i, last = len - sizeof(__u64);

	for (i = 0; i < SHORT / sizeof(__u64) && (i + 1) * sizeof(__u64) <= len; i++) {
		if (to + (i + 1) * sizeof(__u64) > end)
			return -1;
		((__u64 *)to)[i] = ((const __u64 *)from)[i];
	}
	__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */
	if (last > SHORT - sizeof(__u64) || to + last + sizeof(__u64) > end)
		return -1;
	*(__u64 *)(to + last) = *(const __u64 *)(from + last);
	return 0;
}

/* The frame becomes this packet. 0, or it is none for a train. */
static __always_inline int put(struct xdp_md *ctx, const struct train_pass *pass,
			       const struct divert_batched *r, __u32 len,
			       const struct train_mac *from)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	long more = ETH_HLEN + (long)len - (end - data);
	__u32 last = len - 1;
	struct ethhdr *eth;

	if (more && bpf_xdp_adjust_tail(ctx, (int)more))
		return -1;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)(eth + 1) > end)
		return -1;
	__builtin_memcpy(eth->h_dest, pass->to, ETH_ALEN);
	__builtin_memcpy(eth->h_source, from, ETH_ALEN);
	eth->h_proto = r->protocol;
	if (len <= SHORT)
		return copy_short(eth + 1, end, r + 1, len);
	__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */
	if (last >= DIVERT_BATCH_PACKET ||
	    bpf_xdp_store_bytes(ctx, ETH_HLEN, (void *)(r + 1), last + 1))
		return -1;
	return 0;
}

static __always_inline int car(struct xdp_md *ctx, struct train_pass *pass, __u32 i)
{
	__u32 at = train.at[i], place = i % DIVERT_TRAIN_LIST, len, six, stats = train.stats;
	struct train_mac from = {.sign = TRAIN_SIGN, .place = place, .key = pass->key};
	struct divert_batched *r;
	struct divert_back back;
	__u64 *n;

	__asm__ volatile("" : "+r"(at)); /* what is checked is what is used */
	if (at >= DIVERT_TRAIN_ROOM)
		return -1;
	r = (void *)&train.byte[at];
	back = r->back;
	len = r->len;
	six = r->protocol == bpf_htons(ETH_P_IPV6);
	if (back.flags & ~(DIVERT_BACK_FRAME | DIVERT_BACK_GUESS) || back.hops > DIVERT_HOPS_MAX ||
	    back.ifindex != ctx->ingress_ifindex || len > DIVERT_BATCH_PACKET - sizeof(*r) ||
	    len < (six ? IP6_HEADER : IP4_HEADER))
		return -1;
	if (!forwards(ctx, (__u8 *)(r + 1), six) || put(ctx, pass, r, len, &from))
		return -1;
	pass->car[place].mark = back.mark;
	pass->car[place].stats = stats;
	pass->car[place].tag = back.tag;
	pass->car[place].hops = back.hops;
	pass->car[place].there = 1;
	n = port_counters(stats);
	if (n) {
		n[DIVERT_N_WRITTEN_IN]++;
		n[DIVERT_N_BY_TRAIN]++;
	}
	return 0;
}

SEC("xdp")
int divert_train(struct xdp_md *ctx)
{
	struct train_pass *pass;
	__u32 i = train.next;

	/* whatever is written to the train meanwhile: a packet that does not go is the last that is looked at */
	__asm__ volatile("" : "+r"(i));
	if (i >= DIVERT_BATCH_MAX || i >= train.n || i != train.gone)
		return XDP_DROP;
	train.next = i + 1;
	pass = i % DIVERT_TRAIN_LIST ? train_pass() : begin(ctx);
	if (!pass || car(ctx, pass, i))
		return XDP_DROP;
	train.gone = i + 1;
	return XDP_PASS;
}
