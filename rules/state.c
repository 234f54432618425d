/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses and prints what rules say of states: check-state, keep-state, limit and their kin. */
#include <ctype.h>
#include <string.h>

#include "parse.h"

static const struct {
	const char *name;
	enum rule_state state;
} states[] = {
	{"keep-state", RULE_STATE_KEEP},
	{"record-state", RULE_STATE_RECORD},
	{"limit", RULE_STATE_LIMIT},
	{"set-limit", RULE_STATE_SET_LIMIT},
};

#define N_STATES (sizeof(states) / sizeof(*states))

/* In the order in which FreeBSD prints them. */
static const struct {
	const char *name;
	uint8_t fields; /* enum divert_flow_field */
} limits[] = {
	{"all", DIVERT_FLOW_SRC | DIVERT_FLOW_SPORT | DIVERT_FLOW_DST | DIVERT_FLOW_DPORT},
	{"src-addr", DIVERT_FLOW_SRC},
	{"src-port", DIVERT_FLOW_SPORT},
	{"dst-addr", DIVERT_FLOW_DST},
	{"dst-port", DIVERT_FLOW_DPORT},
};

#define N_LIMITS (sizeof(limits) / sizeof(*limits))

uint32_t flow_name_id(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ? h : 1;
}

static bool is_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
			return false;
	return *name && c - name <= RULES_FLOW_NAME_MAX;
}

/* ":name", if that is next. */
static int parse_name(struct parser *p, bool may_be_any)
{
	const char *word = parser_peek(p);

	strcpy(p->rule->flow, "default");
	if (!word || *word != ':')
		return 0;
	p->at++;
	if (!strcmp(word, ":any") && may_be_any) {
		p->rule->flow[0] = '\0';
		return 0;
	}
	if (!strcmp(word, ":any"))
		return rules_fail(p->err, EX_DATAERR,
				  ":any: only check-state takes it; a state needs a name");
	if (!is_name(word + 1))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not a name of flows: expected 1 to %d letters, digits, _, - "
				  "and . behind the colon",
				  word, RULES_FLOW_NAME_MAX);
	strcpy(p->rule->flow, word + 1);
	return 0;
}

int parse_check_state(struct parser *p)
{
	if (parse_name(p, true))
		return -1;
	if (parser_peek(p))
		return rules_fail(p->err, EX_USAGE,
				  "%s: check-state takes a name of flows, :%s, and nothing else",
				  parser_peek(p), "name");
	return 0;
}

static uint8_t limit_fields(const char *word)
{
	unsigned int i;

	for (i = 0; word && i < N_LIMITS; i++)
		if (!strcmp(word, limits[i].name))
			return limits[i].fields;
	return 0;
}

/* "src-addr dst-port 4" */
static int parse_limit(struct parser *p)
{
	const char *word;
	uint32_t limit;

	while (limit_fields(parser_peek(p)))
		p->rule->limit_by |= limit_fields(p->word[p->at++]);
	word = parser_next(p, "what is limited");
	if (!word)
		return -1;
	if (!p->rule->limit_by)
		return rules_fail(p->err, EX_USAGE,
				  "%s: nothing to limit by: expected src-addr, src-port, dst-addr, "
				  "dst-port or all",
				  word);
	if (!parse_number(word, 65535, &limit) || !limit)
		return rules_fail(p->err, EX_DATAERR, "%s: not a limit: expected 1 to 65535", word);
	p->rule->limit = limit;
	return 0;
}

/* N_STATES: none of them. */
static unsigned int find_state(const char *word)
{
	unsigned int i;

	for (i = 0; i < N_STATES && strcmp(word, states[i].name); i++)
		;
	return i;
}

bool is_state(const char *word)
{
	return find_state(word) < N_STATES || !strcmp(word, "defer-action") ||
	       !strcmp(word, "defer-immediate-action");
}

int parse_state(struct parser *p, const char *word, bool negate)
{
	const unsigned int i = find_state(word);
	struct rule *r = p->rule;

	if (!is_state(word))
		return 1;
	if (negate)
		return rules_fail(p->err, EX_USAGE, "not %s: it is no condition", word);
	if (p->in_block)
		return rules_fail(p->err, EX_USAGE, "%s: not in a block", word);
	if (i == N_STATES) {
		if (r->only_later)
			return rules_fail(p->err, EX_USAGE, "%s: a rule has only one", word);
		r->only_later = true;
		return 0;
	}
	if (r->state)
		return rules_fail(p->err, EX_USAGE,
				  "%s: a rule has only one of keep-state, record-state, limit and "
				  "set-limit",
				  word);
	r->state = states[i].state;
	if ((r->state == RULE_STATE_LIMIT || r->state == RULE_STATE_SET_LIMIT) && parse_limit(p))
		return -1;
	return parse_name(p, false);
}

static void print_limit(FILE *f, const struct rule *r)
{
	uint8_t left = r->limit_by;
	unsigned int i;

	for (i = 0; i < N_LIMITS; i++)
		if (limits[i].fields == (left & limits[i].fields)) {
			fprintf(f, " %s", limits[i].name);
			left &= ~limits[i].fields;
		}
	fprintf(f, " %u", r->limit);
}

void print_state(FILE *f, const struct rule *r)
{
	unsigned int i;

	if (r->action == RULE_CHECK) {
		fprintf(f, " :%s", *r->flow ? r->flow : "any");
		return;
	}
	for (i = 0; i < N_STATES; i++)
		if (r->state == states[i].state)
			fprintf(f, " %s", states[i].name);
	if (r->limit_by)
		print_limit(f, r);
	if (r->state)
		fprintf(f, " :%s", r->flow);
	if (r->only_later)
		fputs(" defer-immediate-action", f);
}
