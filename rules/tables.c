/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables: their names and types in the rule set; their entries, which lie in the kernel half. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static const char *const type_names[] = {
	[RULES_TABLE_ADDR] = "addr",
	[RULES_TABLE_NUMBER] = "number",
	[RULES_TABLE_IFACE] = "iface",
};

const char *rules_table_type_name(enum rules_table_type type)
{
	return type_names[type];
}

struct rules_table *rules_table_find(const struct rules *s, const char *name)
{
	struct rules_table *t;

	for (t = s->tables; t; t = t->next)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

struct rules_table *rules_table_add(struct rules *s, const char *name, enum rules_table_type type,
				    struct rules_error *err)
{
	struct rules_table **at = &s->tables, *t;

	/* an id is never given twice: entries of a table that is gone cannot be those of another */
	t = s->last_table < 0x7fffffff ? calloc(1, sizeof(*t)) : NULL;
	if (!t) {
		rules_fail(err, EX_OSERR, "out of memory");
		return NULL;
	}
	strcpy(t->name, name);
	t->type = type;
	t->id = ++s->last_table;
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	return t;
}

int rules_table_renew(struct rules *s, struct rules_table *t, struct rules_error *err)
{
	if (s->last_table >= 0x7fffffff)
		return rules_fail(err, EX_UNAVAILABLE, "too many tables were made");
	t->id = ++s->last_table;
	return 0;
}

void rules_table_swap(struct rules_table *a, struct rules_table *b)
{
	uint32_t id = a->id;

	a->id = b->id;
	b->id = id;
}

/* ---- what rules mention ---- */

typedef int (*visitor)(const struct rule_table *t, enum rules_table_type type, void *arg);

static int visit_match(const struct rule_match *m, visitor visit, void *arg)
{
	unsigned int i;
	int rc = 0;

	switch (rule_kind[m->type].argument) {
	case ARG_ADDRS:
		for (i = 0; i < m->n && !rc; i++)
			if (m->addr[i].kind == RULE_ADDR_TABLE)
				rc = visit(m->addr[i].table, RULES_TABLE_ADDR, arg);
		return rc;
	case ARG_IFACE:
		return m->iface.table ? visit(m->iface.table, RULES_TABLE_IFACE, arg) : 0;
	case ARG_LOOKUP:
		return visit(m->lookup.table,
			     m->lookup.key <= RULE_LOOKUP_DST ? RULES_TABLE_ADDR
							      : RULES_TABLE_NUMBER,
			     arg);
	default:
		return 0;
	}
}

static int visit_rule(const struct rule *r, visitor visit, void *arg)
{
	const struct rule_match *m;
	int rc = 0;

	for (m = r->match; m && !rc; m = m->next)
		rc = visit_match(m, visit, arg);
	return rc;
}

struct making {
	struct rules *rules;
	struct rules_error *err;
};

static int check_table(const struct rule_table *t, enum rules_table_type type, void *arg)
{
	struct making *m = arg;
	const struct rules_table *have = rules_table_find(m->rules, t->name);

	if (have && have->type != type)
		return rules_fail(m->err, EX_DATAERR, "table(%s): of type %s, here %s is needed",
				  t->name, type_names[have->type], type_names[type]);
	return 0;
}

static int make_table(const struct rule_table *t, enum rules_table_type type, void *arg)
{
	struct making *m = arg;

	if (check_table(t, type, arg))
		return -1;
	return rules_table_find(m->rules, t->name) ||
			       rules_table_add(m->rules, t->name, type, m->err)
		       ? 0
		       : -1;
}

int tables_of_rule(struct rules *s, const struct rule *r, struct rules_error *err)
{
	struct making m = {s, err};

	return visit_rule(r, check_table, &m) || visit_rule(r, make_table, &m) ? -1 : 0;
}

static int same_table(const struct rule_table *t, enum rules_table_type type, void *arg)
{
	return !strcmp(t->name, arg);
}

int rules_table_delete(struct rules *s, const char *name, struct rules_error *err)
{
	struct rules_table **at = &s->tables, *t;
	unsigned int i;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	t = *at;
	if (!t)
		return rules_fail(err, EX_UNAVAILABLE, "table %s: no such table", name);
	for (i = 0; i < s->n; i++)
		if (visit_rule(s->rule[i], same_table, (void *)name))
			return rules_fail(err, EX_UNAVAILABLE, "table %s: rule %u has it", name,
					  s->rule[i]->number);
	*at = t->next;
	free(t);
	return 0;
}

/* ---- entries ---- */

static int entry_addr(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct rules_entry *e)
{
	struct rule_addr a;
	uint32_t mask;

	if (strchr(word, '{') || parse_address(&a, word))
		goto bad;
	if (a.kind == RULE_ADDR_6) {
		e->addr.table = htonl(t->id << 1 | 1);
		e->addr.bits = 32 + a.bits;
		memcpy(e->addr.addr, &a.ip6, sizeof(a.ip6));
		return 0;
	}
	mask = ntohl(a.mask.s_addr);
	if (~mask & (~mask + 1))
		goto bad;
	e->addr.table = htonl(t->id << 1);
	e->addr.bits = 32 + __builtin_popcount(mask);
	e->addr.addr[0] = a.ip.s_addr;
	return 0;
bad:
	return rules_fail(err, EX_DATAERR, "%s: not an IPv4 or IPv6 address, or prefix of one",
			  word);
}

int rules_entry_parse(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct rules_entry *e)
{
	memset(e, 0, sizeof(*e));
	if (t->type == RULES_TABLE_ADDR)
		return entry_addr(t, word, err, e);
	e->key.table = t->id;
	if (t->type == RULES_TABLE_NUMBER)
		return parse_number(word, ~0u, &e->key.number)
			       ? 0
			       : rules_fail(err, EX_DATAERR,
					    "%s: not a number: expected 0 to "
					    "4294967295",
					    word);
	if (!*word || strlen(word) >= sizeof(e->key.name) || strpbrk(word, "*/:(){},"))
		return rules_fail(err, EX_DATAERR,
				  "%s: not an interface's name: up to 15 characters, no / and no :",
				  word);
	strcpy(e->key.name, word);
	return 0;
}

/* A number, or as in FreeBSD an IPv4 address that stands for one. */
int rules_value_parse(const char *word, uint32_t *value, struct rules_error *err)
{
	struct in_addr a;

	if (parse_number(word, ~0u, value))
		return 0;
	if (inet_pton(AF_INET, word, &a) == 1) {
		*value = ntohl(a.s_addr);
		return 0;
	}
	return rules_fail(err, EX_DATAERR, "%s: not a value: expected 0 to 4294967295", word);
}

void rules_entry_print(const struct rules_table *t, const struct rules_entry *e, char text[64])
{
	char buf[INET6_ADDRSTRLEN];
	bool six;

	switch (t->type) {
	case RULES_TABLE_ADDR:
		six = ntohl(e->addr.table) & 1;
		inet_ntop(six ? AF_INET6 : AF_INET, e->addr.addr, buf, sizeof(buf));
		snprintf(text, 64, "%s/%u", buf, e->addr.bits - 32);
		break;
	case RULES_TABLE_NUMBER:
		snprintf(text, 64, "%u", e->key.number);
		break;
	case RULES_TABLE_IFACE:
		snprintf(text, 64, "%.15s", e->key.name);
		break;
	}
}
