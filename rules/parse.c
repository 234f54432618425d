/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses ipfw(8)'s grammar: "[number] [set N] [prob P] action [log] [body] [options]". */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

enum argument { NO_ARGUMENT, PORT, NUMBER, HOP };

static const struct action {
	const char *name;
	enum rule_action action;
	enum argument argument;
} actions[] = {
	{"allow", RULE_ALLOW, NO_ARGUMENT},
	{"accept", RULE_ALLOW, NO_ARGUMENT},
	{"pass", RULE_ALLOW, NO_ARGUMENT},
	{"permit", RULE_ALLOW, NO_ARGUMENT},
	{"deny", RULE_DENY, NO_ARGUMENT},
	{"drop", RULE_DENY, NO_ARGUMENT},
	{"count", RULE_COUNT, NO_ARGUMENT},
	{"divert", RULE_DIVERT, PORT},
	{"tee", RULE_TEE, PORT},
	{"skipto", RULE_SKIPTO, NUMBER},
	{"call", RULE_CALL, NUMBER},
	{"return", RULE_RETURN, NO_ARGUMENT},
	{"reass", RULE_REASS, NO_ARGUMENT},
	{"check-state", RULE_CHECK, NO_ARGUMENT},
	{"fwd", RULE_FWD, HOP},
	{"forward", RULE_FWD, HOP},
};

#define N_ACTIONS (sizeof(actions) / sizeof(*actions))

static int parse_number_of_rule(struct parser *p)
{
	const char *word = parser_peek(p);
	uint32_t v;

	if (!word || !isdigit((unsigned char)*word))
		return 0;
	if (!parse_number(word, RULES_DEFAULT, &v) || !v)
		return rules_fail(p->err, EX_DATAERR, "%s: not a rule number: expected 1 to 65534",
				  word);
	p->rule->number = v;
	p->at++;
	return 0;
}

static int parse_action_argument(struct parser *p, const struct action *a)
{
	const char *word;
	uint32_t v;

	if (a->argument == NO_ARGUMENT)
		return 0;
	if (a->argument == HOP)
		return parse_hop(p);
	word = parser_next(p, a->argument == PORT ? "port" : "rule number");
	if (!word)
		return -1;
	if (!strcmp(word, "tablearg")) {
		p->rule->tablearg = true;
		return 0;
	}
	if (a->argument == PORT)
		return parse_divert_port(p, word, &p->rule->arg);
	if (!parse_number(word, RULES_DEFAULT, &v) || !v)
		return rules_fail(p->err, EX_DATAERR, "%s: not a rule number: expected 1 to 65535",
				  word);
	p->rule->arg = v;
	return 0;
}

/* "set N", "prob P", before the action. */
static int parse_set_and_prob(struct parser *p)
{
	const char *word;
	char *end;
	double prob;
	uint32_t v;

	if (parser_take(p, "set")) {
		word = parser_next(p, "set number");
		if (!word)
			return -1;
		if (!parse_number(word, RULES_SETS - 1, &v))
			return rules_fail(p->err, EX_DATAERR, "%s: not a set: expected 0 to 31",
					  word);
		p->rule->set = v;
	}
	p->rule->prob = RULES_PROB_ALL;
	if (parser_take(p, "prob")) {
		word = parser_next(p, "probability");
		if (!word)
			return -1;
		prob = strtod(word, &end);
		if (*end || strspn(word, "0123456789.") != strlen(word) || prob > 1 ||
		    prob * RULES_PROB_ALL < 0.5)
			return rules_fail(p->err, EX_DATAERR,
					  "%s: not a probability: expected 0.000001 to 1", word);
		p->rule->prob = prob * RULES_PROB_ALL + 0.5;
	}
	return 0;
}

/* "log [logamount N]" and the like, behind the action. */
static int parse_log(struct parser *p)
{
	const char *word;
	int rc;

	p->rule->log_max = RULES_LOG_DEFAULT;
	for (;;) {
		word = parser_peek(p);
		if (word && (!strcmp(word, "tag") || !strcmp(word, "untag") ||
			     !strcmp(word, "altq") || !strcmp(word, "logdst"))) {
			absent_option(word, p->err);
			return -1;
		}
		rc = word ? parse_change(p, word) : 1;
		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		if (!parser_take(p, "log"))
			return 0;
		if (p->rule->log)
			return rules_fail(p->err, EX_USAGE, "log: twice");
		p->rule->log = true;
		if (!parser_take(p, "logamount"))
			continue;
		p->rule->log_given = true;
		word = parser_next(p, "number of packets");
		if (!word)
			return -1;
		if (!parse_number(word, ~0u, &p->rule->log_max))
			return rules_fail(p->err, EX_DATAERR,
					  "%s: not a number of packets: expected 0 (no limit) to "
					  "4294967295",
					  word);
	}
}

static int parse_action(struct parser *p)
{
	const char *word = parser_next(p, "action");
	unsigned int i;
	int rc;

	if (!word)
		return -1;
	rc = parse_answer(p, word);
	if (rc <= 0)
		return rc ? rc : parse_log(p);
	for (i = 0; i < N_ACTIONS && strcmp(word, actions[i].name); i++)
		;
	if (i == N_ACTIONS) {
		if (absent_action(word, p->err))
			return -1;
		return rules_fail(p->err, EX_USAGE,
				  "%s: unknown action; expected allow, deny, unreach, unreach6, "
				  "reset, reset6, count, divert, tee, skipto, call, return, reass, "
				  "check-state or fwd",
				  word);
	}
	p->rule->action = actions[i].action;
	if (p->rule->action == RULE_CHECK)
		return parse_check_state(p);
	if (parse_action_argument(p, &actions[i]))
		return -1;
	return parse_log(p);
}

