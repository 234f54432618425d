/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Replies of reject rules: an ICMP error or a TCP reset, made from the dropped packet itself. The
 * reply to an inbound packet leaves by the same interface, with the link addresses swapped. The
 * reply to an outbound packet, or one on lo, arrives on that interface as if the destination had
 * sent it. So it reaches a sender on this host and, by the stack's routing, one behind it.
 */
#ifndef DIVERT_ENGINE_REJECT_BPF_H
#define DIVERT_ENGINE_REJECT_BPF_H

#include "entry.bpf.h"
#include "local.bpf.h"

#define REJECT_TTL    64
#define REJECT_QUOTE4 548  /* with both headers 576 bytes, which any host accepts: RFC 1812 */
#define REJECT_QUOTE6 1232 /* with both headers 1280: RFC 4443 */
#define REJECT_MASK   2047 /* tells the verifier that a quotation fits */
#define REJECT_SUM    512  /* bytes that Linux sums up at a time */
#define REJECT_PARTS  3

#define ICMP_HEAD	8
#define ICMP_DST	3
#define ICMP6_DST	1
#define ICMP6_TOO_BIG	2
#define ICMP6_QUERY	128 /* types below are errors */
#define ICMP6_REDIRECT	137
#define ICMP_QUERY_LAST 18
#define ICMP_PORT	3
#define ICMP_NEEDFRAG	4
#define ICMP6_ADMIN	1
#define ICMP6_PORT	4
/*
 * net, host, source route failed, net unknown, host unknown, net and host for the type of service
 */
#define ICMP_NO_ROUTE	(1u << 0 | 1u << 1 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 11 | 1u << 12)
/* unreachable, source quench, redirect, time exceeded, parameter problem */
#define ICMP_ERRORS	(1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12)

enum {
	TCP_FIN = 1 << 0,
	TCP_SYN = 1 << 1,
	TCP_RST = 1 << 2,
	TCP_ACK = 1 << 4,
};

struct reject_tcp {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window, check, urgent;
} __attribute__((packed));

/* Per CPU: hooks do not nest, and the stack has no room for it. */
struct reject {
	__u8 byte[2 * (REJECT_MASK + 1)]; /* from the IP header */
	__u8 mac[2][ETH_ALEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reject);
} answers SEC(".maps");

