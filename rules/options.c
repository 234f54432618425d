/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses the options of a rule, which follow its addresses. */
#include <stdio.h>
#include <string.h>

#include "parse.h"

static int parse_bypass(struct parser *p, struct rule_match *m, const char *word);

/* Synonyms of options. */
static const struct {
	const char *name;
	enum rule_match_type type;
} synonyms[] = {
	{"out", RULE_IN}, /* inverted in parse_option() */
	{"icmptype", RULE_ICMP},
	{"icmp6type", RULE_ICMP6},
	{"src-ip6", RULE_SRC},
	{"src-ipv6", RULE_SRC},
	{"dst-ip6", RULE_DST},
	{"dst-ipv6", RULE_DST},
	{"tcpflgs", RULE_TCPFLAGS},
	{"tcpopts", RULE_TCPOPTIONS},
	{"ipopts", RULE_IPOPTIONS},
	{"ip4", RULE_IP4},
	{"ipv4", RULE_IP4},
	{"ip6", RULE_IP6},
	{"ipv6", RULE_IP6},
	{"ipversion", RULE_IPVER},
	{"extension-header", RULE_EXT6HDR},
	{"estab", RULE_ESTABLISHED},
	{"fragment", RULE_FRAG},
};

#define N_SYNONYMS (sizeof(synonyms) / sizeof(*synonyms))

/* RULE_TYPES: no such option. */
static enum rule_match_type find_option(const char *word)
{
	unsigned int i;

	for (i = 0; i < N_SYNONYMS; i++)
		if (!strcmp(word, synonyms[i].name))
			return synonyms[i].type;
	for (i = 0; i < RULE_TYPES; i++)
		if (!strcmp(word, rule_kind[i].name))
			return i;
	return RULE_TYPES;
}

bool is_option(const char *word)
{
	return find_option(word) != RULE_TYPES;
}

static int parse_bypass(struct parser *p, struct rule_match *m, const char *word)
{
	const struct rule_match *o;

	if (m->negate)
		return rules_fail(p->err, EX_USAGE, "not bypass: leave bypass out instead");
	if (p->in_block)
		return rules_fail(p->err, EX_USAGE, "bypass: not in a block");
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
	char names[800];
	size_t at = 0;
	unsigned int i;

	if (!strcmp(word, "log") || !strcmp(word, "logamount"))
		return rules_fail(p->err, EX_USAGE, "%s: it stands behind the action", word);
	if (absent_option(word, p->err))
		return -1;
	for (i = 0; i < RULE_TYPES && at < sizeof(names); i++)
		if (i != RULE_IP4 && i != RULE_IP6)
			at += snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
				       i == RULE_IN ? "in, out" : rule_kind[i].name);
	return rules_fail(p->err, EX_USAGE, "%s: unknown option; expected one of %s", word, names);
}

static int limit_family(struct parser *p, const struct rule_match *m, const char *word)
{
	unsigned int only = rule_kind[m->type].only;

	if (m->negate || p->in_block)
		return 0;
	if (m->type == RULE_IPVER)
		only = *m->value == 4 ? ONLY_V4 : *m->value == 6 ? ONLY_V6 : 0;
	if (only & ONLY_V4)
		p->only4 = word;
	if (only & ONLY_V6)
		p->only6 = word;
	return 0;
}

/* It counts the packets that meet all other conditions: it cannot be one of several. */
static int check_first(struct parser *p, const struct rule_match *m, const char *word)
{
	const struct rule_match *o;

	if (p->in_block)
		return rules_fail(p->err, EX_USAGE, "first: not in a block");
	for (o = p->rule->match; o != m; o = o->next)
		if (o->type == RULE_FIRST)
			return rules_fail(p->err, EX_USAGE, "first %s: a rule has one only", word);
	return 0;
}