static const struct rule_match *find(const struct rule *r, enum rule_match_type type, bool negate)
{
	const struct rule_match *m;

	bool or_before = false;

	for (m = r->match; m; m = m->next) {
		if (m->type == type && m->negate == negate && !m->or_next && !or_before)
			return m;
		or_before = m->or_next;
	}
	return NULL;
}

/*
 * Accept the rule, although it can never match, so that a file that has one loads, as on FreeBSD.
 */
static int never(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int never(struct parser *p, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&p->rule->never, fmt, ap);
	va_end(ap);
	if (rc >= 0)
		return 0;
	p->rule->never = NULL;
	return rules_fail(p->err, EX_OSERR, "out of memory");
}

static bool all_backwards(const struct rule_match *m)
{
	unsigned int i;

	for (i = 0; i < m->n && m->range[i].lo > m->range[i].hi; i++)
		;
	return i == m->n;
}

/* Check a condition that is not or'ed. ports: other conditions test ports. */
static int check_lone(struct parser *p, const struct rule_match *m, bool ports)
{
	const char *name;

	switch (rule_kind[m->type].argument) {
	case ARG_FLAGS:
		return m->flags.set & m->flags.clear
			       ? never(p, "%s: a flag is to be set and not to be",
				       rule_kind[m->type].name)
			       : 0;
	case ARG_PORTS:
	case ARG_RANGES:
		return all_backwards(m) ? never(p, "%s: %u-%u: a range that runs backwards",
						rule_kind[m->type].name, m->range->lo, m->range->hi)
					: 0;
	case ARG_PROTO:
		if (m->type != RULE_PROTO || !ports || protocol_has_ports(m->proto))
			return 0;
		name = protocol_name(m->proto, false);
		return name ? never(p, "ports: %s has none", name)
			    : never(p, "ports: protocol %u has none", m->proto);
	default:
		if (m->type == RULE_SOCKARG)
			return never(p, "sockarg: a socket of Linux has no such cookie");
		if (m->type == RULE_IPVER && *m->value != 4 && *m->value != 6)
			return never(p, "ipver %u: not a version of IP", *m->value);
		return 0;
	}
}

static int check_contradictions(struct parser *p)
{
	const struct rule_match *m;
	bool ports, or_before = false;

	if (p->rule->only_later && !p->rule->state)
		return never(p, "defer-action: the rule makes no state that its action could "
				"wait for");
	if (p->only4 && p->only6)
		return never(p, "%s and %s: no packet is of IPv4 and of IPv6 at once", p->only4,
			     p->only6);
	if (find(p->rule, RULE_IN, false) && find(p->rule, RULE_IN, true))
		return never(p, "in and out: no packet is both");
	if (find(p->rule, RULE_IN, false) && find(p->rule, RULE_XMIT, false))
		return never(p, "in and xmit: a packet on its way in has no sending interface");
	ports = find(p->rule, RULE_SPORT, false) || find(p->rule, RULE_DPORT, false);
	for (m = p->rule->match; m && !p->rule->never; or_before = m->or_next, m = m->next)
		if (!m->negate && !m->or_next && !or_before && check_lone(p, m, ports))
			return -1;
	return 0;
}

static int check_fwd(struct parser *p)
{
	if (p->rule->action != RULE_FWD)
		return 0;
	if (find(p->rule, RULE_IN, false))
		return rules_fail(p->err, EX_DATAERR,
				  "fwd with in: a packet that was sent on from there would miss "
				  "nftables' forward chain, and keep its TTL: leave out 'in', and "
				  "it meets the rule on its way out");
	if (p->rule->tablearg && p->rule->state)
		return rules_fail(p->err, EX_DATAERR,
				  "fwd tablearg: the later packets of a flow that has a state meet "
				  "no table: name the next hop, or let the rule make no state");
	return 0;
}

static int finish(struct parser *p)
{
	if (check_fwd(p) || check_contradictions(p))
		return -1;
	if (p->has_comment && *p->comment) {
		p->rule->comment = strdup(p->comment);
		if (!p->rule->comment)
			return rules_fail(p->err, EX_OSERR, "out of memory");
	}
	p->rule->text = rule_print(p->rule, 0);
	if (!p->rule->text)
		return rules_fail(p->err, EX_OSERR, "out of memory");
	if (strlen(p->rule->text) > RULES_TEXT_MAX)
		return rules_fail(p->err, EX_DATAERR, "rule too long, %d characters at most",
				  RULES_TEXT_MAX);
	return 0;
}

int rule_parse(const char *line, struct rule **rule, struct rules_error *err)
{
	struct parser p;
	int rc = -1;

	if (parser_open(&p, line, err))
		return -1;
	p.rule = calloc(1, sizeof(*p.rule));
	if (!p.rule) {
		rules_fail(err, EX_OSERR, "out of memory");
		goto out;
	}
	p.tail = &p.rule->match;
	if (parse_number_of_rule(&p) || parse_set_and_prob(&p))
		goto out;
	if (!parser_peek(&p) &&
	    *p.comment) /* as in ipfw(8): a rule with only a comment is a count rule */
		p.rule->action = RULE_COUNT;
	else if (parse_action(&p) ||
		 (p.rule->action != RULE_CHECK && (parse_body(&p) || parse_options(&p))))
		goto out;
	rc = finish(&p);
out:
	parser_close(&p);
	if (rc)
		rule_free(p.rule);
	else
		*rule = p.rule;
	return rc;
}
