// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bulk path for reinjected inbound packets. The library runs this program by BPF_PROG_TEST_RUN
 * with live frames, once for each packet: the program writes the packet into the frame, and the
 * kernel receives all frames on the interface as one list, as from a network card. That saves the
 * path over lo: sending a frame, a copy and a clone for each packet, and two passes through a
 * queue. A packet that is out of the ordinary ends the bulk run and goes over lo.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "counters.bpf.h"
#include "skb.bpf.h"

#define IP4_HEADER 20
#define IP6_HEADER 40

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 netns = 0; /* inode number of the engine's network namespace */

struct divert_bulk bulk;

static __always_inline struct net_device *dev_of(struct xdp_md *ctx)
{
	struct xdp_buff *xdp = CAN_READ ? bpf_cast_to_kern_ctx(ctx) : (struct xdp_buff *)ctx;
	struct xdp_rxq_info *rxq = READ(xdp, rxq);

	return READ(rxq, dev);
}

/*
 * Does the kernel steer the interface's packets to other CPUs (RPS, RFS), which may reorder them?
 */
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

/*
 * Would the kernel receive the frames at once, on this CPU and in order, with nothing ahead of the
 * hook?
 */
static __always_inline int fits(struct net_device *dev)
{
	struct net *net = READ(dev, nd_net.net);

	if (READ(net, ns.inum) != netns || !(READ(dev, flags) & IFF_UP_BIT) ||
	    READ(dev, type) != ARPHRD_ETHER_TYPE || READ(dev, rx_handler) || READ(dev, xdp_prog))
		return 0;
	return !steers(dev);
}

static __always_inline struct bulk_state *begin(struct xdp_md *ctx)
{
	struct bulk_state *pass = bulk_state();
	struct net_device *dev = dev_of(ctx);
	struct divert_settings *set;
	__u32 i, zero = 0;

	set = bpf_map_lookup_elem(&settings, &zero);
	if (!set || set->no_bulk || !pass || pass->sent != pass->met || !fits(dev) ||
	    !is_hooked(ctx->ingress_ifindex, DIVERT_IFACE_IN))
		return NULL;
	for (i = 0; i < DIVERT_BULK_LIST; i++)
		pass->slot[i].there = 0;
	pass->key = bpf_get_prandom_u32();
	bpf_probe_read_kernel(pass->to, ETH_ALEN, READ(dev, dev_addr));
	pass->forwards = 0;
	return pass;
}

/*
 * Does this host forward the packet? Only such packets are sent in bulk: a frame lies in a page
 * that the run counts as its own until it is free. A socket that nobody reads would keep it, and
 * after a minute the kernel would log a complaint. Consecutive packets to one destination share one
 * lookup.
 */
static __noinline int forwards(struct xdp_md *ctx, const __u8 *p, __u32 six)
{
	struct bulk_state *pass = bulk_state();
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

/*
 * Copy in words, the last one aligned to the end: for a short packet that is faster than calling a
 * helper. 0, or -1.
 */
static __always_inline int copy_short(void *to, void *end, const void *from, __u32 len)
{
	__u32 i, last = len - sizeof(__u64);

	for (i = 0; i < SHORT / sizeof(__u64) && (i + 1) * sizeof(__u64) <= len; i++) {
		if (to + (i + 1) * sizeof(__u64) > end)
			return -1;
		((__u64 *)to)[i] = ((const __u64 *)from)[i];
	}
	__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */
	if (last > SHORT - sizeof(__u64) || to + last + sizeof(__u64) > end)
		return -1;
	*(__u64 *)(to + last) = *(const __u64 *)(from + last);
	return 0;
}

/*
 * Was the packet addressed to this interface's MAC address, or made by a program? Its metadata
 * tells.
 */
static __always_inline int is_plain(const struct bulk_state *pass, const struct divert_batched *r)
{
	const __u16 *link = (const void *)r->link, *to = (const void *)pass->to;

	if (r->reinject.meta & DIVERT_META_IPSEC)
		return 0;
	return !(r->reinject.meta & DIVERT_META_LINK) ||
	       (link[0] == to[0] && link[1] == to[1] && link[2] == to[2]);
}

/* Turn the frame into this packet. 0; -1: it cannot go in bulk. */
static __always_inline int put(struct xdp_md *ctx, const struct bulk_state *pass,
			       const struct divert_batched *r, __u32 len,
			       const struct bulk_mac *from)
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
	__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */
	if (last >= DIVERT_BATCH_PACKET ||
	    bpf_xdp_store_bytes(ctx, ETH_HLEN, (void *)(r + 1), last + 1))
		return -1;
	return 0;
}

static __always_inline int slot(struct xdp_md *ctx, struct bulk_state *pass, __u32 i)
{
	__u32 at = bulk.at[i], place = i % DIVERT_BULK_LIST, len, six, stats = bulk.stats;
	struct bulk_mac from = {.sign = BULK_SIGN, .place = place, .key = pass->key};
	struct divert_batched *r;
	struct divert_reinject reinject;
	__u64 *n;

	__asm__ volatile("" : "+r"(at)); /* use exactly the value we checked */
	if (at >= DIVERT_BULK_ROOM)
		return -1;
	r = (void *)&bulk.byte[at];
	reinject = r->reinject;
	len = r->len;
	six = r->protocol == bpf_htons(ETH_P_IPV6);
	if (reinject.flags & ~(DIVERT_REINJECT_FRAME | DIVERT_REINJECT_GUESS) ||
	    reinject.hops > DIVERT_HOPS_MAX || reinject.ifindex != ctx->ingress_ifindex ||
	    len > DIVERT_BATCH_PACKET - sizeof(*r) || len < (six ? IP6_HEADER : IP4_HEADER))
		return -1;
	if (!is_plain(pass, r) || !forwards(ctx, (__u8 *)(r + 1), six) ||
	    put(ctx, pass, r, len, &from))
		return -1;
	pass->slot[place].mark = reinject.mark;
	pass->slot[place].stats = stats;
	pass->slot[place].tag = reinject.tag;
	pass->slot[place].hops = reinject.hops;
	pass->slot[place].hashed = !!(reinject.meta & DIVERT_META_HASH);
	pass->slot[place].hash = reinject.hash;
	__builtin_memcpy(pass->slot[place].source, r->link + ETH_ALEN, ETH_ALEN);
	pass->slot[place].there = 1;
	n = port_counters(stats);
	if (n) {
		n[DIVERT_N_WRITTEN_IN]++;
		n[DIVERT_N_BY_BULK]++;
	}
	return 0;
}

SEC("xdp")
int divert_bulk(struct xdp_md *ctx)
{
	struct bulk_state *pass;
	__u32 i = bulk.next;

	/*
	 * user space shares this memory: whatever it writes meanwhile, a packet that does not go
	 * ends the run
	 */
	__asm__ volatile("" : "+r"(i));
	if (i >= DIVERT_BATCH_MAX || i >= bulk.n || i != bulk.gone)
		return XDP_DROP;
	bulk.next = i + 1;
	pass = i % DIVERT_BULK_LIST ? bulk_state() : begin(ctx);
	if (!pass || slot(ctx, pass, i))
		return XDP_DROP;
	bulk.gone = i + 1;
	return XDP_PASS;
}
