/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Runs a packet through the rule set. */
#ifndef DIVERT_ENGINE_RULES_BPF_H
#define DIVERT_ENGINE_RULES_BPF_H

#include "fragment.bpf.h"
#include "log.bpf.h"
#include "reject.bpf.h"
#include "state.bpf.h"
#include "verdict.bpf.h"

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

/* noinline: inlined, it makes the stack of step() too large for Linux 6.1. */
static __noinline void count_at(struct traversal *p, __u32 index)
{
	struct divert_rule_counter *c = bpf_map_lookup_elem(&rule_counters, &index);

	if (c)
		count_packet(c, p->context->shape.len);
	p->context->verdict.counter[p->context->counted++ % DIVERT_VERDICT_COUNTERS] = index;
}

/* Count the rule; every action starts with this. */
static __always_inline void count_rule(struct traversal *p, const struct divert_insn *in)
{
	count_at(p, in->action.counter);
	if (in->action.flags & DIVERT_ACT_LOG) {
		p->context->keeps = 0;
		log_packet(p->skb, in);
	}
}

/* Get an interface's name when a rule first tests it; most rule sets never do. */
static __always_inline void know_name(struct traversal *p, __u32 which)
{
	char name[DIVERT_NAME_LEN] = {};
	__be32 *word = (__be32 *)name;

	if (p->context->wide_known & 1u << which)
		return;
	p->context->wide_known |= 1u << which;
	if (which == DIVERT_W_RECV && p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT) {
		if (p->context->recv_ifindex)
			skb_name_of(p->skb, p->context->recv_ifindex, name);
	} else {
		skb_dev_name(p->skb, name);
	}
	if (which == DIVERT_W_RECV) {
		p->context->packet.wide[DIVERT_W_RECV][0] = packet_wide(word[0], word[1]);
		p->context->packet.wide[DIVERT_W_RECV][1] = packet_wide(word[2], word[3]);
	} else {
		p->context->packet.wide[DIVERT_W_XMIT][0] = packet_wide(word[0], word[1]);
		p->context->packet.wide[DIVERT_W_XMIT][1] = packet_wide(word[2], word[3]);
	}
}

/*
 * Drop. An outbound packet's sender is not told, as if the cable had lost it: the error it would
 * get, ENOBUFS, means something else.
 */
static __always_inline int drop(const struct traversal *p)
{
	return p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT ? TC_ACT_STOLEN
									: TC_ACT_SHOT;
}

#define DEFAULT_RULE 65535

/*
 * Binary search for the first entry of a higher rule (or value), or of this one with an instruction
 * not before insn.
 */
struct search {
	void *pages;
	__u32 first_page, rule, insn;
	__u32 low, high;	      /* the result lies in low..high */
	__u32 found_rule, found_insn; /* the last entry seen that was not too low */
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
	if (e->rule > s->rule || (e->rule == s->rule && e->insn >= s->insn)) {
		s->high = mid;
		s->found_rule = e->rule;
		s->found_insn = e->insn;
	} else {
		s->low = mid + 1;
	}
	return 0;
}

/*
 * The first instruction above the tag; ~0: none. noinline: its stack is free again when the rules
 * run.
 */
static __noinline __u32 search_entry(void *pages, const struct divert_rules_head *head, __u32 tag)
{
	struct search s = {
		.pages = pages,
		.first_page = head->entries_page,
		.rule = tag + 1,
		.high = head->entries,
		.found_insn = ~0u,
	};

	bpf_loop(20, search_step, &s, 0);
	return s.found_insn;
}

/*
 * The target of skipto and call with tablearg: the rule with that number or the next higher one.
 * skipto never jumps backwards, but to the next number. noinline: other instructions do not need
 * its stack.
 */
static __noinline __u32 aim(struct traversal *p, const struct divert_insn *in)
{
	__u32 to = p->context->packet.field[DIVERT_F_TABLEARG], next = p->pc + 1;
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
 * The packet's call stack. Per CPU: hooks do not interrupt each other, and the BPF stack has no
 * room for it. The depth is here, too, because the verifier would try every value of a number on
 * the stack.
 */
struct calls {
	__u32 depth;
	__u32 return_to[DIVERT_CALLS_MAX]; /* instruction indexes */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct calls);
} calls SEC(".maps");