static int parse_argument(struct parser *p, struct rule_match *m, const char *word)
{
	switch (rule_kind[m->type].argument) {
	case ARG_NONE:
		return limit_family(p, m, rule_kind[m->type].name);
	case ARG_BYPASS:
		return parse_bypass(p, m, word);
	case ARG_PROTO:
		return parse_protocol(p, m, word);
	case ARG_ADDRS:
		return parse_addresses(p, m, word);
	case ARG_PORTS:
		return parse_ports(p, m, word);
	case ARG_RANGES:
	case ARG_NUMBERS:
		return parse_ranges(p, m, word) || limit_family(p, m, word) ? -1 : 0;
	case ARG_VALUES:
	case ARG_VALUE:
		if (m->type == RULE_FIRST && check_first(p, m, word))
			return -1;
		return parse_values(p, m, word) || limit_family(p, m, word) ? -1 : 0;
	case ARG_FLAGS:
		return parse_flags(p, m, word) || limit_family(p, m, word) ? -1 : 0;
	case ARG_ANY:
		return parse_any(p, m, word) || limit_family(p, m, word) ? -1 : 0;
	case ARG_DSCP:
		return parse_dscp(p, m, word);
	case ARG_IFACE:
		return parse_iface(p, m, word);
	case ARG_MARK:
		return parse_mark(p, m, word);
	case ARG_LOOKUP:
		return parse_lookup(p, m, word);
	case ARG_FLOW:
		return parse_table(p, &m->lookup.table, word);
	case ARG_USER:
	case ARG_GROUP:
		return parse_owner(p, m, word);
	}
	return 0;
}

/* Options that are protocols: "ip4". */
static int parse_version(struct parser *p, const char *name, enum rule_match_type type, bool negate)
{
	struct rule_match *m = match_new(p, type, negate, false);

	return m ? limit_family(p, m, name) : -1;
}

/* src-ip6 and the like are src-ip for IPv6 only. */
static int check_six(struct parser *p, const struct rule_match *m, const char *name)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (!is_six(&m->addr[i]))
			return rules_fail(p->err, EX_DATAERR, "%s: IPv6 addresses only", name);
	return 0;
}

/* Is the word an argument of frag, which may have none? */
static bool is_frag_argument(const char *word)
{
	size_t len;
	unsigned int i;

	if (!word)
		return false;
	word += *word == '!';
	len = strcspn(word, ",");
	for (i = 0; rule_kind[RULE_FRAG].flags[i].name; i++)
		if (strlen(rule_kind[RULE_FRAG].flags[i].name) == len &&
		    !strncmp(word, rule_kind[RULE_FRAG].flags[i].name, len))
			return true;
	return false;
}

static int parse_option(struct parser *p)
{
	bool negate = parser_take(p, "not");
	const char *name = parser_next(p, "option"), *word = NULL;
	enum rule_match_type type;
	struct rule_match *m;
	int rc;

	if (!name)
		return -1;
	rc = parse_state(p, name, negate);
	if (rc <= 0)
		return rc;
	type = find_option(name);
	if (type == RULE_TYPES)
		return unknown_option(p, name);
	if (type == RULE_IP4 || type == RULE_IP6)
		return parse_version(p, name, type, negate);
	if (!strcmp(name, "out"))
		negate = !negate;
	m = match_new(p, type, negate, false);
	if (!m)
		return -1;
	if (type == RULE_FRAG && !is_frag_argument(parser_peek(p)))
		return 0;
	if (rule_kind[type].what) {
		word = parser_next(p, rule_kind[type].what);
		if (!word)
			return -1;
	}
	p->six = rule_kind[type].argument == ARG_ADDRS && strchr(name, '6');
	if (rule_kind[type].argument == ARG_ADDRS && !p->six && !strcmp(word, "any"))
		return match_any(p, m);
	if (parse_argument(p, m, word)) /* it may have dropped m */
		return -1;
	return p->six ? check_six(p, m, name) : 0;
}

/*
 * "{ option or option ... }". If one option is no condition, such as "via any", the whole block is
 * none.
 */
static int parse_block(struct parser *p)
{
	struct rule_match **before = p->tail, **was, *m;
	bool open = false, more;

	do {
		was = p->tail;
		if (parse_option(p))
			return -1;
		if (p->tail == was)
			open = true;
		more = parser_take(p, "or");
		for (m = *was; m; m = m->next)
			m->or_next = more;
	} while (more);
	if (parser_close_block(p))
		return -1;
	while (open && (m = *before)) {
		*before = m->next;
		match_free(m);
	}
	if (open) {
		p->tail = before;
		return 0;
	}
	/* the last one may have been or'ed with an option that is no condition */
	for (m = *before; m; m = m->next)
		m->or_next = m->next != NULL;
	return 0;
}

int parse_options(struct parser *p)
{
	while (parser_peek(p))
		if (parser_open_block(p) ? parse_block(p) : parse_option(p))
			return -1;
	return 0;
}
