/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running a packet through the rule set. */
#ifndef DIVERT_ENGINE_RULES_BPF_H
#define DIVERT_ENGINE_RULES_BPF_H

#include "answer.bpf.h"
#include "fragment.bpf.h"
#include "log.bpf.h"

static __always_inline union divert_page *page_of(void *pages, __u32 number)
{
	return bpf_map_lookup_elem(pages, &number);
}

/* Every action begins with it. */
static __always_inline void count_rule(struct pass *p, const struct divert_insn *in)
{
	__u32 index = in->action.counter;
	struct divert_rule_counter *c = bpf_map_lookup_elem(&rule_counters, &index);

	if (c)
		count_packet(c, p->desk->shape.len);
	if (in->action.flags & DIVERT_ACT_LOG)
		log_packet(p->skb, in);
}

/* Names are read when a rule first asks for one: most rule sets never do. */
static __always_inline void know_name(struct pass *p, __u32 which)
{
	char name[DIVERT_NAME_LEN] = {};
	__be32 *word = (__be32 *)name;

	if (p->desk->wide_known & 1u << which)
		return;
	p->desk->wide_known |= 1u << which;
	if (which == DIVERT_W_RECV && p->desk->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT) {
		if (p->desk->recv_ifindex)
			skb_name_of(p->skb, p->desk->recv_ifindex, name);
	} else {
		skb_dev_name(p->skb, name);
	}
	if (which == DIVERT_W_RECV) {
		p->desk->packet.wide[DIVERT_W_RECV][0] = packet_wide(word[0], word[1]);
		p->desk->packet.wide[DIVERT_W_RECV][1] = packet_wide(word[2], word[3]);
	} else {
		p->desk->packet.wide[DIVERT_W_XMIT][0] = packet_wide(word[0], word[1]);
		p->desk->packet.wide[DIVERT_W_XMIT][1] = packet_wide(word[2], word[3]);
	}
}

/*
 * Dropped. On the way out the sender is told nothing, as by a cable: the error that it
 * would get, ENOBUFS, means something else to it.
 */
static __always_inline int drop(const struct pass *p)
{
	return p->desk->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT ? TC_ACT_STOLEN : TC_ACT_SHOT;
}

#define DEFAULT_RULE 65535
#define FIRSTS	     16

/* Binary search for the first rule above the tag. */
struct search {
	void *pages;
	__u32 first_page, tag;
	__u32 low, high; /* the answer lies in low..high */
	__u32 insn;	 /* at the last entry above the tag that was seen */
};

static long search_step(__u32 i, struct search *s)
{
	__u32 mid;
	union divert_page *page;
	struct divert_entry *e;

	if (s->low >= s->high)
		return 1;
	mid = (s->low + s->high) / 2;
	page = page_of(s->pages, s->first_page + mid / DIVERT_PAGE_ENTRIES);
	if (!page)
		return 1;
	e = &page->entry[mid % DIVERT_PAGE_ENTRIES];
	if (e->rule > s->tag) {
		s->high = mid;
		s->insn = e->insn;
	} else {
		s->low = mid + 1;
	}
	return 0;
}

/* ~0: no rule is above the tag. noinline: its stack is not needed any more when the rules run. */
static __noinline __u32 search_entry(void *pages, const struct divert_rules_head *head, __u32 tag)
{
	struct search s = {
		.pages = pages,
		.first_page = head->entries_page,
		.tag = tag,
		.high = head->entries,
		.insn = ~0u,
	};

	bpf_loop(20, search_step, &s, 0);
	return s.insn;
}

/*
 * Where skipto and call with tablearg lead: as they do with the number, and skipto never
 * backwards, but to the next number. noinline: its stack is not needed by the other instructions.
 */
