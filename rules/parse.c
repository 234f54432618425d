/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw(8)'s grammar: "[number] action [proto from SRC [ports] to DST [ports]] [options]". */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

enum argument { NO_ARGUMENT, PORT, NUMBER };

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
	word = parser_next(p, a->argument == PORT ? "port" : "rule number");
	if (!word)
		return -1;
	if (!strcmp(word, "tablearg"))
		return rules_fail(p->err, EX_DATAERR, "tablearg: not there yet");
	if (a->argument == PORT)
		return parse_divert_port(p, word, &p->rule->arg);
	if (!parse_number(word, RULES_DEFAULT, &v) || !v)
		return rules_fail(p->err, EX_DATAERR, "%s: not a rule number: expected 1 to 65535",
				  word);
	p->rule->arg = v;
	return 0;
}

static int parse_action(struct parser *p)
{
	const char *word = parser_next(p, "action");
	unsigned int i;

	if (!word)
		return -1;
	for (i = 0; i < N_ACTIONS && strcmp(word, actions[i].name); i++)
		;
	if (i == N_ACTIONS) {
		if (absent_action(word, p->err))
			return -1;
		return rules_fail(p->err, EX_USAGE,
				  "%s: unknown action; expected allow, deny, count, divert, tee, "
				  "skipto, call or return",
				  word);
	}
	p->rule->action = actions[i].action;
	if (parse_action_argument(p, &actions[i]))
		return -1;
	word = parser_peek(p);
	if (word && (!strcmp(word, "log") || !strcmp(word, "tag") || !strcmp(word, "untag") ||
		     !strcmp(word, "altq"))) {
		absent_option(word, p->err);
		return -1;
	}
	return 0;
}

/* "from" or "to". */
static int expect(struct parser *p, const char *keyword)
{
	const char *word = parser_next(p, keyword);

	if (!word)
		return -1;
	if (strcmp(word, keyword)) {
		if (absent_option(word, p->err))
			return -1;
		return rules_fail(p->err, EX_USAGE, "%s: expected %s", word, keyword);
	}
	return 0;
}

static int parse_end_addresses(struct parser *p, enum rule_match_type type)
{
	bool negate = parser_take(p, "not");
	const char *word = parser_next(p, "address");
	struct rule_match *m;

	if (!word)
		return -1;
	if (!strcmp(word, "any"))
		return negate ? rules_fail(p->err, EX_DATAERR, "not any: never matches") : 0;
	m = match_new(p, type, negate, true);
	return m ? parse_addresses(p, m, word) : -1;
}

/* Ports may follow an address. Behind the second one, so may options. */
static int parse_end_ports(struct parser *p, enum rule_match_type type)
{
	const char *word = parser_peek(p);
	struct rule_match *m;
	bool negate;

	if (!word)
		return 0;
	negate = !strcmp(word, "not");
	if (negate)
		word = p->word[p->at + 1];
	if (!word || (type == RULE_SPORT && !negate && !strcmp(word, "to")))
		return 0;
	if (is_option(word) || absent_option(word, NULL))
		return 0;
	if (!isdigit((unsigned char)*word) && type == RULE_DPORT) {
		/* a service, or an option misspelt: the message is about options */
		struct rule_match probe = {.type = type};
		struct parser quiet = {0};
		int rc = parse_ports(&quiet, &probe, word);

		free(probe.range);
		if (rc)
			return 0;
	}
	p->at += 1 + negate;
	if (type == RULE_SPORT && !strcmp(word, "any"))
		return 0;
	m = match_new(p, type, negate, true);
	return m ? parse_ports(p, m, word) : -1;
}

static int parse_body(struct parser *p)
{
	bool negate = parser_take(p, "not");
	const char *word = parser_peek(p);
	struct rule_match *m;

	if (!word)
		return parser_next(p, "protocol") ? 0 : -1;
	if (is_option(word) || absent_option(word, NULL)) {
		p->rule->bare = !is_protocol(word);
		if (p->rule->bare) {
			p->at -= negate;
			return 0;
		}
	}
	p->at++;
	m = match_new(p, RULE_PROTO, negate, true);
	if (!m || parse_protocol(p, m, word) || expect(p, "from") ||
	    parse_end_addresses(p, RULE_SRC) || parse_end_ports(p, RULE_SPORT) || expect(p, "to") ||
	    parse_end_addresses(p, RULE_DST) || parse_end_ports(p, RULE_DPORT))
		return -1;
	return 0;
}

/* An option goes where proto, from and to leave room for it, as ipfw(8) prints it. */
static void settle(struct rule *r, enum rule_match_type first, enum rule_match_type last, bool sole)
{
	struct rule_match *m, *found = NULL;
	unsigned int n = 0;

	for (m = r->match; m; m = m->next) {
		if (m->type < first || m->type > last)
			continue;
		if (m->head)
			return;
		if (!n++)
			found = m;
	}
	if (found && (n == 1 || !sole))
		found->head = true;
}

static void settle_all(struct rule *r)
{
	if (r->bare)
		return;
	settle(r, RULE_PROTO, RULE_IP6, false);
	settle(r, RULE_SRC, RULE_SRC, false);
	settle(r, RULE_DST, RULE_DST, false);
	settle(r, RULE_SPORT, RULE_SPORT, true);
	settle(r, RULE_DPORT, RULE_DPORT, true);
}

static const struct rule_match *find(const struct rule *r, enum rule_match_type type, bool negate)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (m->type == type && m->negate == negate)
			return m;
	return NULL;
}

/* What no packet can be. */
static int check_contradictions(struct parser *p)
{
	const struct rule_match *m;
	bool ports = false;

	if (p->only4 && p->only6)
		return rules_fail(p->err, EX_DATAERR,
				  "%s and %s: no packet is of IPv4 and of IPv6 at once", p->only4,
				  p->only6);
	if (find(p->rule, RULE_IN, false) && find(p->rule, RULE_IN, true))
		return rules_fail(p->err, EX_DATAERR, "in and out: no packet is both");
	if (find(p->rule, RULE_IN, false) && find(p->rule, RULE_XMIT, false))
		return rules_fail(p->err, EX_DATAERR,
				  "in and xmit: a packet on its way in has no sending interface");
	for (m = p->rule->match; m; m = m->next)
		ports |= m->type == RULE_SPORT || m->type == RULE_DPORT;
	for (m = p->rule->match; m && ports; m = m->next)
		if (m->type == RULE_PROTO && !m->negate && !protocol_has_ports(m->proto)) {
			const char *name = protocol_name(m->proto);
			char digits[4];

			snprintf(digits, sizeof(digits), "%u", m->proto);
			return rules_fail(p->err, EX_DATAERR,
					  "ports: only with tcp, udp, sctp, dccp, udplite and ip, "
					  "not "
					  "with %s",
					  name ? name : digits);
		}
	return 0;
}

static int finish(struct parser *p)
{
	if (check_contradictions(p))
		return -1;
	settle_all(p->rule);
	if (p->has_comment && *p->comment) {
		p->rule->comment = strdup(p->comment);
		if (!p->rule->comment)
			return rules_fail(p->err, EX_OSERR, "out of memory");
	}
	p->rule->text = rule_print(p->rule);
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
	if (parse_number_of_rule(&p) || parse_action(&p) || parse_body(&p))
		goto out;
	while (parser_peek(&p))
		if (parse_option(&p))
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
