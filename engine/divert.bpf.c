// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel half: two programs, on clsact of every interface that carries IP.
 *
 *	divert_in	ingress
 *	divert_out	egress; on lo also the way back
 *
 * A packet that a rule takes goes into the ring of a socket and ends here
 * (TC_ACT_STOLEN); one that is written back comes in over lo, is redirected to
 * the ingress or egress of its interface and goes on there above its tag.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "back.bpf.h"
#include "rules.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* 4 or 6; 0: not ours to judge. Tagged packets are their VLAN device's. */
static __always_inline int ip_version(const struct __sk_buff *skb)
{
	if (skb->vlan_present)
		return 0;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return 4;
	case bpf_htons(ETH_P_IPV6):
		return 6;
	}
	return 0;
}

/* The stack drops what is malformed on its own account: it matches no rule, and passes none. */
static __always_inline int pass_read(struct pass *p, int version)
{
	if (!packet_read(p, version, p->skb->len - p->link_len, &p->packet, &p->shape))
		return 0;
	count(0, DIVERT_N_MALFORMED);
	return -1;
}

static __always_inline int rules_loaded(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rules, &zero) != NULL;
}

SEC("tc")
int divert_in(struct __sk_buff *skb)
{
	struct pass p = {.skb = skb};
	int version = ip_version(skb);
	__u32 tag = 0;
	int back;

	if (!version)
		return TC_ACT_UNSPEC;
	back = entry_take(skb, &tag, &p.recv_ifindex);
	if (!back && (skb->pkt_type == PACKET_OTHERHOST || !rules_loaded() || skb_dev_is_port(skb)))
		return TC_ACT_UNSPEC;
	p.recv_ifindex = skb->ifindex;
	p.link_len = skb_link_len(skb);
	p.packet.field[DIVERT_F_MARK] = skb->mark;
	if (back)
		p.packet.field[DIVERT_F_FLAGS] = DIVERT_IS_BACK_IN;
	if (pass_read(&p, version))
		return TC_ACT_UNSPEC;
	if (back)
		set_type(skb, &p.packet);
	return run_rules(&p, tag);
}

/* p has the packet's interface of origin, and is otherwise clean or has been read already. */
static __always_inline int out(struct pass *p, int version, int back, __u32 tag)
{
	p->link_len = skb_link_len(p->skb);
	p->packet.field[DIVERT_F_MARK] = p->skb->mark;
	p->packet.field[DIVERT_F_FLAGS] = DIVERT_IS_OUT;
	if (back)
		p->packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_BACK_OUT;
	if (p->recv_ifindex)
		p->packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_FORWARDED;
	if (pass_read(p, version))
		return TC_ACT_UNSPEC;
	return run_rules(p, tag);
}

/* Take the header off a frame; the link header is left as that of any packet on lo. */
static __always_inline int back_header(struct __sk_buff *skb, struct divert_back *back)
{
	static const __u8 none[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, back, sizeof(*back)))
		return -1;
	return bpf_skb_store_bytes(skb, 0, none, sizeof(none), 0);
}

/*
 * A frame on its way back. p is clean. TC_ACT_OK: it holds a packet to this host
 * itself, read into p, that goes out over lo.
 */
static __always_inline int back_frame(struct pass *p, int version, struct divert_back *back)
{
	struct __sk_buff *skb = p->skb;
	void *ring;

	if (back_header(skb, back))
		return back_refuse(skb, DIVERT_N_BAD_FRAME, EINVAL);
	if (back->flags & DIVERT_BACK_QUERY) {
		ring = bpf_map_lookup_elem(&sockets, &back->ifindex);
		return ring && ring_alive(ring) ? TC_ACT_SHOT : TC_ACT_STOLEN;
	}
	if (back->flags & DIVERT_BACK_COUNT) {
		if (back->ifindex < DIVERT_N_CAUSES)
			count(back_stats(skb), back->ifindex);
		return TC_ACT_STOLEN;
	}
	if (!version)
		return back_refuse(skb, DIVERT_N_BAD_FRAME, EINVAL);
	if (!(back->flags & DIVERT_BACK_OUT))
		return back_in(skb, back);
	p->link_len = ETH_HLEN;
	if (packet_read(p, version, skb->len - ETH_HLEN, &p->packet, &p->shape))
		return back_refuse(skb, DIVERT_N_BAD_FRAME, EINVAL);
	skb->mark = back->mark;
	return back_out(p, back);
}

SEC("tc")
int divert_out(struct __sk_buff *skb)
{
	struct pass p = {.skb = skb};
	int version = ip_version(skb);
	struct divert_back back;
	__u32 tag = 0;
	int known, rc;

	p.recv_ifindex = skb->ingress_ifindex;
	known = 0;
	if (is_back(skb)) {
		rc = back_frame(&p, version, &back);
		if (rc != TC_ACT_OK)
			return rc;
		known = 1;
		tag = back.tag;
		p.recv_ifindex = back.ifindex;
	} else if (version) {
		known = entry_take(skb, &tag, &p.recv_ifindex);
	}
	if (!version || !rules_loaded() || (!known && skb_dev_is_port(skb)))
		return TC_ACT_UNSPEC;
	p.link_len = skb_link_len(skb);
	p.packet.field[DIVERT_F_MARK] = skb->mark;
	p.packet.field[DIVERT_F_FLAGS] = DIVERT_IS_OUT;
	if (known)
		p.packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_BACK_OUT;
	if (p.recv_ifindex)
		p.packet.field[DIVERT_F_FLAGS] |= DIVERT_IS_FORWARDED;
	if (pass_read(&p, version))
		return TC_ACT_UNSPEC;
	return run_rules(&p, tag);
}
