/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule set as the graph that the kernel half walks. A rule's conditions are
 * emitted one behind the other (rules/emit.c); each one's ways out are first marked ON
 * (it holds) and OFF (it does not), then wired: to what follows, or past the rule.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static void wire(uint32_t *to, uint32_t holds, uint32_t fails)
{
	if (*to == EMIT_ON)
		*to = holds;
	else if (*to == EMIT_OFF)
		*to = fails;
}

/* One that is or'ed with the next: if it holds, all of the block does. */
static void emit_wired(struct code *c, const struct rule_match *m, bool in_block)
{
	uint32_t from = c->n, i, holds, fails;

	emit_match(c, m);
	holds = in_block ? EMIT_HOLDS : c->n;
	fails = m->or_next ? c->n : EMIT_PAST;
	for (i = from; i < c->n; i++) {
		wire(&c->insn[i].yes, m->negate ? fails : holds, m->negate ? holds : fails);
		wire(&c->insn[i].no, m->negate ? fails : holds, m->negate ? holds : fails);
	}
}

/* A condition, or a block of them. */
static void emit_block(struct code *c, const struct rule_match *m)
{
	uint32_t from = c->n, i;
	bool in_block = m->or_next;

	for (;; m = m->next) {
		emit_wired(c, m, in_block);
		if (!m->or_next)
			break;
	}
	for (i = from; in_block && i < c->n; i++) {
		if (c->insn[i].yes == EMIT_HOLDS)
			c->insn[i].yes = c->n;
		if (c->insn[i].no == EMIT_HOLDS)
			c->insn[i].no = c->n;
	}
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
		[RULE_REASS] = DIVERT_OP_GO,	  [RULE_ANSWER] = DIVERT_OP_ANSWER,
	};
	uint32_t next = c->n + 1;
	struct divert_insn *in = emit(c, ops[r->action], 0, next, next);

	in->action.counter = r->counter;
	if (r->action == RULE_DIVERT || r->action == RULE_TEE || r->action == RULE_ANSWER)
		in->action.port = r->arg;
	in->action.mtu = r->mtu;
	if (bypasses(r))
		in->action.flags |= DIVERT_ACT_BYPASS;
	if (r->tablearg)
		in->action.flags |= DIVERT_ACT_TABLEARG;
	if (r->log) {
		in->action.flags |= DIVERT_ACT_LOG;
		in->action.log_max = r->log_max;
	}
}

/*
 * The direction comes first: it is the cheapest to tell, and where no rule is for
 * one, the kernel half need not even read the packet.
 */
static bool tells_direction(const struct rule_match *m)
{
	return !m->or_next && (m->type == RULE_IN || (m->type == RULE_XMIT && !m->negate &&
						      m->iface.kind <= RULE_IFACE_PREFIX));
}

/* What a later fragment does not tell: it comes last, so that DIVERT_OP_FRAGMENT can stand ahead of it. */
static bool asks_transport(const struct rule_match *m)
{
	switch (m->type) {
	case RULE_SPORT:
	case RULE_DPORT:
	case RULE_ICMP:
	case RULE_ICMP6:
	case RULE_ICMPCODES:
	case RULE_ESTABLISHED:
	case RULE_SETUP:
	case RULE_TCPFLAGS:
	case RULE_TCPOPTIONS:
	case RULE_TCPSEQ:
	case RULE_TCPACK:
	case RULE_TCPWIN:
	case RULE_TCPMSS:
	case RULE_TCPDATALEN:
	case RULE_FLOW:
		return true;
	case RULE_LOOKUP:
		return m->lookup.key == RULE_LOOKUP_SPORT || m->lookup.key == RULE_LOOKUP_DPORT;
	default:
		return false;
	}
}

enum turn {
	FIRST,
	SECOND,
	LAST,
};

/* Of a condition, or a block of them. With tablearg, the order of tables is as it was entered. */
static enum turn turn_of(const struct rule *r, const struct rule_match *m)
{
	bool first = tells_direction(m), last = asks_transport(m);

	for (; m->or_next; m = m->next)
		last |= asks_transport(m->next);
	return first ? FIRST : last && !r->tablearg ? LAST : SECOND;
}

