/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of the rule set. Their entries are in the kernel half. */
#include <stdlib.h>
#include <string.h>

#include "parse.h"

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

	/* ids are not reused, so that entries of a deleted table cannot appear in another */
	t = s->last_table < 0x7fffffff ? calloc(1, sizeof(*t)) : NULL;
	if (!t) {
		rules_fail(err, EX_OSERR, "out of memory");
		return NULL;
	}
	strcpy(t->name, name);
	t->type = type;
	t->fields = type == RULES_TABLE_FLOW ? DIVERT_FLOW_ALL : 0;
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

/* ---- tables that rules name ---- */

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
	case ARG_FLOW:
		return visit(m->lookup.table, RULES_TABLE_FLOW, arg);
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
				  t->name, table_type_name(have->type), table_type_name(type));
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

unsigned int rules_table_uses(const struct rules *s, const char *name)
{
	unsigned int i, n = 0;

	for (i = 0; i < s->n; i++)
		n += visit_rule(s->rule[i], same_table, (void *)name);
	return n;
}

int rules_table_swap(struct rules_table *a, struct rules_table *b, struct rules_error *err)
{
	uint32_t id = a->id;

	if (!rules_table_same_form(a, b))
		return rules_fail(err, EX_DATAERR,
				  "table %s: of another type, or with other values, than %s",
				  b->name, a->name);
	/* the rules refer to tables by id, and all rules change at once */
	a->id = b->id;
	b->id = id;
	return 0;
}
