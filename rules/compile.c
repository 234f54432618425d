/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule set as the graph that the kernel half walks. A rule's conditions are
 * emitted one behind the other; each one's ways out are first marked ON (it
 * holds) and OFF (it does not), then wired: to what follows, or past the rule.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

enum {
	OFF = 0xfffffffd,
	ON = 0xfffffffe,
	PAST = 0xffffffff, /* the rule does not apply */
};

struct code {
	struct divert_insn *insn;
	uint32_t n, room;
	uint16_t rule;
	struct divert_insn scrap; /* what is written to when there is no memory */
	int error;
};

/* The instruction is the caller's until the next one is emitted. */
static struct divert_insn *emit(struct code *c, enum divert_op op, unsigned int field, uint32_t yes,
				uint32_t no)
{
	struct divert_insn *in;

	if (c->n == DIVERT_INSNS_MAX)
		c->error = -E2BIG;
	if (!c->error && c->n == c->room) {
		uint32_t room = c->room ? c->room * 2 : 64;

		in = reallocarray(c->insn, room, sizeof(*in));
		if (in) {
			c->insn = in;
			c->room = room;
		} else {
			c->error = -ENOMEM;
		}
	}
	in = c->error ? &c->scrap : &c->insn[c->n++];
	memset(in, 0, sizeof(*in));
	in->op = op;
	in->field = field;
	in->rule = c->rule;
	in->yes = yes;
	in->no = no;
	return in;
}

static void emit_mask(struct code *c, enum divert_field field, uint32_t mask, uint32_t value,
		      uint32_t yes, uint32_t no)
{
	struct divert_insn *in = emit(c, DIVERT_OP_MASK, field, yes, no);

	in->mask.mask = mask;
	in->mask.value = value;
}

/* bytes: as they are in a packet or a name */
static void emit_prefix(struct code *c, enum divert_wide field, const void *bytes,
			unsigned int bits, uint32_t yes, uint32_t no)
{
	struct divert_insn *in = emit(c, DIVERT_OP_PREFIX, field, yes, no);
	uint32_t word[4];
	int i;

	memcpy(word, bytes, sizeof(word));
	for (i = 0; i < 4; i++)
		in->prefix.word[i] = ntohl(word[i]);
	in->prefix.bits = bits;
}

static void emit_flag(struct code *c, uint32_t flag, uint32_t yes, uint32_t no)
{
	emit_mask(c, DIVERT_F_FLAGS, flag, flag, yes, no);
}

/* An IPv4 address is only ever that of an IPv4 packet, so the family comes first. */
static void emit_addresses(struct code *c, const struct rule_match *m)
{
	bool src = m->type == RULE_SRC;
	unsigned int i, n4 = 0, n6;
	uint32_t to_six = OFF;

	for (i = 0; i < m->n; i++)
		n4 += m->addr[i].family == AF_INET;
	n6 = m->n - n4;
	if (n4) {
		if (n6)
			to_six = c->n + 1 + n4;
		emit_flag(c, DIVERT_IS_V4, c->n + 1, to_six);
	}
	for (i = 0; i < m->n; i++)
		if (m->addr[i].family == AF_INET)
			emit_mask(c, src ? DIVERT_F_SRC4 : DIVERT_F_DST4, m->addr[i].mask.s_addr,
				  m->addr[i].ip.s_addr, ON, --n4 ? c->n + 1 : OFF);
	if (n6)
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
	for (i = 0; i < m->n; i++)
		if (m->addr[i].family == AF_INET6)
			emit_prefix(c, src ? DIVERT_W_SRC6 : DIVERT_W_DST6, &m->addr[i].ip6,
				    m->addr[i].bits, ON, --n6 ? c->n + 1 : OFF);
}

static void emit_ranges(struct code *c, enum divert_field field, const struct rule_match *m)
{
	enum { ROOM = sizeof(((struct divert_insn *)0)->range) / sizeof(struct rule_range) };
	struct divert_insn *in;
	unsigned int i, k;

	for (i = 0; i < m->n; i += ROOM) {
		in = emit(c, DIVERT_OP_RANGE, field, ON, i + ROOM < m->n ? c->n + 1 : OFF);
		for (k = 0; k < ROOM; k++) {
			in->range[k].lo = i + k < m->n ? m->range[i + k].lo : 1;
			in->range[k].hi = i + k < m->n ? m->range[i + k].hi : 0;
		}
	}
}

