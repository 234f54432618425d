/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule set: rules in order, and the counters that they use. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parse.h"

void rule_free(struct rule *r)
{
	struct rule_match *m, *next;

	if (!r)
		return;
	for (m = r->match; m; m = next) {
		next = m->next;
		match_free(m);
	}
	free(r->comment);
	free(r->never);
	free(r->text);
	free(r);
}

int rule_add_bypass(struct rule *r)
{
	struct rule_match **last = &r->match, *m;
	char *text;

	if (r->action != RULE_DIVERT)
		return 0;
	for (; *last; last = &(*last)->next)
		if ((*last)->type == RULE_BYPASS)
			return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -1;
	m->type = RULE_BYPASS;
	*last = m;
	text = rule_print(r, 0);
	if (!text) {
		*last = NULL;
		match_free(m);
		return -1;
	}
	free(r->text);
	r->text = text;
	return 0;
}

void rules_init(struct rules *s)
{
	memset(s, 0, sizeof(*s));
	s->slot[0] = RULES_SLOT_USED; /* the default rule's */
}

static void free_tables(struct rules *s)
{
	struct rules_table *t;

	while ((t = s->tables)) {
		s->tables = t->next;
		free(t);
	}
}

void rules_free(struct rules *s)
{
	rules_flush(s);
	free_tables(s);
	free(s->rule);
	rules_init(s);
}

/* 0: all slots are in use. */
static uint32_t find_slot(const struct rules *s)
{
	uint32_t i, fallback = 0;

	for (i = 1; i < DIVERT_RULES_MAX; i++) {
		if (!s->slot[i])
			return i;
		if (!fallback && !(s->slot[i] & RULES_SLOT_USED))
			fallback = i;
	}
	return fallback;
}

/*
 * As ipfw(8): a step above the highest number or, if that is too high, the highest. Chains do not
 * count.
 */
static uint16_t next_number(const struct rules *s)
{
	unsigned int i = s->n, highest = 0;

	while (i && s->rule[i - 1]->chain)
		i--;
	if (i)
		highest = s->rule[i - 1]->number;

	return highest + RULES_STEP < RULES_DEFAULT ? highest + RULES_STEP : highest;
}

bool rule_keeps(const struct rule *r)
{
	const struct rule_match *m;

	for (m = r->match; m && m->type != RULE_FIRST; m = m->next)
		;
	return m || r->state;
}

bool rule_changes(const struct rule *r)
{
	return r->change.mark || r->change.tos_clear || r->change.tos_flip;
}

/*
 * An id for a rule that keeps something of flows. It begins at the clock: what a packet may still
 * make by a rule set that was flushed is no later rule's.
 */
static uint32_t next_state(struct rules *s)
{
	if (!s->last_state)
		s->last_state = (uint32_t)time(NULL) << 8;
	if (!++s->last_state)
		s->last_state++;
	return s->last_state;
}

/* The index of the first rule above a number. */
static unsigned int above(const struct rules *s, unsigned int number)
{
	unsigned int lo = 0, hi = s->n, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (s->rule[mid]->number <= number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool grow(struct rules *s)
{
	unsigned int room = s->room ? s->room * 2 : 16;
	struct rule **rule;

	if (s->n < s->room)
		return true;
	rule = reallocarray(s->rule, room, sizeof(*rule));
	if (!rule)
		return false;
	s->rule = rule;
	s->room = room;
	return true;
}

int rules_add(struct rules *s, struct rule *r, struct rules_error *err)
{
	uint32_t slot = find_slot(s);
	unsigned int at;

	if (r->number == RULES_DEFAULT)
		return rules_fail(err, EX_DATAERR,
				  "65535: the default rule's number; expected 1 to 65534");
	if (rule_changes(r) && !r->chain)
		return rules_fail(err, EX_DATAERR,
				  "%s: only rules of chains have it: use ipchains -%c",
				  r->change.mark ? "setfwmark" : "settos",
				  r->change.mark ? 'm' : 't');
	if (!slot)
		return rules_fail(err, EX_UNAVAILABLE, "too many rules, %d at most",
				  DIVERT_RULES_MAX - 1);
	if (!grow(s))
		return rules_fail(err, EX_OSERR, "out of memory");
	if (tables_of_rule(s, r, err))
		return -1;
	if (!r->number)
		r->number = next_number(s);
	if (rule_keeps(r) && !r->state_id)
		r->state_id = next_state(s);
	r->counter = slot;
	s->slot[slot] |= RULES_SLOT_USED;
	at = above(s, r->number);
	memmove(s->rule + at + 1, s->rule + at, (s->n - at) * sizeof(*s->rule));
	s->rule[at] = r;
	s->n++;
	return 0;
}

unsigned int rules_delete(struct rules *s, unsigned int first, unsigned int last)
{
	unsigned int lo = first ? above(s, first - 1) : 0, hi = above(s, last), i;

	if (hi <= lo)
		return 0;
	for (i = lo; i < hi; i++) {
		s->slot[s->rule[i]->counter] &= ~RULES_SLOT_USED;
		rule_free(s->rule[i]);
	}
	memmove(s->rule + lo, s->rule + hi, (s->n - hi) * sizeof(*s->rule));
	s->n -= hi - lo;
	return hi - lo;
}

unsigned int rules_delete_if(struct rules *s, bool (*goes)(const struct rule *r, void *arg),
			     void *arg)
{
	unsigned int i, n = 0, was = s->n;

	for (i = 0; i < was; i++) {
		if (goes(s->rule[i], arg)) {
			s->slot[s->rule[i]->counter] &= ~RULES_SLOT_USED;
			rule_free(s->rule[i]);
		} else {
			s->rule[n++] = s->rule[i];
		}
	}
	s->n = n;
	return was - n;
}

unsigned int rules_ports(const struct rules *s, uint32_t *port)
{
	const struct rule *r;
	unsigned int i, n = 0;

	for (i = 0; i < s->n; i++) {
		r = s->rule[i];
		if ((r->action == RULE_DIVERT || r->action == RULE_TEE) && r->arg && !r->tablearg)
			port[n++] = r->arg;
	}
	return n;
}

struct part {
	unsigned int set, first, last;
};

static bool in_part(const struct rule *r, void *arg)
{
	const struct part *p = arg;

	return r->set == p->set && !r->chain && r->number >= p->first && r->number <= p->last;
}

unsigned int rules_delete_set(struct rules *s, unsigned int set, unsigned int first,
			      unsigned int last)
{
	struct part p = {set, first, last};

	return rules_delete_if(s, in_part, &p);
}

static bool may_be_flushed(const struct rule *r, void *arg)
{
	return r->set != RULES_SET_RESERVED || r->chain;
}

void rules_flush_sets(struct rules *s)
{
	free(s->chains);
	s->chains = NULL;
	rules_delete_if(s, may_be_flushed, NULL);
}

void rules_flush(struct rules *s)
{
	free(s->chains);
	s->chains = NULL;
	rules_delete(s, 0, RULES_DEFAULT);
}
