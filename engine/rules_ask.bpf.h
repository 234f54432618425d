/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A first look at a packet, before it is read: may a rule be for it? Most are for none. */
#ifndef DIVERT_ENGINE_RULES_ASK_BPF_H
#define DIVERT_ENGINE_RULES_ASK_BPF_H

#include "index.h"
#include "rules.bpf.h"

/* A packet, as far as it is known before it is read. */
struct glance {
	__u32 kind;  /* enum divert_kind */
	__u32 len;   /* that the packet says it has: for the counter of the default rule */
	__u32 plain; /* whole, with the transport header right behind the IP header */
};

#define GLANCE_TRANSPORT 20 /* bytes: TCP's header, and enough for any other that is known */
#define GLANCE_UDP	 8

/* Branch-free: it saves the verifier stack. */
static __always_inline __u32 glance_transport(__u32 proto)
{
	return GLANCE_TRANSPORT - (GLANCE_TRANSPORT - GLANCE_UDP) * (proto == PROTO_UDP);
}

static __always_inline void glance(struct __sk_buff *skb, int version, int out, __u32 link_len,
				   struct glance *g)
{
	__u8 head[10] = {}, proto;
	__u32 need;

	skb_load(skb, link_len, head, sizeof(head));
	g->kind = out ? DIVERT_KIND_OUT : 0;
	if (version == 4) {
		g->len = head[2] << 8 | head[3];
		proto = head[offsetof(struct packet_ip4, proto)];
		g->plain = head[0] == 0x45 && !(head[6] & 0x3f) &&
			   !head[7]; /* no options, no fragment */
		need = sizeof(struct packet_ip4) + glance_transport(proto);
	} else {
		g->len = (head[4] << 8 | head[5]) + sizeof(struct packet_ip6);
		proto = head[offsetof(struct packet_ip6, next)];
		g->plain = head[0] >> 4 == 6 && !packet_is_ext(proto);
		need = sizeof(struct packet_ip6) + glance_transport(proto);
		g->kind |= DIVERT_KIND_V6;
	}
	g->plain = g->plain && g->len >= need && g->len + link_len <= skb->len;
	if (proto == PROTO_TCP)
		g->kind |= DIVERT_KIND_TCP;
	else if (proto == PROTO_UDP)
		g->kind |= DIVERT_KIND_UDP;
	else if (proto == (version == 4 ? PROTO_ICMP : PROTO_ICMP6))
		g->kind |= DIVERT_KIND_ICMP;
	else
		g->kind |= DIVERT_KIND_OTHER;
}

/* The places of a packet's ports and addresses. */
struct places {
	__u32 at[DIVERT_INDEXES];
};

static __always_inline int places4(struct __sk_buff *skb, __u32 at, struct places *to)
{
	struct {
		struct packet_ip4 ip;
		__be16 port[2];		     /* source, destination */
	} __attribute__((packed)) head = {}; /* else Linux 6.18's verifier finds a bug of its own */

	if (skb_load(skb, at, &head, sizeof(head)))
		return -1;
	to->at[DIVERT_INDEX_DPORT] = index_place(packet_u16(head.port[1]));
	to->at[DIVERT_INDEX_SPORT] = index_place(packet_u16(head.port[0]));
	to->at[DIVERT_INDEX_SRC_NET] = index_net4(packet_u32(head.ip.src));
	to->at[DIVERT_INDEX_SRC_HOST] = index_place(packet_u32(head.ip.src));
	to->at[DIVERT_INDEX_DST_NET] = index_net4(packet_u32(head.ip.dst));
	to->at[DIVERT_INDEX_DST_HOST] = index_place(packet_u32(head.ip.dst));
	return 0;
}

/* Of an IPv6 address, or a name. */
static __always_inline void wide_words(const __be32 *from, __u32 *to)
{
	to[0] = packet_u32(from[0]);
	to[1] = packet_u32(from[1]);
	to[2] = packet_u32(from[2]);
	to[3] = packet_u32(from[3]);
}