/* A name with its NULs; the beginning of one; "*" is any name, but not none. */
static void emit_name(struct code *c, enum divert_wide field, const struct rule_match *m)
{
	size_t len = strlen(m->iface.name);

	if (m->iface.prefix && !len)
		emit_prefix(c, field, m->iface.name, 128, OFF, ON);
	else
		emit_prefix(c, field, m->iface.name, m->iface.prefix ? len * 8 : 128, ON, OFF);
}

static void emit_match(struct code *c, const struct rule_match *m)
{
	const uint32_t back = DIVERT_IS_BACK_IN | DIVERT_IS_BACK_OUT;

	switch (m->type) {
	case RULE_PROTO:
		emit_mask(c, DIVERT_F_PROTO, ~0u, m->proto, ON, OFF);
		break;
	case RULE_IP4:
		emit_flag(c, DIVERT_IS_V4, ON, OFF);
		break;
	case RULE_IP6:
		emit_flag(c, DIVERT_IS_V6, ON, OFF);
		break;
	case RULE_SRC:
	case RULE_DST:
		emit_addresses(c, m);
		break;
	case RULE_SPORT:
		emit_ranges(c, DIVERT_F_SPORT, m);
		break;
	case RULE_DPORT:
		emit_ranges(c, DIVERT_F_DPORT, m);
		break;
	case RULE_IN:
		emit_flag(c, DIVERT_IS_OUT, OFF, ON);
		break;
	case RULE_VIA:
		emit_flag(c, DIVERT_IS_OUT, c->n + 1, c->n + 2);
		emit_name(c, DIVERT_W_XMIT, m);
		emit_name(c, DIVERT_W_RECV, m);
		break;
	case RULE_RECV:
		emit_name(c, DIVERT_W_RECV, m);
		break;
	case RULE_XMIT:
		emit_flag(c, DIVERT_IS_OUT, c->n + 1, OFF);
		emit_name(c, DIVERT_W_XMIT, m);
		break;
	case RULE_ICMP:
		emit_ranges(c, DIVERT_F_ICMP, m);
		break;
	case RULE_ICMP6:
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
		emit_ranges(c, DIVERT_F_ICMP6, m);
		break;
	case RULE_DIVERTED:
		emit_mask(c, DIVERT_F_FLAGS, back, 0, OFF, ON);
		break;
	case RULE_DIVERTED_LOOPBACK:
		emit_flag(c, DIVERT_IS_BACK_IN, ON, OFF);
		break;
	case RULE_DIVERTED_OUTPUT:
		emit_flag(c, DIVERT_IS_BACK_OUT, ON, OFF);
		break;
	case RULE_FWMARK:
		emit_mask(c, DIVERT_F_MARK, m->mark.mask, m->mark.value, ON, OFF);
		break;
	case RULE_BYPASS:
		break;
	}
}

static void wire(uint32_t *to, bool negate, uint32_t next)
{
	if (*to == ON)
		*to = negate ? PAST : next;
	else if (*to == OFF)
		*to = negate ? next : PAST;
}

static bool bypasses(const struct rule *r)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (m->type == RULE_BYPASS)
			return true;
	return false;
}

static void emit_action(struct code *c, const struct rule *r)
{
	static const enum divert_op ops[] = {
		[RULE_ALLOW] = DIVERT_OP_ALLOW,	  [RULE_DENY] = DIVERT_OP_DENY,
		[RULE_COUNT] = DIVERT_OP_GO,	  [RULE_SKIPTO] = DIVERT_OP_GO,
		[RULE_DIVERT] = DIVERT_OP_DIVERT, [RULE_TEE] = DIVERT_OP_TEE,
		[RULE_CALL] = DIVERT_OP_CALL,	  [RULE_RETURN] = DIVERT_OP_RETURN,
	};
	uint32_t next = c->n + 1;
	struct divert_insn *in = emit(c, ops[r->action], 0, next, next);

	in->action.counter = r->counter;
	if (r->action == RULE_DIVERT || r->action == RULE_TEE)
		in->action.port = r->arg;
	if (bypasses(r))
		in->action.flags = DIVERT_ACT_BYPASS;
}

/*
 * The direction comes first: it is the cheapest to tell, and where no rule is for
 * one, the kernel half need not even read the packet.
 */
static bool tells_direction(const struct rule_match *m)
{
	return m->type == RULE_IN || (m->type == RULE_XMIT && !m->negate);
}

/* What a later fragment does not tell: it comes last, so that DIVERT_OP_FRAGMENT can stand ahead of it. */
static bool asks_transport(const struct rule_match *m)
{
	return m->type == RULE_SPORT || m->type == RULE_DPORT || m->type == RULE_ICMP ||
	       m->type == RULE_ICMP6;
}

enum turn {
	FIRST,
	SECOND,
	LAST,
	TURNS,
};

