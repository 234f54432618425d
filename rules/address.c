/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses: "10.0.0.1", "10.0.0.0/8", "10.0.0.0:255.0.0.0", "2001:db8::/32", and lists of these. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static bool prefix4(struct rule_addr *a, const char *s)
{
	uint32_t bits;

	if (!parse_number(s, 32, &bits))
		return false;
	a->mask.s_addr = bits ? htonl(~0u << (32 - bits)) : 0;
	return true;
}

static void clear_host6(struct rule_addr *a)
{
	unsigned int i, keep;

	for (i = 0; i < 16; i++) {
		keep = a->bits > i * 8 ? a->bits - i * 8 : 0;
		if (keep < 8)
			a->ip6.s6_addr[i] &= 0xff00 >> keep;
	}
}

/* The address in item, which is cut up. */
static bool parse_address(char *item, struct rule_addr *a)
{
	char *slash = strchr(item, '/'), *colon = strchr(item, ':');
	uint32_t bits = 128;

	memset(a, 0, sizeof(*a));
	if (slash)
		*slash++ = 0;
	if (inet_pton(AF_INET6, item, &a->ip6) == 1) {
		a->family = AF_INET6;
		if (slash && !parse_number(slash, 128, &bits))
			return false;
		a->bits = bits;
		clear_host6(a);
		return true;
	}
	if (colon && slash)
		return false;
	if (colon)
		*colon++ = 0;
	a->family = AF_INET;
	a->mask.s_addr = ~0u;
	if (inet_pton(AF_INET, item, &a->ip) != 1 || (slash && !prefix4(a, slash)) ||
	    (colon && inet_pton(AF_INET, colon, &a->mask) != 1))
		return false;
	a->ip.s_addr &= a->mask.s_addr;
	return true;
}

static void limit_family(struct parser *p, const struct rule_match *m, const char *word)
{
	unsigned int i, n4 = 0;

	for (i = 0; i < m->n; i++)
		n4 += m->addr[i].family == AF_INET;
	if (m->negate || (n4 && n4 < m->n))
		return;
	if (n4)
		p->only4 = word;
	else
		p->only6 = word;
}

int parse_addresses(struct parser *p, struct rule_match *m, const char *word)
{
	char *copy, *rest, *item, *bad;
	unsigned int n = 1;
	const char *c;

	if (!strcmp(word, "me") || !strcmp(word, "me6") || !strncmp(word, "table(", 6))
		return rules_fail(p->err, EX_DATAERR, "%s: not there yet", word);
	if (*word == '{' || *word == '(')
		return rules_fail(p->err, EX_DATAERR, "%s: not there yet: blocks with \"or\"",
				  word);
	for (c = word; *c; c++)
		n += *c == ',';
	copy = rest = strdup(word);
	m->addr = calloc(n, sizeof(*m->addr));
	if (!copy || !m->addr) {
		free(copy);
		return rules_fail(p->err, EX_OSERR, "out of memory");
	}
	while ((item = list_item(&rest))) {
		bad = strdup(item);
		if (!parse_address(item, &m->addr[m->n])) {
			rules_fail(p->err, EX_DATAERR,
				   "%s: not an IPv4 or IPv6 address (names are not looked up)",
				   bad && *bad ? bad : word);
			free(bad);
			free(copy);
			return -1;
		}
		free(bad);
		m->n++;
	}
	free(copy);
	limit_family(p, m, word);
	return 0;
}