static const struct rule_match *block_end(const struct rule_match *m)
{
	while (m->or_next)
		m = m->next;
	return m;
}

static void emit_matches(struct code *c, const struct rule *r, enum turn turn)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next) {
		if (turn_of(r, m) == turn)
			emit_block(c, m);
		m = block_end(m);
	}
}

static bool has_turn(const struct rule *r, enum turn turn)
{
	const struct rule_match *m;

	for (m = r->match; m; m = block_end(m)->next)
		if (turn_of(r, m) == turn)
			return true;
	return false;
}

static void compile_rule(struct code *c, const struct rule *r)
{
	uint32_t start = c->n, ask = EMIT_PAST, i;

	c->rule = r->number;
	emit_matches(c, r, FIRST);
	if (r->tablearg)
		emit(c, DIVERT_OP_LOAD, DIVERT_LOAD_NO_TABLEARG, c->n + 1, c->n + 1);
	if (r->owner)
		emit(c, DIVERT_OP_OWNED, 0, c->n + 1, EMIT_PAST)->mask.value = r->owner - 1;
	emit_matches(c, r, SECOND);
	if (r->action == RULE_DIVERT && has_turn(r, LAST)) {
		ask = c->n;
		emit(c, DIVERT_OP_FRAGMENT, 0, c->n + 1, c->n + 1)->fragment.port = r->arg;
	}
	emit_matches(c, r, LAST);
	if (r->prob < RULES_PROB_ALL)
		emit_prob(c, r->prob);
	if (ask != EMIT_PAST && !c->error)
		c->insn[ask].fragment.action = c->n;
	emit_action(c, r);
	for (i = start; i < c->n; i++) {
		if (c->insn[i].yes == EMIT_PAST)
			c->insn[i].yes = c->n;
		if (c->insn[i].no == EMIT_PAST)
			c->insn[i].no = c->n;
	}
}

/* Never backwards: a target at or below the rule's own number is the next number, as in FreeBSD. */
static void aim_skipto(struct code *c, const struct rules *s, unsigned int i, const uint32_t *start)
{
	const struct rule *r = s->rule[i];
	struct divert_insn *in = &c->insn[start[i + 1] - 1];
	unsigned int to = i + 1;

	while (to < s->n && (s->rule[to]->number < r->arg || s->rule[to]->number == r->number))
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

static bool is_in_force(const struct rules *s, const struct rule *r)
{
	return r->chain || r->set == RULES_SET_RESERVED || !(s->disabled >> r->set & 1);
}

static void add_entry(struct rules_compiled *out, uint32_t rule, uint32_t insn)
{
	if (out->entries && out->entry[out->entries - 1].rule == rule)
		return;
	out->entry[out->entries++] = (struct divert_entry){.rule = rule, .insn = insn};
}

int rules_compile(const struct rules *s, struct rules_compiled *out)
{
	const struct rule last = {.number = RULES_DEFAULT,
				  .action = RULE_ALLOW,
				  .prob = RULES_PROB_ALL};
	struct code c = {.rules = s};
	uint32_t *start; /* the first instruction of each rule, and of the default rule */
	unsigned int i;

	memset(out, 0, sizeof(*out));
	if (rules_empty(s) || s->off)
		return 0;
	start = calloc(s->n + 1, sizeof(*start));
	out->entry = calloc(s->n + 1, sizeof(*out->entry));
	if (!start || !out->entry)
		c.error = -ENOMEM;
	for (i = 0; i <= s->n && !c.error; i++) {
		start[i] = c.n;
		if (i == s->n || is_in_force(s, s->rule[i]))
			compile_rule(&c, i < s->n ? s->rule[i] : &last);
	}
	for (i = 0; i < s->n && !c.error; i++) {
		if (!is_in_force(s, s->rule[i]))
			continue;
		if (s->rule[i]->action == RULE_SKIPTO)
			aim_skipto(&c, s, i, start);
		else if (s->rule[i]->action == RULE_CALL)
			aim_call(&c, s, i, start);
	}
	for (i = 0; i <= s->n && !c.error; i++)
		if (i == s->n || is_in_force(s, s->rule[i]))
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