static __noinline __u32 aim(struct pass *p, const struct divert_insn *in)
{
	__u32 to = p->desk->packet.field[DIVERT_F_TABLEARG], next = p->pc + 1;
	union divert_page *page = page_of(p->pages, 0);

	if (!page)
		return next;
	if (in->op != DIVERT_OP_CALL && to <= in->rule)
		to = in->rule + 1;
	to = to && to <= DEFAULT_RULE ? search_entry(p->pages, &page->head, to - 1)
				      : page->head.last_insn;
	return to > next || in->op == DIVERT_OP_CALL ? to : next;
}

/*
 * The calls that the packet is in: of the processor, as a program on a hook is not
 * interrupted by another, and the stack has no room for them. The depth is here too:
 * of a number on the stack the verifier would try every value.
 */
struct calls {
	__u32 depth;
	__u32 back[DIVERT_CALLS_MAX]; /* indexes of instructions */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct calls);
} calls SEC(".maps");

/* CALL and RETURN: where to go on. noinline: its stack is not needed by the other instructions. */
static __noinline __u32 call(struct pass *p, const struct divert_insn *in)
{
	__u32 zero = 0, depth, next = in->yes;
	struct calls *c = bpf_map_lookup_elem(&calls, &zero);

	if (!c)
		return next;
	depth = c->depth;
	if (in->op == DIVERT_OP_CALL) {
		if (depth >= DIVERT_CALLS_MAX)
			return p->pc + 1;
		c->back[depth] = in->no;
		c->depth = depth + 1;
		if (in->action.flags & DIVERT_ACT_TABLEARG)
			next = aim(p, in);
	} else if (--depth < DIVERT_CALLS_MAX) {
		next = c->back[depth];
		c->depth = depth;
	}
	return next;
}

/* noinline: its stack is not needed by the other instructions. */
static __noinline int owner_alive(const struct divert_insn *in)
{
	__u32 slot = in->mask.value;
	void *ring = bpf_map_lookup_elem(&sockets, &slot);

	return ring && ring_alive(ring);
}

/*
 * Any index, and what the verifier is always told of one: it walks through an instruction
 * again for each thing that it knows more, or less, of p than the time before.
 */
#define PC_MASK (2 * DIVERT_INSNS_MAX - 1)

/* A match that needs nothing to be looked up first. */
static __always_inline int is_plain(const struct pass *p, const struct divert_insn *in)
{
	switch (in->op) {
	case DIVERT_OP_MASK:
	case DIVERT_OP_RANGE:
	case DIVERT_OP_BELOW:
		return 1;
	case DIVERT_OP_PREFIX:
		return in->field < DIVERT_W_RECV ||
		       p->desk->wide_known & 1u << (in->field & (DIVERT_W_ROOM - 1));
	}
	return 0;
}

/* Plain matches in one step, in one page: what a step costs beside is shared by them. */
#define AT_ONCE 32

/*
 * Matches, and the instruction that ends them; 1 ends the run. A damaged program, or an endless one,
 * ends in a drop.
 */
