/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of a rule, behind its addresses. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int parse_iface(struct parser *p, struct rule_match *m, const char *word);
static int parse_bypass(struct parser *p, struct rule_match *m, const char *word);

struct option {
	const char *name;
	enum rule_match_type type;
	const char *argument; /* what it is; NULL: it takes none */
	int (*parse)(struct parser *p, struct rule_match *m, const char *word);
	bool synonym; /* not named in messages */
};

static const struct option options[] = {
	{"in", RULE_IN, NULL, NULL, false},
	{"out", RULE_IN, NULL, NULL, false}, /* turned around in parse_option() */
	{"via", RULE_VIA, "interface", parse_iface, false},
	{"recv", RULE_RECV, "interface", parse_iface, false},
	{"xmit", RULE_XMIT, "interface", parse_iface, false},
	{"proto", RULE_PROTO, "protocol", parse_protocol, false},
	{"src-ip", RULE_SRC, "address", parse_addresses, false},
	{"dst-ip", RULE_DST, "address", parse_addresses, false},
	{"src-port", RULE_SPORT, "ports", parse_ports, false},
	{"dst-port", RULE_DPORT, "ports", parse_ports, false},
	{"icmptypes", RULE_ICMP, "ICMP types", parse_types, false},
	{"icmptype", RULE_ICMP, "ICMP types", parse_types, true},
	{"icmp6types", RULE_ICMP6, "ICMPv6 types", parse_types, false},
	{"icmp6type", RULE_ICMP6, "ICMPv6 types", parse_types, true},
	{"diverted", RULE_DIVERTED, NULL, NULL, false},
	{"diverted-loopback", RULE_DIVERTED_LOOPBACK, NULL, NULL, false},
	{"diverted-output", RULE_DIVERTED_OUTPUT, NULL, NULL, false},
	{"fwmark", RULE_FWMARK, "mark", parse_mark, false},
	{"bypass", RULE_BYPASS, NULL, parse_bypass, false},
};

#define N_OPTIONS (sizeof(options) / sizeof(*options))

static const struct option *find_option(const char *word)
{
	unsigned int i;

	for (i = 0; i < N_OPTIONS; i++)
		if (!strcmp(word, options[i].name))
			return &options[i];
	return NULL;
}

bool is_option(const char *word)
{
	return find_option(word) != NULL;
}

struct rule_match *match_new(struct parser *p, enum rule_match_type type, bool negate, bool head)
{
	struct rule_match *m = calloc(1, sizeof(*m));

	if (!m) {
		rules_fail(p->err, EX_OSERR, "out of memory");
		return NULL;
	}
	m->type = type;
	m->negate = negate;
	m->head = head;
	*p->tail = m;
	p->tail = &m->next;
	return m;
}

/* For what turns out to be no condition at all, as "via any". */
void match_drop_last(struct parser *p, struct rule_match *m)
{
	struct rule_match **at = &p->rule->match;

	while (*at != m)
		at = &(*at)->next;
	*at = NULL;
	p->tail = at;
	free(m);
}

static int parse_iface(struct parser *p, struct rule_match *m, const char *word)
{
	size_t len = strlen(word);
	const char *glob;
	struct in6_addr a;

	if (!strcmp(word, "any")) {
		if (m->negate)
			return rules_fail(p->err, EX_DATAERR, "not any: never matches");
		match_drop_last(p, m);
		return 0;
	}
	if (inet_pton(AF_INET, word, &a) == 1 || inet_pton(AF_INET6, word, &a) == 1)
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not there yet: an address for an interface", word);
	if (!strncmp(word, "table(", 6))
		return rules_fail(p->err, EX_DATAERR, "%s: not there yet", word);
	glob = strpbrk(word, "*?[");
	if (glob && (*glob != '*' || glob[1]))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not there yet: a pattern other than a name's beginning and "
				  "*",
				  word);
	m->iface.prefix = glob != NULL;
	len -= m->iface.prefix;
	if (len >= sizeof(m->iface.name) || strpbrk(word, "/:") || !strcmp(word, ".") ||
	    !strcmp(word, ".."))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not an interface's name: up to 15 characters, no / and no :",
				  word);
	memcpy(m->iface.name, word, len);
	return 0;
}

static int parse_bypass(struct parser *p, struct rule_match *m, const char *word)
{
	const struct rule_match *o;

	if (m->negate)
		return rules_fail(p->err, EX_USAGE, "not bypass: leave bypass out instead");
	if (p->rule->action != RULE_DIVERT)
		return rules_fail(p->err, EX_USAGE, "bypass: only for the action divert");
	for (o = p->rule->match; o != m; o = o->next)
		if (o->type == RULE_BYPASS) {
			match_drop_last(p, m);
			break;
		}
	return 0;
}

static int unknown_option(struct parser *p, const char *word)
{
	char names[256];
	size_t at = 0;
	unsigned int i;

	if (absent_option(word, p->err))
		return -1;
	for (i = 0; i < N_OPTIONS && at < sizeof(names); i++)
		if (!options[i].synonym)
			at += snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
				       options[i].name);
	return rules_fail(p->err, EX_USAGE, "%s: unknown option; expected one of %s", word, names);
}

int parse_option(struct parser *p)
{
	bool negate = parser_take(p, "not");
	const struct option *o;
	struct rule_match *m;
	const char *word;

	word = parser_next(p, "option");
	if (!word)
		return -1;
	o = find_option(word);
	if (!o)
		return unknown_option(p, word);
	if (!strcmp(word, "out"))
		negate = !negate;
	m = match_new(p, o->type, negate, false);
	if (!m)
		return -1;
	if (o->argument) {
		word = parser_next(p, o->argument);
		if (!word)
			return -1;
	}
	return o->parse ? o->parse(p, m, word) : 0;
}
