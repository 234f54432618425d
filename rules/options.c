/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of a rule, behind its addresses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int parse_bypass(struct parser *p, struct rule_match *m, const char *word);

/* Other words for options, and for some with their argument. */
static const struct {
	const char *name;
	enum rule_match_type type;
} synonyms[] = {
	{"out", RULE_IN}, /* turned around in parse_option() */
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

/* RULE_TYPES: there is none. */
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
	match_free(m);
}

int match_any(struct parser *p, struct rule_match *m)
{
	if (m->negate)
		return rules_fail(p->err, EX_DATAERR, "not any: never matches");
	match_drop_last(p, m);
	return 0;
}

void match_free(struct rule_match *m)
{
	unsigned int i;

	switch (rule_kind[m->type].argument) {
	case ARG_ADDRS:
		for (i = 0; m->addr && i < m->n; i++)
			free(m->addr[i].table);
		free(m->addr);
		break;
	case ARG_PORTS:
	case ARG_RANGES:
	case ARG_NUMBERS:
	case ARG_DSCP:
		free(m->range);
		break;
	case ARG_VALUES:
	case ARG_VALUE:
	case ARG_USER:
	case ARG_GROUP:
		free(m->value);
		break;
	case ARG_IFACE:
		free(m->iface.table);
		break;
	case ARG_LOOKUP:
	case ARG_FLOW:
		free(m->lookup.table);
		break;
	default:
		break;
	}
	free(m);
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
	if (m->negate || p->in_block)
		return 0;
	switch (m->type) {
	case RULE_IP6:
	case RULE_ICMP6:
	case RULE_EXT6HDR:
	case RULE_FLOWID:
		p->only6 = word;
		break;
	case RULE_IPVER:
		if (*m->value == 4)
			p->only4 = word;
		else if (*m->value == 6)
			p->only6 = word;
		break;
	case RULE_IP4:
	case RULE_IPID:
	case RULE_IPTTL:
	case RULE_IPTOS:
	case RULE_IPPRECEDENCE:
	case RULE_IPOPTIONS:
		p->only4 = word;
		break;
	default:
		break;
	}
	return 0;
}

static int parse_argument(struct parser *p, struct rule_match *m, const char *word)
{
	switch (rule_kind[m->type].argument) {
	case ARG_NONE:
		return 0;
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

/* "ip4": options that are protocols. */
static int parse_version(struct parser *p, const char *name, enum rule_match_type type, bool negate)
{
	struct rule_match *m = match_new(p, type, negate, false);

	return m ? limit_family(p, m, name) : -1;
}

/* src-ip6 and the like are src-ip, but for IPv6 only. */
static int check_six(struct parser *p, const struct rule_match *m, const char *name)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (!is_six(&m->addr[i]))
			return rules_fail(p->err, EX_DATAERR, "%s: IPv6 addresses only", name);
	return 0;
}

/* Has frag, whose argument may be left out, one? */
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

	if (!name)
		return -1;
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
	if (parse_argument(p, m, word)) /* which may have dropped m */
		return -1;
	return p->six ? check_six(p, m, name) : 0;
}

/* "{ option or option ... }"; one that is no condition, as "via any", makes the block none. */
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
	/* the last one may have been or'ed with one that is no condition */
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
