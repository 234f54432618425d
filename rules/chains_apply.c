/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Converts between chains and a rule set: which rules belong to chains, and which counters they
 * have.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chains_make.h"
#include "parse.h"

static int no_memory(struct rules_error *err)
{
	return rules_fail(err, ENOMEM, "out of memory");
}

/* ---- from a rule set ---- */

static int add_slot(struct chain_rule *r, uint32_t slot)
{
	uint32_t *more = reallocarray(r->slot, r->slots + 1, sizeof(*more));

	if (!more)
		return -1;
	r->slot = more;
	r->slot[r->slots++] = slot;
	return 0;
}

/* Assign the set's counters to the chain rules that its numbered rules were made from. */
static int find_slots(struct chains *c, const struct rules *s, struct rules_error *err)
{
	struct maker m = {.chains = c, .err = err};
	unsigned int i, k = 0;
	int rc = make_chains(&m);

	for (i = 0; i < m.n && !rc; i++) {
		while (k < s->n && (!s->rule[k]->chain || s->rule[k]->number < m.made[i].number))
			k++;
		if (k == s->n)
			break;
		if (s->rule[k]->number == m.made[i].number && m.made[i].from &&
		    add_slot(m.made[i].from, s->rule[k]->counter))
			rc = no_memory(err);
	}
	maker_free(&m);
	return rc;
}

int chains_load(struct chains *c, const struct rules *s, struct rules_error *err)
{
	char *copy, *rest, *line;
	int rc = chains_init(c, err);

	if (rc || !s->chains)
		return rc;
	copy = rest = strdup(s->chains);
	if (!copy)
		rc = no_memory(err);
	while (!rc && (line = strsep(&rest, "\n")))
		if (*line)
			rc = chains_read_line(c, line, err);
	free(copy);
	if (!rc)
		rc = find_slots(c, s, err);
	if (rc)
		chains_free(c);
	return rc;
}

/* ---- into a rule set ---- */

static int add(struct rules *s, const struct made *made, uint8_t *fresh, struct rules_error *err)
{
	struct chain_rule *from = made->from;
	struct rule *r;
	uint32_t slot = 0;

	if (rule_parse(made->line, &r, err)) {
		if (err)
			err->status = EOPNOTSUPP;
		return -1;
	}
	r->number = made->number;
	r->chain = true;
	r->set = RULES_SET_RESERVED; /* cannot be disabled, moved or swapped */
	if (rules_add(s, r, err)) {
		rule_free(r);
		if (err)
			err->status = ENOSPC;
		return -1;
	}
	if (from && from->given < from->slots) {
		slot = from->slot[from->given++];
		s->slot[r->counter] &= ~RULES_SLOT_USED;
		r->counter = slot;
		s->slot[slot] |= RULES_SLOT_USED;
	} else if (fresh) {
		fresh[r->counter] = 1;
	}
	return 0;
}

static bool is_old(const struct rule *r, void *arg)
{
	return r->chain;
}

/* Reserve the counters of existing chain rules, so that no other rule gets them. */
static void hold_slots(struct maker *m, struct rules *s)
{
	struct chain_rule *r;
	unsigned int i, k;

	for (i = 0; i < m->n; i++) {
		r = m->made[i].from;
		if (!r)
			continue;
		r->given = 0;
		for (k = 0; k < r->slots; k++)
			s->slot[r->slot[k]] |= RULES_SLOT_USED;
	}
}

static void let_slots_go(struct maker *m, struct rules *s)
{
	struct chain_rule *r;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		r = m->made[i].from;
		for (; r && r->given < r->slots; r->slots--)
			s->slot[r->slot[r->slots - 1]] &= ~RULES_SLOT_USED;
	}
}

int chains_apply(struct chains *c, struct rules *s, uint8_t fresh[DIVERT_RULES_MAX],
		 struct rules_error *err)
{
	struct maker m = {.chains = c, .err = err};
	unsigned int i;
	char *text;
	int rc = chains_text(c, &text);

	if (rc)
		return no_memory(err);
	free(s->chains);
	s->chains = text;
	rc = make_chains(&m);
	if (!rc) {
		rules_delete_if(s, is_old, NULL);
		hold_slots(&m, s);
		for (i = 0; i < m.n && !rc; i++)
			rc = add(s, &m.made[i], fresh, err);
		let_slots_go(&m, s);
	}
	maker_free(&m);
	return rc;
}

int chain_alone(struct chains *c, struct chain *chain, struct rules *s, struct rules_error *err)
{
	struct maker m = {.chains = c, .alone = true, .err = err};
	unsigned int i;
	int rc;

	rules_init(s);
	rc = make_chain_alone(&m, chain);
	for (i = 0; i < m.n && !rc; i++) {
		m.made[i].from = NULL;
		rc = add(s, &m.made[i], NULL, err);
	}
	maker_free(&m);
	if (rc)
		rules_free(s);
	return rc;
}