static __always_inline int reject_is_six(const struct packet_context *d)
{
	return (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
}

static __always_inline __u32 reject_head(const struct packet_context *d)
{
	return reject_is_six(d) ? sizeof(struct packet_ip6) : sizeof(struct packet_ip4);
}

/* Does the reply arrive on the interface, instead of leaving there? */
static __always_inline int reject_arrives(struct __sk_buff *skb, const struct packet_context *d)
{
	return d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT || skb->ifindex == LO_IFINDEX;
}

static __always_inline __sum16 reject_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Checksum of n bytes, which are followed by up to three zero bytes. */
static __always_inline __u32 reject_add(__u8 *at, __u32 n, __u32 sum)
{
	__u32 part;
	int i;

#pragma clang loop unroll(full)
	for (i = 0; i < REJECT_PARTS; i++) {
		part = n > REJECT_SUM * i ? n - REJECT_SUM * i : 0;
		part = part > REJECT_SUM ? REJECT_SUM : (part + 3) & ~3;
		part &= 2 * REJECT_SUM - 1; /* for the verifier */
		sum = bpf_csum_diff(NULL, 0, (__be32 *)(at + REJECT_SUM * i), part, sum);
	}
	return sum;
}

/* Checksum of the pseudo header of TCP and ICMPv6. */
static __always_inline __u32 reject_pseudo(struct reject *a, int six, __u32 len, __u32 proto)
{
	__be32 word[2] = {bpf_htonl(len), bpf_htonl(proto)};
	__u32 sum = bpf_csum_diff(NULL, 0, word, sizeof(word), 0);

	return six ? bpf_csum_diff(NULL, 0, (__be32 *)(a->byte + 8), 32, sum)
		   : bpf_csum_diff(NULL, 0, (__be32 *)(a->byte + 12), 8, sum);
}

/* Multicast, broadcast and unspecified addresses get no reply (RFC 1122, 3.2.2; RFC 4443, 2.4). */
static __always_inline int reject_is_single4(struct __sk_buff *skb, const struct packet_context *d)
{
	__u32 src = bpf_ntohl(d->packet.field[DIVERT_F_SRC4]);
	__be32 dst = d->packet.field[DIVERT_F_DST4];

	if (src >> 24 == 0 || src >> 28 >= 14 || bpf_ntohl(dst) >> 28 >= 14)
		return 0;
	if (src & 1 && skb_dev_broadcast(skb, bpf_htonl(src)))
		return 0;
	return !(bpf_ntohl(dst) & 1) || !skb_dev_broadcast(skb, dst);
}

static __always_inline int reject_is_single6(const struct packet_context *d)
{
	const __u64(*w)[2] = d->packet.wide;

	return (w[DIVERT_W_SRC6][0] || w[DIVERT_W_SRC6][1]) && w[DIVERT_W_SRC6][0] >> 56 != 0xff &&
	       w[DIVERT_W_DST6][0] >> 56 != 0xff;
}

static __always_inline int reject_is_due(struct __sk_buff *skb, const struct packet_context *d)
{
	__u32 type;
	int six = reject_is_six(d);

	if ((!six && d->reject & DIVERT_REJECT_V6) ||
	    d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		return 0;
	if (d->link_len && d->link_len != ETH_HLEN)
		return 0;
	if (!(d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT) && skb->pkt_type != PACKET_HOST)
		return 0;
	if (!six && d->packet.field[DIVERT_F_PROTO] == PROTO_ICMP) {
		type = d->packet.field[DIVERT_F_ICMP];
		if (type > ICMP_QUERY_LAST || ICMP_ERRORS >> type & 1)
			return 0;
	}
	if (six && d->packet.field[DIVERT_F_PROTO] == PROTO_ICMP6) {
		type = d->packet.field[DIVERT_F_ICMP6];
		if (type < ICMP6_QUERY || type == ICMP6_REDIRECT || type == DIVERT_ABSENT)
			return 0;
	}
	return six ? reject_is_single6(d) : reject_is_single4(skb, d);
}

/*
 * Write the IP header, with the packet's addresses swapped. own: use the interface's address, if it
 * has one, as the source.
 */
static __always_inline int reject_ip(struct __sk_buff *skb, const struct packet_context *d,
				     struct reject *a, __u32 len, __u8 proto, int own)
{
	struct packet_ip4 *four = (void *)a->byte;
	struct packet_ip6 *six = (void *)a->byte;
	__be32 addr = 0;

	if (reject_is_six(d)) {
		six->version_class_flow = bpf_htonl(6u << 28);
		six->len = bpf_htons(len);
		six->next = proto;
		six->hops = REJECT_TTL;
		if (bpf_skb_load_bytes(skb, d->link_len + offsetof(struct packet_ip6, src),
				       six->dst, sizeof(six->dst)) ||
		    bpf_skb_load_bytes(skb, d->link_len + offsetof(struct packet_ip6, dst),
				       six->src, sizeof(six->src)))
			return -1;
		/* a link-local sender is on this link, and knows the address that it sent to */
		if (own && d->packet.wide[DIVERT_W_SRC6][0] >> 54 != 0xfe80 >> 6)
			local_first6(skb, six->src);
		return 0;
	}
	if (own)
		addr = skb_dev_addr(skb);
	four->version_ihl = 0x45;
	four->tos = 0;
	four->len = bpf_htons(sizeof(*four) + len);
	four->id = 0;
	four->frag = bpf_htons(0x4000);
	four->ttl = REJECT_TTL;
	four->proto = proto;
	four->check = 0;
	four->src = addr ? addr : d->packet.field[DIVERT_F_DST4];
	four->dst = d->packet.field[DIVERT_F_SRC4];
	four->check = reject_fold(bpf_csum_diff(NULL, 0, (__be32 *)a->byte, sizeof(*four), 0));
	return 0;
}

/*
 * As RFC 9293 (3.5.2). This function and the next one return the bytes behind the IP header; 0: no
 * reply.
 */
static __always_inline __u32 reject_reset(struct __sk_buff *skb, const struct packet_context *d,
					  struct reject *a)
{
	struct reject_tcp tcp, *to = (void *)(a->byte + reject_head(d));
	__u32 at = d->shape.payload, head, len;

	if (d->packet.field[DIVERT_F_PROTO] != PROTO_TCP ||
	    bpf_skb_load_bytes(skb, d->link_len + at, &tcp, sizeof(tcp)))
		return 0;
	head = (tcp.offset >> 4) * 4;
	if (tcp.flags & TCP_RST || head < sizeof(tcp) || at + head > d->shape.len)
		return 0;
	if (reject_ip(skb, d, a, sizeof(tcp), PROTO_TCP, 0))
		return 0;
	len = d->shape.len - at - head + !!(tcp.flags & TCP_SYN) + !!(tcp.flags & TCP_FIN);
	__builtin_memset(to, 0, sizeof(*to));
	to->sport = tcp.dport;
	to->dport = tcp.sport;
	to->offset = sizeof(tcp) / 4 << 4;
	to->flags = TCP_RST;
	if (tcp.flags & TCP_ACK) {
		to->seq = tcp.ack;
	} else {
		to->flags |= TCP_ACK;
		to->ack = bpf_htonl(bpf_ntohl(tcp.seq) + len);
	}
	to->check = reject_fold(
		bpf_csum_diff(NULL, 0, (__be32 *)to, sizeof(*to),
			      reject_pseudo(a, reject_is_six(d), sizeof(tcp), PROTO_TCP)));
	return sizeof(tcp);
}

/*
 * Translate a code of ICMP type 3 to one of ICMPv6 type 1: RFC 7915, 4.2, as far as FreeBSD follows
 * it.
 */
static __always_inline __u8 reject_code6(__u8 code)
{
	if (code == ICMP_PORT)
		return ICMP6_PORT;
	return code < 16 && ICMP_NO_ROUTE >> code & 1 ? 0 : ICMP6_ADMIN;
}

static __always_inline __u32 reject_unreach(struct __sk_buff *skb, const struct packet_context *d,
					    struct reject *a)
{
	__u8 *icmp = a->byte + reject_head(d);
	int six = reject_is_six(d);
	__u32 quote = six ? REJECT_QUOTE6 : REJECT_QUOTE4, last, sum = 0;

	if (quote > d->shape.len)
		quote = d->shape.len;
	last = quote - 1;
	__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */
	if (last >= REJECT_MASK)
		return 0;
	quote = last + 1;
	if (reject_ip(skb, d, a, ICMP_HEAD + quote, six ? PROTO_ICMP6 : PROTO_ICMP,
		      !reject_arrives(skb, d)) ||
	    bpf_skb_load_bytes(skb, d->link_len, icmp + ICMP_HEAD, quote))
		return 0;
	__builtin_memset(icmp + ICMP_HEAD + quote, 0, 4);
	__builtin_memset(icmp, 0, ICMP_HEAD);
	icmp[0] = six ? ICMP6_DST : ICMP_DST;
	if (six && d->reject & DIVERT_REJECT_TOO_BIG) {
		icmp[0] = ICMP6_TOO_BIG;
		icmp[6] = d->mtu >> 8;
		icmp[7] = d->mtu & 0xff;
	} else if (six && !(d->reject & DIVERT_REJECT_V6)) {
		icmp[1] = reject_code6(d->reject);
	} else {
		icmp[1] = d->reject & 0xff;
		icmp[6] = d->mtu >> 8;
		icmp[7] = d->mtu & 0xff;
	}
	if (six)
		sum = reject_pseudo(a, six, ICMP_HEAD + quote, PROTO_ICMP6);
	*(__sum16 *)(icmp + 2) = reject_fold(reject_add(icmp, ICMP_HEAD + quote, sum));
	return ICMP_HEAD + quote;
}

/*
 * Replace the packet's bytes by the reply's. With CHECKSUM_PARTIAL Linux would later write a
 * checksum into the middle of the reply. Linux drops that state when the bytes up to csum_start are
 * removed, so they are removed first. The same is done if the reply is shorter than the packet's
 * headers, because a packet cannot be truncated within them.
 */
static __always_inline int reject_put(struct __sk_buff *skb, const struct packet_context *d,
				      struct reject *a, __u32 len)
{
	struct divert_record partial = {};
	__u32 pop = 0, last;

	if (skb_is_partial(skb)) {
		skb_partial(skb, &partial);
		pop = d->link_len + partial.csum_start + 1;
	} else if (len < d->shape.payload) {
		pop = d->shape.payload;
	}
	if (bpf_skb_change_tail(skb, d->link_len + len + pop, 0) ||
	    (pop && bpf_skb_adjust_room(skb, -(int)pop, BPF_ADJ_ROOM_MAC, 0)))
		return -1;
	if (d->link_len &&
	    bpf_skb_store_bytes(skb, 0, a->mac, sizeof(a->mac), BPF_F_RECOMPUTE_CSUM))
		return -1;
	last = len - 1;
	__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */
	if (last >= REJECT_MASK)
		return -1;
	return bpf_skb_store_bytes(skb, d->link_len, a->byte, last + 1, BPF_F_RECOMPUTE_CSUM);
}

/*
 * Send the reply for a dropped packet. Returns the verdict: the reply's redirect, or the drop. Not
 * static: see struct packet_context.
 */
__noinline int reject(struct __sk_buff *skb)
{
	const struct packet_context *d = context();
	__u32 zero = 0, len;
	struct reject *a = bpf_map_lookup_elem(&answers, &zero);
	int verdict, arrives;

	if (!d || !a)
		return TC_ACT_SHOT;
	verdict = d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT ? TC_ACT_STOLEN : TC_ACT_SHOT;
	if (!reject_is_due(skb, d))
		return verdict;
	if (d->link_len && (bpf_skb_load_bytes(skb, 0, a->mac[1], ETH_ALEN) ||
			    bpf_skb_load_bytes(skb, ETH_ALEN, a->mac[0], ETH_ALEN)))
		return verdict;
	len = d->reject & DIVERT_REJECT_RESET ? reject_reset(skb, d, a) : reject_unreach(skb, d, a);
	arrives = reject_arrives(skb, d);
	if (!len || reject_put(skb, d, a, reject_head(d) + len))
		return verdict;
	bpf_set_hash_invalid(skb);
	/* hooks let it pass: only the default rule is behind this tag, and no port counts it */
	if (is_hooked(skb->ifindex, arrives ? DIVERT_IFACE_IN : DIVERT_IFACE_OUT))
		entry_set(skb, DIVERT_TAG_LAST, 0, ~0u);
	skb->mark = 0;
	skb->priority = 0;
	/* a reinjected packet has lost its link addresses */
	if (d->link_len && !arrives && d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_REINJECTED_IN)
		return bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
	return bpf_redirect(skb->ifindex, arrives ? BPF_F_INGRESS : 0);
}

#endif
