/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiles the rule set into the graph that the kernel half walks. The conditions of a rule are
 * emitted in sequence (rules/emit.c). The exits of each are first marked ON (it holds) and OFF (it
 * does not), then wired to the next condition, or past the rule.
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

/* Emit a condition. One that is or'ed with the next makes the whole block hold. */
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
		[RULE_REASS] = DIVERT_OP_GO,	  [RULE_ANSWER] = DIVERT_OP_REJECT,
		[RULE_CHECK] = DIVERT_OP_GO, /* it has none: compile_check() */
		[RULE_FWD] = DIVERT_OP_FWD,
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
 * Test the direction first: it is the cheapest test, and if no rule applies to a direction, the
 * kernel half need not even read the packet.
 */
static bool tells_direction(const struct rule_match *m)
{
	return !m->or_next && (m->type == RULE_IN || (m->type == RULE_XMIT && !m->negate &&
						      m->iface.kind <= RULE_IFACE_PREFIX));
}

/*
 * Conditions that a later fragment cannot answer. They come last, so that DIVERT_OP_FRAGMENT can
 * precede them.
 */
static bool asks_transport(const struct rule_match *m)
{
	if (m->type == RULE_LOOKUP)
		return m->lookup.key == RULE_LOOKUP_SPORT || m->lookup.key == RULE_LOOKUP_DPORT;
	return rule_kind[m->type].only & (ONLY_TCP | ONLY_FIRST);
}

enum turn {
	FIRST,
	SECOND,
	LAST,
	COUNT, /* counts the packets that meet all others */
};

/* The turn of a condition, or a block. With tablearg, tables keep their order in the rule. */
static enum turn turn_of(const struct rule *r, const struct rule_match *m)
{
	bool first = tells_direction(m), last = asks_transport(m);