/*
 * CALL and RETURN: returns the next instruction. noinline: other instructions do not need its
 * stack.
 */
static __noinline __u32 call(struct traversal *p, const struct divert_insn *in)
{
	__u32 zero = 0, depth, next = in->yes;
	struct calls *c = bpf_map_lookup_elem(&calls, &zero);

	if (!c)
		return next;
	depth = c->depth;
	if (in->op == DIVERT_OP_CALL) {
		if (depth >= DIVERT_CALLS_MAX)
			return p->pc + 1;
		c->return_to[depth] = in->no;
		c->depth = depth + 1;
		if (in->action.flags & DIVERT_ACT_TABLEARG)
			next = aim(p, in);
	} else if (--depth < DIVERT_CALLS_MAX) {
		next = c->return_to[depth];
		c->depth = depth;
	}
	return next;
}

/* De Bruijn multiplication: a single bit times this has six leading bits that identify it. */
#define ONE_BIT 0x03f79d71b4cb0a89ull

static const __u8 bit_of[64] = {
	0,  1,	48, 2,	57, 49, 28, 3,	61, 58, 50, 42, 38, 29, 17, 4,	62, 55, 59, 36, 53, 51,
	43, 22, 45, 39, 33, 30, 24, 18, 12, 5,	63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
	44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,	13, 8,	7,  6,
};

/*
 * The number of the lowest set bit; bits is not 0. Branch-free, because the verifier would walk
 * each branch.
 */
static __always_inline __u32 lowest(__u64 bits)
{
	return bit_of[((bits & -bits) * ONE_BIT) >> 58];
}

/*
 * In a run of similar rules: the next instruction. noinline: other instructions do not need its
 * stack.
 */
static __noinline __u32 skip_to_value(struct traversal *p, const struct divert_insn *in,
				      __u32 values_page)
{
	__u32 value = p->context->packet.field[in->field & (DIVERT_F_ROOM - 1)];
	struct search s = {
		.pages = p->pages,
		.first_page = values_page,
		.rule = value,
		.insn = p->pc,
		.low = in->skip.first,
		.high = in->skip.first + in->skip.n,
		.found_rule = ~value,
	};

	bpf_loop(20, search_step, &s, 0);
	return s.found_rule == value ? s.found_insn + 1 : in->no;
}

