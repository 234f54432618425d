/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets of bench/generator. BPF_PROG_TEST_RUN runs this once per packet. With live frames the
 * kernel hands out the same pages again and again, as the last forwarding left them. So this writes
 * anew all that a router changes. Packets too large for a frame are clones of one packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define LATE_NS 1000000 /* a paced sender that was held up catches up with at most this */

const volatile __u8 mac_to[ETH_ALEN];
const volatile __u8 mac_from[ETH_ALEN];
const volatile __u32 header_sum; /* of the IPv4 header's 16-bit words without id and checksum */
const volatile __u32 flows = 1;	 /* number of source ports, in turn, from first_port */
const volatile __u16 first_port; /* host order */
const volatile __u8 ttl = 64;
const volatile __u64 interval_ns; /* between packets; 0: as fast as it goes */
const volatile __u64 limit;	  /* packets; 0: none */
const volatile __u32 ifindex;	  /* where clones arrive */
const volatile __u32 frame_len;	  /* of a clone */

__u64 sent;
__u64 started; /* CLOCK_MONOTONIC, ns: when the first packet was sent */
static __u64 due;
static __u32 flow;

static __always_inline int is_due(void)
{
	__u64 now;

	if (limit && sent >= limit)
		return 0;
	if (!interval_ns)
		return 1;
	now = bpf_ktime_get_ns();
	if (now < due)
		return 0;
	if (now - due > LATE_NS)
		due = now;
	due += interval_ns;
	return 1;
}

static __always_inline void count(void)
{
	if (!sent)
		started = bpf_ktime_get_ns();
	sent++;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__be16 *balance = (void *)(udp + 1);
	__u32 sum;

	if ((void *)(balance + 1) > end)
		return XDP_DROP;
	if (!is_due())
		return XDP_DROP; /* not sent: the frame is taken back */

	for (int i = 0; i < ETH_ALEN; i++) {
		eth->h_dest[i] = mac_to[i];
		eth->h_source[i] = mac_from[i];
	}
	ip->ttl = ttl;
	ip->id = bpf_htons((__u16)sent);
	sum = header_sum + (__u16)sent;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = bpf_htons((__u16)~sum);

	/* The port and its complement cancel out, so the UDP checksum stays right. */
	if (++flow >= flows)
		flow = 0;
	udp->source = bpf_htons(first_port + flow);
	*balance = ~udp->source;

	count();
	return XDP_PASS;
}

/*
 * The packet itself must not change: its bytes are shared by all clones that are still on their
 * way. At first it is as long as the kernel allows; it is filled up with zeros.
 */
SEC("tc")
int generate_clones(struct __sk_buff *skb)
{
	if (skb->len < frame_len && bpf_skb_change_tail(skb, frame_len, 0))
		return TC_ACT_SHOT;
	if (is_due() && !bpf_clone_redirect(skb, ifindex, BPF_F_INGRESS))
		count();
	return TC_ACT_SHOT;
}

/* Does nothing: the interface needs some XDP program, see generator.c. */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
