/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Filters. The receiving host uses them to drop packets as soon as they are counted. One does
 * nothing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define DISCARD 9 /* the port that background traffic is sent to */

/* Drops all packets. */
SEC("tc")
int drop(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

/* Drops background traffic. */
SEC("tc/background")
int drop_background(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	if (ip->protocol == IPPROTO_UDP && ip->ihl == 5 && udp->dest == bpf_htons(DISCARD))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

/* Does nothing: the cost of any program on a hook. */
SEC("tc/empty")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}