/* SKIP: the next instruction. noinline: other instructions do not need its stack. */
static __noinline __u32 skip(struct traversal *p, const struct divert_insn *in)
{
	__u32 section = in->skip.section % DIVERT_SECTIONS;
	__u64 sections = p->context->sections >> section;
	union divert_page *page;

	/* a fragment may belong to a packet that a rule diverted, whatever its own headers say */
	if (sections & 1 && (!in->skip.n || p->context->shape.fragment))
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

/*
 * Where the rule with this id has its action; 0: the rule is not in this set. noinline: other
 * instructions do not need its stack.
 */
static __noinline __u32 action_of(struct traversal *p, __u32 id)
{
	union divert_page *page = page_of(p->pages, 0);
	struct search s = {.pages = p->pages, .rule = id};

	if (!page)
		return 0;
	s.first_page = page->head.states_page;
	s.high = page->head.states;
	bpf_loop(20, search_step, &s, 0);
	return s.found_rule == id ? s.found_insn : 0;
}

/*
 * Masks an index, always to the same range: the verifier walks an instruction again whenever it
 * knows more or less about p than the time before.
 */
#define PC_MASK (2 * DIVERT_INSNS_MAX - 1)

/*
 * Has the packet been at this action? One that was diverted and written back goes on behind its
 * tag: its state must not lead it to the socket again.
 */
static __always_inline int is_done(const struct traversal *p, __u32 pc)
{
	const __u32 tag = p->context->tag;
	const struct divert_insn *in;
	union divert_page *page;

	if (!tag)
		return 0;
	pc &= PC_MASK;
	page = page_of(p->pages, 1 + pc / DIVERT_PAGE_INSNS);
	if (!page)
		return 1;
	in = &page->insn[pc % DIVERT_PAGE_INSNS];
	return in->rule <= tag && (in->op == DIVERT_OP_DIVERT || in->op == DIVERT_OP_TEE);
}

/* STATE: the action of the rule that made the packet's state; 0: there is none. */
static __noinline __u32 state_action(struct traversal *p, const struct divert_insn *in)
{
	__u32 id;
	const int later = p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG;

	if (later)
		fragment_state(p);
	id = state_find(p->skb, in);
	if (p->context->shape.fragment && !later)
		fragment_keep(p, id, in->state.name);
	id = id ? action_of(p, id) : 0;
	if (!id || is_done(p, id))
		return 0;
	p->context->reply = p->context->state_back ? id & PC_MASK : 0;
	return id;
}

/* KEEP: 0; -1: drop the packet. A later fragment follows the first one. */
static __noinline int state_make(struct traversal *p, const struct divert_insn *in)
{
	if (p->context->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		return 0;
	if (state_keep(p->skb, in))
		return -1;
	p->context->state_back = 0;
	if (p->context->shape.fragment &&
	    in->yes == p->pc + 1) /* its action is for this packet, too */
		fragment_keep(p, in->state.id, in->state.name);
	return 0;
}

/* noinline: other instructions do not need its stack */
static __noinline int owner_alive(const struct divert_insn *in)
{
	__u32 slot = in->mask.value;
	void *ring = bpf_map_lookup_elem(&sockets, &slot);

	return ring && ring_alive(ring);
}

enum {
	AT_CHECKSUM = 10, /* in the IPv4 header */
};

/*
 * CHANGE. Of a large packet the header that its segments will have is changed. Without memory for a
 * header of its own the packet keeps its TOS, as by nftables. noinline: other instructions do not
 * need its stack.
 */
static __noinline void change(struct traversal *p, const struct divert_insn *in)
{
	const __u32 at = p->context->link_len;
	__u32 *field = p->context->packet.field;
	union {
		__u8 byte[2]; /* version and header length, TOS */
		__u16 word;
	} was, is;

	field[DIVERT_F_MARK] = (field[DIVERT_F_MARK] & in->change.mark_keep) + in->change.mark_add;
	p->skb->mark = field[DIVERT_F_MARK];
	if (!(field[DIVERT_F_FLAGS] & DIVERT_IS_V4) || bpf_skb_load_bytes(p->skb, at, &was, 2))
		return;
	is.word = was.word;
	is.byte[1] = (was.byte[1] & in->change.tos_keep) ^ in->change.tos_flip;
	if (is.word == was.word ||
	    bpf_l3_csum_replace(p->skb, at + AT_CHECKSUM, was.word, is.word, 2))
		return;
	bpf_skb_store_bytes(p->skb, at, &is, 2, 0);
	field[DIVERT_F_TOS] = p->context->shape.tos = is.byte[1];
}

/* HOP. noinline: other instructions do not need its stack. */
static __noinline void hop(struct traversal *p, const struct divert_insn *in)
{
	struct packet_context *d = p->context;

	if (in->field == DIVERT_HOP_IFACE) {
		__builtin_memcpy(d->hop_name, in->hop.name, sizeof(d->hop_name));
		return;
	}
	__builtin_memcpy(d->hop, in->hop.addr, sizeof(d->hop));
	if (in->field == DIVERT_HOP_TABLEARG)
		d->hop[0] = bpf_htonl(d->packet.field[DIVERT_F_TABLEARG]);
	d->hop_six = in->field == DIVERT_HOP_V6;
	d->hop_name[0] = 0;
	d->hop_back = d->reply && d->reply == p->pc;
}

/*
 * FWD: the verdict. As in FreeBSD, a packet that its state led here, and that goes against it,
 * passes: the hop is the way of the flow's first packet. So does one on its way in; if it is
 * forwarded, its state leads it here again. noinline: as above.
 */
static __noinline int hop_take(struct traversal *p)
{
	struct packet_context *d = p->context;

	if (d->hop_back || !(d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT))
		return TC_ACT_UNSPEC;
	d->forward = 1;
	return TC_ACT_STOLEN;
}

/* A match that needs no lookup first. */
static __always_inline int is_plain(const struct traversal *p, const struct divert_insn *in)
{
	switch (in->op) {
	case DIVERT_OP_MASK:
	case DIVERT_OP_RANGE:
	case DIVERT_OP_BELOW:
		return 1;
	case DIVERT_OP_PREFIX:
		return in->field < DIVERT_W_RECV ||
		       p->context->wide_known & 1u << (in->field & (DIVERT_W_ROOM - 1));
	case DIVERT_OP_SKIP: /* one that skips nothing */
		return !in->skip.n &&
		       p->context->sections >> in->skip.section % DIVERT_SECTIONS & 1;
	}
	return 0;
}

/* Plain matches per step, within one page: they share the cost of a step. */
#define AT_ONCE 16

/*
 * Run matches, and the instruction that ends them; 1 ends the run. A damaged or endless program
 * ends in a drop.
 */
static long step(__u32 i, struct traversal *p)
{
	__u32 pc = p->pc, at = pc / DIVERT_PAGE_INSNS, next, how, port, k;
	union divert_page *page = page_of(p->pages, 1 + at);
	const struct divert_insn *in;
	enum delivered delivered;
	int yes;

	p->verdict = TC_ACT_SHOT;
	if (!page)
		return 1;
	for (k = 0;; k++) {
		in = &page->insn[pc % DIVERT_PAGE_INSNS];
		if (!is_plain(p, in))
			break;
		next = in->op == DIVERT_OP_SKIP || match_insn(in, &p->context->packet) ? in->yes
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
		return 0; /* repeat the instruction: it is plain now */
	case DIVERT_OP_OWNED:
		if (!owner_alive(in))
			next = in->no;
		break;
	case DIVERT_OP_LOOKUP:
		if (in->lookup.key == DIVERT_KEY_NAME)
			know_name(p, in->field == DIVERT_W_XMIT ? DIVERT_W_XMIT : DIVERT_W_RECV);
		/* fall through */
	case DIVERT_OP_LOAD:
	case DIVERT_OP_LOCAL:
	case DIVERT_OP_IFADDR:
	case DIVERT_OP_RPF:
		yes = slow_match(p->skb, in);
		if (yes < 0) {
			p->verdict = drop(p);
			return 1;
		}
		if (!yes)
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
	case DIVERT_OP_REJECT:
		count_rule(p, in);
		p->context->reject = in->action.port;
		p->context->mtu = in->action.mtu;
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
		p->context->undecided = 0;
		if (delivered == DELIVER_PASS || how & DELIVER_TEE)
			break;
		p->context->rule = in->rule;
		p->context->port = port;
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
	case DIVERT_OP_STATE:
		next = state_action(p, in);
		if (next) { /* the rule may be one before this one */
			p->pc = next & PC_MASK;
			return 0;
		}
		next = in->no;
		break;
	case DIVERT_OP_FIRST:
		if (state_first(p->skb, in))
			p->context->keeps = 0;
		else
			next = in->no;
		break;
	case DIVERT_OP_KEEP:
		if (state_make(p, in)) {
			count_at(p, in->state.counter);
			p->verdict = drop(p);
			return 1;
		}
		break;
	case DIVERT_OP_CHANGE:
		change(p, in);
		break;
	case DIVERT_OP_HOP:
		hop(p, in);
		break;
	case DIVERT_OP_FWD:
		count_rule(p, in);
		p->verdict = hop_take(p);
		return 1;
	case DIVERT_OP_FRAGMENT:
		if (p->context->shape.fragment)
			next = fragment_ask(p, in);
		break;
	default:
		return 1;
	}
	if (next <= pc) /* only calls go back: a program without them always ends */
		return 1;
	p->pc = next & PC_MASK;
	return 0;
}

/* Where the packet enters the rules: above its tag. Tag 0 runs all rules, divert(4). ~0: none. */
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

/* Run the rules above the tag on p's packet. Returns the verdict, TC_ACT_... */
static __always_inline int run_rules(struct traversal *p, __u32 tag)
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
	if (p->context->set != head->id) /* the rules changed: it may match in any section */
		p->context->sections = ~0ull;
	if (head->calls)
		calls_begin();
	p->context->tag = tag;
	bpf_loop(DIVERT_INSNS_MAX, step, p, 0);
	if (p->context->first)
		fragment_tell(p);
	if (p->context->keeps && p->verdict == TC_ACT_UNSPEC)
		verdict_keep(p->context);
	/* last, because it overwrites the packet */
	return p->context->reject ? reject(p->skb) : p->verdict;
}

#endif