static long step(__u32 i, struct pass *p)
{
	__u32 pc = p->pc, at = pc / DIVERT_PAGE_INSNS, next, how, port, k;
	union divert_page *page = page_of(p->pages, 1 + at);
	const struct divert_insn *in;
	enum delivered delivered;

	p->verdict = TC_ACT_SHOT;
	if (!page)
		return 1;
	for (k = 0;; k++) {
		in = &page->insn[pc % DIVERT_PAGE_INSNS];
		if (!is_plain(p, in))
			break;
		next = match_insn(in, &p->desk->packet) ? in->yes : in->no;
		if (next <= pc)
			return 1;
		pc = next & PC_MASK;
		p->pc = pc;
		if (pc / DIVERT_PAGE_INSNS != at || k == AT_ONCE - 1)
			return 0;
	}
	next = in->yes;
	switch (in->op) {
	case DIVERT_OP_PREFIX:
		know_name(p, in->field);
		return 0; /* again, and now it is plain */
	case DIVERT_OP_OWNED:
		if (!owner_alive(in))
			next = in->no;
		break;
	case DIVERT_OP_LOOKUP:
		if (in->lookup.key == DIVERT_KEY_NAME)
			know_name(p, in->field == DIVERT_W_XMIT ? DIVERT_W_XMIT : DIVERT_W_RECV);
		/* fall through */
	case DIVERT_OP_LOAD:
	case DIVERT_OP_OWN:
	case DIVERT_OP_IFADDR:
	case DIVERT_OP_PATH:
		if (!look(p->skb, in))
			next = in->no;
		break;
	case DIVERT_OP_ALLOW:
		count_rule(p, in);
		p->verdict = TC_ACT_UNSPEC;
		return 1;
	case DIVERT_OP_DENY:
		count_rule(p, in);
		p->verdict = drop(p);
		return 1;
	case DIVERT_OP_ANSWER:
		count_rule(p, in);
		p->desk->answer = in->action.port;
		p->desk->mtu = in->action.mtu;
		p->verdict = drop(p);
		return 1;
	case DIVERT_OP_GO:
		count_rule(p, in);
		if (in->action.flags & DIVERT_ACT_TABLEARG)
			next = aim(p, in);
		break;
	case DIVERT_OP_TEE:
	case DIVERT_OP_DIVERT:
		count_rule(p, in);
		how = in->op == DIVERT_OP_TEE ? DELIVER_TEE : 0;
		if (in->action.flags & DIVERT_ACT_BYPASS)
			how |= DELIVER_BYPASS;
		port = action_port(p, in);
		delivered = deliver(p->skb, in->rule, port, how);
		p->desk->undecided = 0;
		if (delivered == DELIVER_NOBODY || how & DELIVER_TEE)
			break;
		p->desk->rule = in->rule;
		p->desk->port = port;
		p->verdict = TC_ACT_STOLEN;
		return 1;
	case DIVERT_OP_CALL:
	case DIVERT_OP_RETURN:
		count_rule(p, in);
		p->pc = call(p, in) & PC_MASK;
		return 0;
	case DIVERT_OP_FRAGMENT:
		if (p->desk->shape.fragment)
			next = fragment_ask(p, in);
		break;
	default:
		return 1;
	}
	if (next <= pc) /* forward, but for calls: every program without one ends */
		return 1;
	p->pc = next & PC_MASK;
	return 0;
}

/* The instruction to begin at; ~0: none. kind: enum divert_first. */
static __always_inline __u32 entry_of(void *pages, const struct divert_rules_head *head, __u32 tag,
				      __u32 kind)
{
	if (!tag)
		return head->first[kind % FIRSTS];
	if (tag >= head->last_rule && tag < DEFAULT_RULE)
		return head->last_insn;
	return search_entry(pages, head, tag);
}

static __always_inline const struct divert_rules_head *rules_head(void **pages)
{
	union divert_page *page;
	__u32 zero = 0;

	*pages = bpf_map_lookup_elem(&rules, &zero);
	if (!*pages)
		return NULL;
	page = page_of(*pages, 0);
	return page ? &page->head : NULL;
}

static __noinline void calls_begin(void)
{
	__u32 zero = 0;
	struct calls *c = bpf_map_lookup_elem(&calls, &zero);

	if (c)
		c->depth = 0;
}

/* The verdict, TC_ACT_..., on the packet of p, of this kind, for the rules above the tag. */
static __always_inline int run_rules(struct pass *p, __u32 tag, __u32 kind)
{
	const struct divert_rules_head *head = rules_head(&p->pages);
	__u32 pc;

	if (!head || !head->insns)
		return TC_ACT_UNSPEC;
	pc = entry_of(p->pages, head, tag, kind);
	if (pc == ~0u)
		return TC_ACT_UNSPEC;
	p->pc = pc & PC_MASK;
	p->verdict = TC_ACT_SHOT;
	if (head->calls)
		calls_begin();
	p->desk->tag = tag;
	bpf_loop(DIVERT_INSNS_MAX, step, p, 0);
	if (p->desk->first)
		fragment_tell(p);
	/* only now: nothing is left of the packet then */
	return p->desk->answer ? answer(p->skb) : p->verdict;
}