static enum turn turn_of(const struct rule_match *m)
{
	return tells_direction(m) ? FIRST : asks_transport(m) ? LAST : SECOND;
}

static void emit_matches(struct code *c, const struct rule *r, enum turn turn)
{
	const struct rule_match *m;
	uint32_t from, i;

	for (m = r->match; m; m = m->next) {
		if (turn_of(m) != turn)
			continue;
		from = c->n;
		emit_match(c, m);
		for (i = from; i < c->n; i++) {
			wire(&c->insn[i].yes, m->negate, c->n);
			wire(&c->insn[i].no, m->negate, c->n);
		}
	}
}

static bool has_turn(const struct rule *r, enum turn turn)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (turn_of(m) == turn)
			return true;
	return false;
}

static void compile_rule(struct code *c, const struct rule *r)
{
	uint32_t start = c->n, ask = PAST, i;

	c->rule = r->number;
	emit_matches(c, r, FIRST);
	if (r->owner)
		emit(c, DIVERT_OP_OWNED, 0, c->n + 1, PAST)->mask.value = r->owner - 1;
	emit_matches(c, r, SECOND);
	if (r->action == RULE_DIVERT && has_turn(r, LAST)) {
		ask = c->n;
		emit(c, DIVERT_OP_FRAGMENT, 0, c->n + 1, c->n + 1)->fragment.port = r->arg;
	}
	emit_matches(c, r, LAST);
	if (ask != PAST && !c->error)
		c->insn[ask].fragment.action = c->n;
	emit_action(c, r);
	for (i = start; i < c->n; i++) {
		if (c->insn[i].yes == PAST)
			c->insn[i].yes = c->n;
		if (c->insn[i].no == PAST)
			c->insn[i].no = c->n;
	}
}

/* ipfw(8): never backwards; a target at or below the rule itself is the next rule. */
static void aim_skipto(struct code *c, const struct rules *s, unsigned int i, const uint32_t *start)
{
	unsigned int to = i + 1;
	struct divert_insn *in = &c->insn[start[i + 1] - 1];

	while (to < s->n && s->rule[to]->number < s->rule[i]->arg)
		to++;
	in->yes = in->no = start[to];
}

/* ipfw(8): to any rule, also backwards; back to the first rule numbered above the call's. */
static void aim_call(struct code *c, const struct rules *s, unsigned int i, const uint32_t *start)
{
	struct divert_insn *in = &c->insn[start[i + 1] - 1];
	unsigned int to = 0, back = i + 1;

	while (to < s->n && s->rule[to]->number < s->rule[i]->arg)
		to++;
	while (back < s->n && s->rule[back]->number == s->rule[i]->number)
		back++;
	in->yes = start[to];
	in->no = start[back];
}

static void add_entry(struct rules_compiled *out, uint32_t rule, uint32_t insn)
{
	if (out->entries && out->entry[out->entries - 1].rule == rule)
		return;
	out->entry[out->entries++] = (struct divert_entry){.rule = rule, .insn = insn};
}

int rules_compile(const struct rules *s, struct rules_compiled *out)
{
	const struct rule last = {.number = RULES_DEFAULT, .action = RULE_ALLOW};
	struct code c = {0};
	uint32_t *start; /* the first instruction of each rule, and of the default rule */
	unsigned int i;

	memset(out, 0, sizeof(*out));
	if (!s->n && !s->chains)
		return 0;
	start = calloc(s->n + 1, sizeof(*start));
	out->entry = calloc(s->n + 1, sizeof(*out->entry));
	if (!start || !out->entry)
		c.error = -ENOMEM;
	for (i = 0; i <= s->n && !c.error; i++) {
		start[i] = c.n;
		compile_rule(&c, i < s->n ? s->rule[i] : &last);
	}
	for (i = 0; i < s->n && !c.error; i++) {
		if (s->rule[i]->action == RULE_SKIPTO)
			aim_skipto(&c, s, i, start);
		else if (s->rule[i]->action == RULE_CALL)
			aim_call(&c, s, i, start);
	}
	for (i = 0; i <= s->n && !c.error; i++)
		add_entry(out, i < s->n ? s->rule[i]->number : RULES_DEFAULT, start[i]);
	free(start);
	out->insn = c.insn;
	out->insns = c.n;
	if (c.error) {
		rules_compiled_free(out);
		return c.error;
	}
	/* nothing follows the default rule */
	out->insn[c.n - 1].yes = out->insn[c.n - 1].no = 0;
	return 0;
}

void rules_compiled_free(struct rules_compiled *c)
{
	free(c->insn);
	free(c->entry);
	memset(c, 0, sizeof(*c));
}