static __always_inline int places6(struct __sk_buff *skb, __u32 at, struct places *to)
{
	struct {
		struct packet_ip6 ip;
		__be16 port[2];
	} __attribute__((packed)) head = {};
	__u32 addr[4];

	if (skb_load(skb, at, &head, sizeof(head)))
		return -1;
	to->at[DIVERT_INDEX_DPORT] = index_place(packet_u16(head.port[1]));
	to->at[DIVERT_INDEX_SPORT] = index_place(packet_u16(head.port[0]));
	wide_words(head.ip.src, addr);
	to->at[DIVERT_INDEX_SRC_NET] = index_net6(addr);
	to->at[DIVERT_INDEX_SRC_HOST] = index_host6(addr);
	wide_words(head.ip.dst, addr);
	to->at[DIVERT_INDEX_DST_NET] = index_net6(addr);
	to->at[DIVERT_INDEX_DST_HOST] = index_host6(addr);
	return 0;
}

static __always_inline __u32 place_of_dev(struct __sk_buff *skb, int out)
{
	__be32 name[DIVERT_NAME_LEN / 4] = {};
	__u32 word[4];

	skb_dev_name(skb, (char *)name);
	wide_words(name, word);
	return index_iface(word, out);
}

/* The compiler knows that a place is below 64, Linux 6.1's verifier does not: it is told. */
static __always_inline __u64 sections_at(const struct divert_rules_head *head, __u32 index,
					 __u32 place)
{
	__asm__ volatile("" : "+r"(place));
	return head->index[index][place % DIVERT_INDEX_ROOM];
}

/* Is an address of the packet, a plain one, in the table? */
static __always_inline int is_in_table(struct __sk_buff *skb, const struct divert_asked *asked,
				       __u32 six, __u32 at)
{
	struct divert_table_addr key = {.bits = six ? 160 : 64};
	const int dst = asked->key == DIVERT_KEY_DST;
	__u32 kind = table_kind(asked->table, six);

	if (!kind)
		return 0;
	key.table = packet_u32(asked->table << 1 | six);
	if (six)
		skb_load(skb,
			 at + (dst ? offsetof(struct packet_ip6, dst)
				   : offsetof(struct packet_ip6, src)),
			 key.addr, 16);
	else
		skb_load(skb,
			 at + (dst ? offsetof(struct packet_ip4, dst)
				   : offsetof(struct packet_ip4, src)),
			 key.addr, 4);
	return find_key_addr(&key, kind) != NULL;
}

/*
 * Of these sections, those that tables leave: to ask one costs less than to read the packet. Not
 * static: see struct packet_context.
 */
__noinline __u64 sections_in_tables(struct __sk_buff *skb, const struct divert_rules_head *head,
				    __u64 sections, __u64 where)
{
	const struct divert_asked *asked;
	__u32 six = where >> 32;
	int i;

	if (!head)
		return sections;
	for (i = 0; i < DIVERT_ASKED; i++) {
		asked = &head->asked[i];
		if (!asked->sections)
			break;
		if (sections & asked->sections && !is_in_table(skb, asked, six, where))
			sections &= ~asked->sections;
	}
	return sections;
}

/*
 * The sections of rules that a plain packet of this kind may match by its places: none as a rule,
 * and then it need not be read. Not static: see struct packet_context.
 */
