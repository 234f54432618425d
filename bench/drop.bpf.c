/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The receiving host's ingress filter: all is dropped as soon as it has been counted. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int drop(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}