	if (m->type == RULE_FIRST)
		return COUNT;

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

/* ---- states ---- */

/* Look for a state with this name, and do there what the rule that made it does; else go on. */
static void emit_check(struct code *c, const char *flow, enum divert_state_any any)
{
	struct divert_insn *in = emit(c, DIVERT_OP_STATE, 0, c->n + 1, c->n + 1);

	in->state.name = flow_name_id(flow);
	in->state.any = any;
}

/* With any name: those that the rules give, each once. */
static void emit_check_any(struct code *c)
{
	enum divert_state_any any = DIVERT_ANY_FIRST;
	const struct rules *s = c->rules;
	unsigned int i, k;

	for (i = 0; i < s->n; i++) {
		if (!s->rule[i]->state)
			continue;
		for (k = 0; k < i; k++)
			if (s->rule[k]->state && !strcmp(s->rule[k]->flow, s->rule[i]->flow))
				break;
		if (k < i)
			continue;
		emit_check(c, s->rule[i]->flow, any);
		any = DIVERT_ANY_NEXT;
	}
	if (any == DIVERT_ANY_FIRST) /* no rule makes states; but the index wants an instruction */
		emit_check(c, "default", any);
}

static bool checks_first(const struct rule *r)
{
	return r->state == RULE_STATE_KEEP || r->state == RULE_STATE_LIMIT;
}

static void emit_keep(struct code *c, const struct rule *r)
{
	struct divert_insn *in = emit(c, DIVERT_OP_KEEP, 0, r->only_later ? EMIT_PAST : c->n + 1,
				      r->only_later ? EMIT_PAST : c->n + 1);

	in->state.name = flow_name_id(r->flow);
	in->state.id = r->state_id;
	in->state.limit = r->limit;
	in->state.limit_by = r->limit_by;
	in->state.counter = r->counter;
}

/* check-state has no action of its own: what follows is the next rule. */
static void compile_check(struct code *c, const struct rule *r)
{
	c->rule = r->number;
	if (*r->flow)
		emit_check(c, r->flow, DIVERT_ANY_NOT);
	else
		emit_check_any(c);
}

/* in_force: its set is enabled. If not, only its states lead to its action, until they end. */
static void compile_rule(struct code *c, const struct rule *r, bool in_force)
{
	uint32_t start = c->n, ask = EMIT_PAST, past, i;

	c->rule = r->number;
	if (!in_force) {
		emit(c, DIVERT_OP_MASK, DIVERT_F_FLAGS, c->n + 1, EMIT_PAST)->mask.value = 1;
	} else if (checks_first(r)) {
		/* as FreeBSD: the state is looked for only with the probability */
		if (r->prob < RULES_PROB_ALL)
			emit_prob(c, r->prob);
		emit_check(c, r->flow, DIVERT_ANY_NOT);
	}
	if (r->action == RULE_FWD)
		emit_hop_match(c, r);
	emit_matches(c, r, FIRST);
	if (r->tablearg)
		emit(c, DIVERT_OP_LOAD, DIVERT_LOAD_NO_TABLEARG, c->n + 1, c->n + 1);
	if (r->owner)
		emit(c, DIVERT_OP_OWNED, 0, c->n + 1, EMIT_PAST)->mask.value = r->owner - 1;
	emit_matches(c, r, SECOND);
	if (r->action == RULE_DIVERT && !r->tablearg && (rule_keeps(r) || has_turn(r, LAST))) {
		ask = c->n;
		/* the later fragments are among the first packets if the first one is */
		past = has_turn(r, COUNT) ? EMIT_PAST : c->n + 1;
		emit(c, DIVERT_OP_FRAGMENT, 0, c->n + 1, past)->fragment.port = r->arg;
	}
	emit_matches(c, r, LAST);
	if (r->prob < RULES_PROB_ALL && !checks_first(r))
		emit_prob(c, r->prob);
	c->state_id = r->state_id;
	emit_matches(c, r, COUNT);
	if (r->state)
		emit_keep(c, r);
	else if (r->only_later) /* FreeBSD, too, goes on at the next rule */
		emit_mask(c, DIVERT_F_FLAGS, 0, 0, EMIT_PAST, EMIT_PAST);
	if (ask != EMIT_PAST && !c->error)
		c->insn[ask].fragment.action = c->n;
	if (rule_changes(r))
		emit_change(c, &r->change);
	if (r->action == RULE_FWD)
		emit_hop(c, r);
	emit_action(c, r);
	for (i = start; i < c->n; i++) {
		if (c->insn[i].yes == EMIT_PAST)
			c->insn[i].yes = c->n;
		if (c->insn[i].no == EMIT_PAST)
			c->insn[i].no = c->n;
	}
}

/*
 * Never backwards: a target at or below the rule's own number means the next number, as in FreeBSD.
 */
static void aim_skipto(struct code *c, const struct rules *s, unsigned int i, const uint32_t *start)
{
	const struct rule *r = s->rule[i];
	struct divert_insn *in = &c->insn[start[i + 1] - 1];
	unsigned int to = i + 1;

	while (to < s->n && (s->rule[to]->number < r->arg || s->rule[to]->number == r->number))
		to++;
	in->yes = in->no = start[to];
}

/*
 * As ipfw(8): call leads to any rule, also backwards; return leads to the first rule with a number
 * above the call's.
 */
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

/* Are there instructions of it? */
static bool is_compiled(const struct rules *s, const struct rule *r)
{
	return r->state || is_in_force(s, r);
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
		if (i < s->n && !is_compiled(s, s->rule[i]))
			continue;
		if (i < s->n && s->rule[i]->action == RULE_CHECK)
			compile_check(&c, s->rule[i]);
		else if (i < s->n)
			compile_rule(&c, s->rule[i], is_in_force(s, s->rule[i]));
		else
			compile_rule(&c, &last, true);
	}
	for (i = 0; i < s->n && !c.error; i++) {
		if (!is_compiled(s, s->rule[i]))
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