__noinline __u64 sections_of(struct __sk_buff *skb, const struct divert_rules_head *head,
			     __u32 kind, __u32 at)
{
	struct places p = {};
	__u64 sections;

	if (!head || (kind & DIVERT_KIND_V6 ? places6(skb, at, &p) : places4(skb, at, &p)))
		return ~0ull;
	sections = sections_at(head, DIVERT_INDEX_SRC_NET, p.at[DIVERT_INDEX_SRC_NET]) &
		   sections_at(head, DIVERT_INDEX_SRC_HOST, p.at[DIVERT_INDEX_SRC_HOST]) &
		   sections_at(head, DIVERT_INDEX_DST_NET, p.at[DIVERT_INDEX_DST_NET]) &
		   sections_at(head, DIVERT_INDEX_DST_HOST, p.at[DIVERT_INDEX_DST_HOST]);
	if (kind % DIVERT_KIND_V6 <= DIVERT_KIND_UDP)
		sections &= sections_at(head, DIVERT_INDEX_DPORT, p.at[DIVERT_INDEX_DPORT]) &
			    sections_at(head, DIVERT_INDEX_SPORT, p.at[DIVERT_INDEX_SPORT]);
	if (sections && head->asks & 1u << DIVERT_INDEX_IFACE)
		sections &= sections_at(head, DIVERT_INDEX_IFACE,
					place_of_dev(skb, kind & DIVERT_KIND_OUT));
	if (sections && head->asked->sections)
		sections = sections_in_tables(skb, head, sections,
					      at | (kind & DIVERT_KIND_V6 ? 1ull << 32 : 0));
	return sections;
}

/*
 * Is there a rule, but for the default one, for any packet of this one's IP version and direction?
 */
static __always_inline int rules_any(const struct divert_rules_head *head, __u32 kind)
{
	const __u64 *sections = &head->kind[kind & (DIVERT_KIND_V6 | DIVERT_KIND_OUT)];

	return (sections[DIVERT_KIND_TCP] | sections[DIVERT_KIND_UDP] | sections[DIVERT_KIND_ICMP] |
		sections[DIVERT_KIND_OTHER]) != 0;
}

/*
 * The packet may match rules of these sections. where: verdict_where(), or 0: it was reinjected, or
 * is not plain. 1: it passes as the one before it. noinline: its stack is free again.
 */
static __noinline int rules_meet(struct __sk_buff *skb, const struct divert_rules_head *head,
				 __u64 sections, __u64 where)
{
	struct packet_context *d = context();
	const struct divert_flow_info *info;

	if (!d)
		return 0;
	d->sections = sections;
	d->set = head->id;
	d->owned = head->owned;
	d->keeps = 0;
	if (!where || !head->alike || (where & DIVERT_KIND_PROTO) != DIVERT_KIND_UDP)
		return 0;
	if (!(head->alike & DIVERT_ALIKE_FIRST)) {
		info = flow_info_of();
		if (!info || !info->epoch)
			return 0;
	}
	return verdict_passes(skb, where);
}

#define RULES_NONE (-1) /* nothing to do */

/*
 * A first look, before the packet is read: where no rule is left for such a packet, above its tag,
 * the default rule counts it, and that is all. Else its kind: it is to be read and judged. Of one
 * that is not plain little is known before: it may match any rule.
 */
static __always_inline int rules_ask(struct __sk_buff *skb, int version, int out, int known,
				     __u32 tag, __u32 link_len)
{
	const struct divert_rules_head *head;
	struct divert_rule_counter *c;
	__u32 counter = 0; /* the default rule's */
	__u64 sections = 0;
	struct glance g;
	void *pages;
	int fresh;

	head = rules_head(&pages);
	if (!head || !head->insns)
		return RULES_NONE;
	glance(skb, version, out, link_len, &g);
	if (!tag || tag < head->last_rule) {
		sections = head->kind[g.kind % DIVERT_KIND_ROOM];
		if (!g.plain)
			sections = rules_any(head, g.kind) ? ~0ull : 0;
		else if (sections && (head->asks || head->asked->sections))
			sections &= sections_of(skb, head, g.kind, link_len);
	}
	if (sections) {
		fresh = g.plain && !tag && !known;
		return rules_meet(skb, head, sections,
				  verdict_where(g.kind, link_len, g.len) * fresh)
			       ? RULES_NONE
			       : g.kind;
	}
	c = bpf_map_lookup_elem(&rule_counters, &counter);
	if (c)
		count_packet(c, g.len);
	return RULES_NONE;
}

#endif
