/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses: "10.0.0.1", "10.0.0.0/8", "10.0.0.0:255.0.0.0", "10.0.0.0/24{1,5-9}", "2001:db8::/32",
 * "2001:db8::1/ffff:ffff::ffff", "me", "me6", "localhost", "table(name,value)", and lists of these.
 */
#include <arpa/inet.h>
#include <stdio.h>
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

/* The length of the prefix; -1: not a prefix. */
static int prefix6(const struct in6_addr *mask)
{
	unsigned int i, bits = 0;

	while (bits < 128 && mask->s6_addr[bits / 8] & 0x80 >> bits % 8)
		bits++;
	for (i = bits; i < 128; i++)
		if (mask->s6_addr[i / 8] & 0x80 >> i % 8)
			return -1;
	return bits;
}

/* "64", or "ffff:ffff:ffff:ffff::" */
static bool parse_mask6(struct rule_addr *a, const char *word)
{
	unsigned int i;
	uint32_t bits;
	int prefix;

	a->kind = RULE_ADDR_6;
	if (parse_number(word, 128, &bits)) {
		a->bits = bits;
		for (i = 0; i < bits; i++)
			a->mask6.s6_addr[i / 8] |= 0x80 >> i % 8;
	} else {
		if (inet_pton(AF_INET6, word, &a->mask6) != 1)
			return false;
		prefix = prefix6(&a->mask6);
		if (prefix < 0)
			a->kind = RULE_ADDR_6_MASK;
		else
			a->bits = prefix;
	}
	for (i = 0; i < 16; i++)
		a->ip6.s6_addr[i] &= a->mask6.s6_addr[i];
	return true;
}

/* "1,5-9": last bytes, which must be in the network. */
static bool parse_set(struct rule_addr *a, char *list)
{
	uint32_t last = ntohl(a->ip.s_addr) & 255, host = ~ntohl(a->mask.s_addr), lo, hi;
	char *item, *dash;

	while ((item = strsep(&list, ","))) {
		dash = strchr(item, '-');
		if (dash)
			*dash++ = 0;
		if (!parse_number(item, 255, &lo) || (dash && !parse_number(dash, 255, &hi)))
			return false;
		if (!dash)
			hi = lo;
		if (lo > hi || lo < last || hi > last + host)
			return false;
		for (; lo <= hi; lo++)
			a->set[lo / 32] |= 1u << lo % 32;
	}
	return true;
}

static bool parse_four(struct rule_addr *a, char *item)
{
	char *slash = strchr(item, '/'), *colon = strchr(item, ':'), *set = strchr(item, '{');
	size_t len = strlen(item);

	if (set) {
		if (!slash || slash > set || item[len - 1] != '}')
			return false;
		item[len - 1] = 0;
		*set++ = 0;
	}
	if (colon && slash)
		return false;
	if (slash)
		*slash++ = 0;
	if (colon)
		*colon++ = 0;
	a->kind = RULE_ADDR_4;
	a->mask.s_addr = ~0u;
	if (inet_pton(AF_INET, item, &a->ip) != 1 || (slash && !prefix4(a, slash)) ||
	    (colon && inet_pton(AF_INET, colon, &a->mask) != 1))
		return false;
	a->ip.s_addr &= a->mask.s_addr;
	if (!set)
		return true;
	a->kind = RULE_ADDR_SET;
	return ntohl(a->mask.s_addr) >= 0xffffff00 && parse_set(a, set);
}

/* Parse the address in item, which is modified. */
static bool parse_one(char *item, struct rule_addr *a)
{
	char *slash = strchr(item, '/');

	memset(a, 0, sizeof(*a));
	if (!strcmp(item, "me") || !strcmp(item, "me6")) {
		a->kind = item[2] ? RULE_ADDR_ME6 : RULE_ADDR_ME;
		return true;
	}
	if (slash)
		*slash = 0;
	if (inet_pton(AF_INET6, item, &a->ip6) == 1)
		return parse_mask6(a, slash ? slash + 1 : "128");
	if (slash)
		*slash = '/';
	return parse_four(a, item);
}

const char *loopback_name(const char *item, bool six, char text[64])
{
	size_t len = strlen("localhost");

	if (strncmp(item, "localhost", len) || (item[len] && !strchr("/:", item[len])))
		return item;
	snprintf(text, 64, "%s%s", six ? "::1" : "127.0.0.1", item + len);
	return text;
}

int parse_address(struct rule_addr *a, const char *word)
{
	char copy[64];

	if (strlen(word) >= sizeof(copy))
		return -1;
	strcpy(copy, word);
	return parse_one(copy, a) && (a->kind == RULE_ADDR_4 || a->kind == RULE_ADDR_6) ? 0 : -1;
}

/* ---- lists ---- */

bool is_six(const struct rule_addr *a)
{
	return a->kind == RULE_ADDR_6 || a->kind == RULE_ADDR_6_MASK || a->kind == RULE_ADDR_ME6;
}

static void limit_family(struct parser *p, const struct rule_match *m, const char *word)
{
	unsigned int i, n4 = 0, n6 = 0;

	for (i = 0; i < m->n; i++) {
		n4 += m->addr[i].kind == RULE_ADDR_4 || m->addr[i].kind == RULE_ADDR_SET;
		n6 += is_six(&m->addr[i]);
	}
	if (m->negate || p->in_block)
		return;
	if (n4 == m->n)
		p->only4 = word;
	if (n6 == m->n)
		p->only6 = word;
}

static int parse_item(struct parser *p, struct rule_addr *a, const char *item, const char *word)
{
	char *copy, text[64];
	bool ok;

	if (is_table(item)) {
		memset(a, 0, sizeof(*a));
		a->kind = RULE_ADDR_TABLE;
		return parse_table(p, &a->table, item);
	}
	if (!strcmp(item, "any"))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: any with other addresses: leave them out", word);
	copy = strdup(loopback_name(item, p->six || p->only6, text));
	if (!copy)
		return rules_fail(p->err, EX_OSERR, "out of memory");
	ok = parse_one(copy, a);
	free(copy);
	if (ok)
		return 0;
	return rules_fail(p->err, EX_DATAERR,
			  "%s: not an IPv4 or IPv6 address (names are not looked up)",
			  *item ? item : word);
}

int parse_addresses(struct parser *p, struct rule_match *m, const char *word)
{
	char *copy = strdup(word), *rest = copy, *item;
	int rc = 0;

	m->addr = calloc(list_count(word), sizeof(*m->addr));
	if (!copy || !m->addr)
		rc = rules_fail(p->err, EX_OSERR, "out of memory");
	while (!rc && (item = list_item(&rest))) {
		m->n++; /* count also one that fails, so that its table is freed */
		rc = parse_item(p, &m->addr[m->n - 1], item, word);
	}
	free(copy);
	if (!rc)
		limit_family(p, m, word);
	return rc;
}