/* What there is to say of a packet before it is read. */
struct glance {
	__u32 kind; /* enum divert_first */
	__u32 len;  /* that the packet says it has: for the counter of the default rule */
	__u32 plain; /* it can be read: it is whole, and has a transport header right behind the IP header */
};

#define GLANCE_TRANSPORT 20 /* bytes: TCP's header, and enough for any other that is known */

static __always_inline void glance(struct __sk_buff *skb, int version, int out, __u32 link_len,
				   struct glance *g)
{
	__u8 head[10] = {}, proto;
	__u32 need;

	skb_load(skb, link_len, head, sizeof(head));
	g->kind = out ? DIVERT_FIRST_OUT : 0;
	if (version == 4) {
		g->len = head[2] << 8 | head[3];
		proto = head[offsetof(struct packet_ip4, proto)];
		g->plain = head[0] == 0x45 && !(head[6] & 0x3f) &&
			   !head[7]; /* no options, no fragment */
		need = sizeof(struct packet_ip4) + GLANCE_TRANSPORT;
	} else {
		g->len = (head[4] << 8 | head[5]) + sizeof(struct packet_ip6);
		proto = head[offsetof(struct packet_ip6, next)];
		g->plain = head[0] >> 4 == 6 && !packet_is_ext(proto);
		need = sizeof(struct packet_ip6) + GLANCE_TRANSPORT;
		g->kind |= DIVERT_FIRST_V6;
	}
	g->plain = g->plain && g->len >= need && g->len + link_len <= skb->len;
	if (proto == PROTO_TCP)
		g->kind |= DIVERT_FIRST_TCP;
	else if (proto == PROTO_UDP)
		g->kind |= DIVERT_FIRST_UDP;
	else if (proto == (version == 4 ? PROTO_ICMP : PROTO_ICMP6))
		g->kind |= DIVERT_FIRST_ICMP;
	else
		g->kind |= DIVERT_FIRST_OTHER;
}

/* Is there a rule, but for the default one, for any packet of this one's IP version and direction? */
static __always_inline int rules_any(const struct divert_rules_head *head, __u32 kind)
{
	const __u32 *first = &head->first[kind & (DIVERT_FIRST_V6 | DIVERT_FIRST_OUT)];
	__u32 none = head->last_insn;

	return first[DIVERT_FIRST_TCP] != none || first[DIVERT_FIRST_UDP] != none ||
	       first[DIVERT_FIRST_ICMP] != none || first[DIVERT_FIRST_OTHER] != none;
}

#define RULES_NONE (-1) /* nothing to do */

/*
 * A first look, before the packet is read: where no rule is left for its kind and above its tag, the
 * default rule counts it, and that is all. Else its kind: it is to be read and judged. So is one that may not be
 * possible to read, if there is a rule for others of its IP version: few are.
 */
static __always_inline int rules_ask(struct __sk_buff *skb, int version, int out, __u32 tag,
				     __u32 link_len)
{
	const struct divert_rules_head *head;
	struct divert_rule_counter *c;
	__u32 counter = 0; /* the default rule's */
	struct glance g;
	void *pages;

	head = rules_head(&pages);
	if (!head || !head->insns)
		return RULES_NONE;
	glance(skb, version, out, link_len, &g);
	if ((!tag || tag < head->last_rule) && (head->first[g.kind % FIRSTS] != head->last_insn ||
						(!g.plain && rules_any(head, g.kind))))
		return g.kind;
	c = bpf_map_lookup_elem(&rule_counters, &counter);
	if (c)
		count_packet(c, g.len);
	return RULES_NONE;
}

#endif
