/* SPDX-License-Identifier: BSD-2-Clause */
/* Creates and frees conditions, for the parser. */
#include <stdlib.h>

#include "parse.h"

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

/* Remove a condition that turns out to be none, such as "via any". */
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
