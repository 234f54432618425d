/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a rule in ipfw(8)'s canonical form. */
#include <stdio.h>
#include <stdlib.h>

#include "parse.h"

static const char *const action_names[] = {
	[RULE_ALLOW] = "allow",	      [RULE_DENY] = "deny",	[RULE_COUNT] = "count",
	[RULE_DIVERT] = "divert",     [RULE_TEE] = "tee",	[RULE_SKIPTO] = "skipto",
	[RULE_CALL] = "call",	      [RULE_RETURN] = "return", [RULE_REASS] = "reass",
	[RULE_CHECK] = "check-state", [RULE_FWD] = "fwd",
};

static bool is_head(const struct rule_match *m, enum rule_match_type first,
		    enum rule_match_type last)
{
	return m->head && m->type >= first && m->type <= last;
}

/* Print the condition, or the block, at a place of the head. */
static bool print_head(FILE *f, const struct rule *r, enum rule_match_type first,
		       enum rule_match_type last, unsigned int flags)
{
	const struct rule_match *m = r->match;
	bool block;

	while (m && !is_head(m, first, last))
		m = m->next;
	if (!m)
		return false;
	block = m->or_next;
	fputs(block ? " { " : " ", f);
	for (;; m = m->next) {
		fputs(m->negate ? "not " : "", f);
		print_argument(f, m, flags);
		if (!m->or_next)
			break;
		fputs(" or ", f);
	}
	fputs(block ? " }" : "", f);
	return true;
}

static void print_heads(FILE *f, const struct rule *r, unsigned int flags)
{
	if (!print_head(f, r, RULE_PROTO, RULE_IP6, flags))
		fputs(" ip", f);
	fputs(" from", f);
	if (!print_head(f, r, RULE_SRC, RULE_SRC, flags))
		fputs(" any", f);
	print_head(f, r, RULE_SPORT, RULE_SPORT, flags);
	fputs(" to", f);
	if (!print_head(f, r, RULE_DST, RULE_DST, flags))
		fputs(" any", f);
}

/* Addresses that can only match IPv6 have options of their own. */
static bool are_six(const struct rule_match *m)
{
	unsigned int i;

	for (i = 0; i < m->n && is_six(&m->addr[i]); i++)
		;
	return i == m->n;
}

static void print_option(FILE *f, const struct rule_match *m, unsigned int flags)
{
	if (m->type == RULE_IN) {
		fputs(m->negate ? "out" : "in", f);
		return;
	}
	fprintf(f, "%s%s", m->negate ? "not " : "", rule_kind[m->type].name);
	if (rule_kind[m->type].argument == ARG_ADDRS && are_six(m))
		fputc('6', f);
	if (!rule_kind[m->type].what || (m->type == RULE_FRAG && !m->flags.set && !m->flags.clear))
		return;
	fputc(' ', f);
	print_argument(f, m, flags);
}

static void print_options(FILE *f, const struct rule *r, unsigned int flags)
{
	const struct rule_match *m;
	bool in_block = false;

	for (m = r->match; m; m = m->next) {
		if (m->head)
			continue;
		fputs(in_block ? " or " : m->or_next ? " { " : " ", f);
		print_option(f, m, flags);
		if (in_block && !m->or_next)
			fputs(" }", f);
		in_block = m->or_next;
	}
}

static void print_action(FILE *f, const struct rule *r)
{
	if (r->prob < RULES_PROB_ALL)
		fprintf(f, "prob %u.%06u ", r->prob / RULES_PROB_ALL, r->prob % RULES_PROB_ALL);
	if (r->action == RULE_ANSWER)
		print_answer(f, r->arg, r->mtu);
	else
		fputs(action_names[r->action], f);
	if (r->action == RULE_FWD)
		print_hop(f, r);
	else if (r->tablearg)
		fputs(" tablearg", f);
	else if (r->action == RULE_DIVERT || r->action == RULE_TEE || r->action == RULE_SKIPTO ||
		 r->action == RULE_CALL)
		fprintf(f, " %u", r->arg);
	if (r->log)
		fputs(" log", f);
	if (r->log_given)
		fprintf(f, " logamount %u", r->log_max);
	print_change(f, &r->change);
}

static bool has_head(const struct rule *r)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (m->head)
			return true;
	return false;
}

char *rule_print(const struct rule *r, unsigned int flags)
{
	bool bare = r->bare || (flags & RULE_PRINT_COMPACT && !has_head(r));
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	print_action(f, r);
	if (!(flags & RULE_PRINT_BRIEF) && r->action != RULE_CHECK) {
		if (!bare || (!r->match && !r->state))
			print_heads(f, r, flags);
		print_options(f, r, flags);
	}
	if (!(flags & RULE_PRINT_BRIEF) || r->action == RULE_CHECK)
		print_state(f, r);
	if (r->comment)
		fprintf(f, " // %s", r->comment);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
