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

/* A number with one bit, multiplied by this, begins with six bits that are the bit's own. */
#define ONE_BIT 0x03f79d71b4cb0a89ull

static const __u8 bit_of[64] = {
	0,  1,	48, 2,	57, 49, 28, 3,	61, 58, 50, 42, 38, 29, 17, 4,	62, 55, 59, 36, 53, 51,
	43, 22, 45, 39, 33, 30, 24, 18, 12, 5,	63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
	44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,	13, 8,	7,  6,
};

/* The number of the lowest bit; bits is not 0. Without branches, which the verifier would walk. */
static __always_inline __u32 lowest(__u64 bits)
{
	return bit_of[((bits & -bits) * ONE_BIT) >> 58];
}

/* Binary search for a value in a run, of a rule that is not before this one. */
struct value_search {
	void *pages;
	__u32 first_page, value, from;
	__u32 low, high;  /* the answer lies in low..high */
	__u32 seen, insn; /* the last one that was not too low */
};

static long value_step(__u32 i, struct value_search *s)
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
	if (e->rule > s->value || (e->rule == s->value && e->insn >= s->from)) {
		s->high = mid;
		s->seen = e->rule;
		s->insn = e->insn;
	} else {
		s->low = mid + 1;
	}
	return 0;
}

/* In a run: where to go on. noinline: its stack is not needed by the other instructions. */
static __noinline __u32 skip_to_value(struct pass *p, const struct divert_insn *in,
				      __u32 values_page)
{
	__u32 value = p->desk->packet.field[in->field & (DIVERT_F_ROOM - 1)];
	struct value_search s = {
		.pages = p->pages,
		.first_page = values_page,
		.value = value,
		.from = p->pc,
		.low = in->skip.first,
		.high = in->skip.first + in->skip.n,
		.seen = ~value,
	};

	bpf_loop(20, value_step, &s, 0);
	return s.seen == value ? s.insn + 1 : in->no;
}

/* SKIP: where to go on. noinline: its stack is not needed by the other instructions. */
static __noinline __u32 skip(struct pass *p, const struct divert_insn *in)
{
	__u32 section = in->skip.section % DIVERT_SECTIONS;
	__u64 sections = p->desk->sections >> section;
	union divert_page *page;

	/* a fragment may belong to one that a rule has diverted, whatever it has itself */
	if (sections & 1 && (!in->skip.n || p->desk->shape.fragment))
		return in->yes;
	page = page_of(p->pages, 0);
	if (!page)
		return 0;
	if (sections & 1)
		return skip_to_value(p, in, page->head.values_page);
	if (!sections)
		return page->head.last_insn;
	return page->head.section[(section + lowest(sections)) % DIVERT_SECTIONS];
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
	case DIVERT_OP_SKIP: /* that skips nothing */
		return !in->skip.n && p->desk->sections >> in->skip.section % DIVERT_SECTIONS & 1;
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
		next = in->op == DIVERT_OP_SKIP || match_insn(in, &p->desk->packet) ? in->yes
										    : in->no;
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
	case DIVERT_OP_SKIP:
		next = skip(p, in);
		break;
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

/* The instruction to begin at; ~0: none. */
static __always_inline __u32 entry_of(void *pages, const struct divert_rules_head *head, __u32 tag)
{
	if (!tag)
		return 0;
	if (tag >= head->last_rule && tag < DEFAULT_RULE)
		return head->last_insn;
	return search_entry(pages, head, tag);
}

static __noinline void calls_begin(void)
{
	__u32 zero = 0;
	struct calls *c = bpf_map_lookup_elem(&calls, &zero);

	if (c)
		c->depth = 0;
}

/* The verdict, TC_ACT_..., on the packet of p for the rules above the tag. */
static __always_inline int run_rules(struct pass *p, __u32 tag)
{
	const struct divert_rules_head *head = rules_head(&p->pages);
	__u32 pc;

	if (!head || !head->insns)
		return TC_ACT_UNSPEC;
	pc = entry_of(p->pages, head, tag);
	if (pc == ~0u)
		return TC_ACT_UNSPEC;
	p->pc = pc & PC_MASK;
	p->verdict = TC_ACT_SHOT;
	if (p->desk->set != head->id) /* the rules have changed since: it may match any */
		p->desk->sections = ~0ull;
	if (head->calls)
		calls_begin();
	p->desk->tag = tag;
	bpf_loop(DIVERT_INSNS_MAX, step, p, 0);
	if (p->desk->first)
		fragment_tell(p);
	/* only now: nothing is left of the packet then */
	return p->desk->answer ? answer(p->skb) : p->verdict;
}

#endif
