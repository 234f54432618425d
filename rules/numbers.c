/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses protocols, ports, ICMP types and marks. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/layout.h"
#include "parse.h"

static bool is_any(const char *word)
{
	/* /etc/protocols has an alias in capitals, with number 0 */
	return !strcmp(word, "ip") || !strcmp(word, "IP") || !strcmp(word, "all");
}

static bool is_ip4(const char *word)
{
	return !strcmp(word, "ip4") || !strcmp(word, "ipv4");
}

static bool is_ip6(const char *word)
{
	return !strcmp(word, "ip6") || !strcmp(word, "ipv6");
}

bool is_protocol(const char *word)
{
	return is_any(word) || is_ip4(word) || is_ip6(word) || protocol_number(word) >= 0;
}

int parse_protocol(struct parser *p, struct rule_match *m, const char *word)
{
	int proto;

	if (is_any(word)) {
		if (m->negate)
			return rules_fail(p->err, EX_DATAERR, "not %s: never matches", word);
		match_drop_last(p, m);
		return 0;
	}
	if (is_ip4(word)) {
		m->type = RULE_IP4;
		if (!m->negate && !p->in_block)
			p->only4 = word;
		return 0;
	}
	if (is_ip6(word)) {
		m->type = RULE_IP6;
		if (!m->negate && !p->in_block)
			p->only6 = word;
		return 0;
	}
	proto = protocol_number(word);
	if (proto < 0)
		return rules_fail(p->err, EX_DATAERR,
				  "%s: unknown protocol; expected ip, ip4, ip6, tcp, udp, icmp, "
				  "another of /etc/protocols, or 0 to 255",
				  word);
	m->proto = proto;
	return 0;
}

/* ---- ports ---- */

/* ipfw(8) escapes hyphens in service names with a backslash; a bare one marks a range. */
static char *find_range(char *s)
{
	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (*s == '-')
			return s;
	}
	return NULL;
}

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		*to++ = *s;
	}
	*to = 0;
}

bool parse_port(char *s, uint16_t *port)
{
	uint32_t v;

	unescape(s);
	if (parse_number(s, 65535, &v)) {
		*port = v;
		return true;
	}
	return service_port(s, NULL, port);
}

static bool parse_port_range(char *s, struct rule_range *r)
{
	char *hi = find_range(s);

	if (hi)
		*hi++ = 0;
	if (!parse_port(s, &r->lo))
		return false;
	r->hi = r->lo;
	return !hi || parse_port(hi, &r->hi);
}

static bool parse_plain_range(char *s, struct rule_range *r, bool ranges)
{
	char *hi = ranges ? strchr(s, '-') : NULL;
	uint32_t v;

	if (hi)
		*hi++ = 0;
	if (!parse_number(s, 65535, &v))
		return false;
	r->lo = r->hi = v;
	if (!hi)
		return true;
	if (!parse_number(hi, 65535, &v))
		return false;
	r->hi = v;
	return true;
}

static bool parse_plain(char *s, struct rule_range *r)
{
	return parse_plain_range(s, r, true);
}

static bool parse_single(char *s, struct rule_range *r)
{
	return parse_plain_range(s, r, false);
}

static int parse_list(struct parser *p, struct rule_match *m, const char *word,
		      bool (*one)(char *, struct rule_range *), const char *what)
{
	char *copy, *rest, *item;
	unsigned int n = 1;
	const char *c;
	int rc = -1;

	for (c = word; *c; c++)
		n += *c == ',';
	copy = rest = strdup(word);
	m->range = calloc(n, sizeof(*m->range));
	if (!copy || !m->range) {
		rules_fail(p->err, EX_OSERR, "out of memory");
		goto out;
	}
	while ((item = list_item(&rest))) {
		if (!one(item, &m->range[m->n])) {
			rules_fail(p->err, EX_DATAERR, "%s: %s", word, what);
			goto out;
		}
		m->n++;
	}
	rc = 0;
out:
	free(copy);
	return rc;
}

int parse_ports(struct parser *p, struct rule_match *m, const char *word)
{
	return parse_list(p, m, word, parse_port_range,
			  "not ports: expected 0 to 65535, names of /etc/services, ranges, lists");
}

static int by_lo(const void *a, const void *b)
{
	const struct rule_range *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

/*
 * Parse numbers up to a limit. Types are sorted without duplicates, because ipfw(8) prints them
 * from a bitmap.
 */
int parse_ranges(struct parser *p, struct rule_match *m, const char *word)
{
	const struct rule_kind *k = &rule_kind[m->type];
	bool single = k->argument == ARG_NUMBERS;
	unsigned int i, n = 0;
	char what[96];

	snprintf(what, sizeof(what), "not %s: expected 0 to %u, or a list", k->what, k->max);
	if (parse_list(p, m, word, single ? parse_single : parse_plain, what))
		return -1;
	for (i = 0; i < m->n; i++)
		if (m->range[i].hi > k->max)
			return rules_fail(p->err, EX_DATAERR, "%s: %s", word, what);
	if (!single)
		return 0;
	qsort(m->range, m->n, sizeof(*m->range), by_lo);
	for (i = 0; i < m->n; i++)
		if (!n || m->range[i].lo != m->range[n - 1].lo)
			m->range[n++] = m->range[i];
	m->n = n;
	return 0;
}

int parse_divert_port(struct parser *p, const char *word, uint16_t *port)
{
	uint32_t v;

	if (parse_number(word, 65535, &v) && v) {
		*port = v;
		return 0;
	}
	if (service_port(word, "divert", port) && *port)
		return 0;
	return rules_fail(p->err, EX_DATAERR,
			  "%s: not a divert port: expected 1 to 65535 or a name of /etc/services",
			  word);
}

/* ---- marks ---- */

static bool parse_mark_number(const char *s, uint32_t *v)
{
	unsigned long long sum;
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	sum = strtoull(s, &end, s[0] == '0' && (s[1] | 32) == 'x' ? 16 : 10);
	if (errno || *end || sum > ~0u)
		return false;
	*v = sum;
	return true;
}

int parse_mark(struct parser *p, struct rule_match *m, const char *word)
{
	char *copy = strdup(word), *slash;
	bool ok;

	if (!copy)
		return rules_fail(p->err, EX_OSERR, "out of memory");
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = 0;
	m->mark.mask = ~0u;
	m->mark.hex = strpbrk(word, "xX");
	ok = parse_mark_number(copy, &m->mark.value) &&
	     (!slash || parse_mark_number(slash, &m->mark.mask));
	free(copy);
	if (!ok)
		return rules_fail(p->err, EX_DATAERR, "%s: not a mark: expected VALUE[/MASK]",
				  word);
	if (m->mark.value & ~m->mark.mask)
		return rules_fail(p->err, EX_DATAERR,
				  "%s: never matches: the value has bits that the mask has not",
				  word);
	return 0;
}
