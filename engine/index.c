// SPDX-License-Identifier: BSD-2-Clause
/*
 * Make the index of a rule set: for each kind of packet and each place, the sections of rules that
 * such a packet may match (walk.h). Runs of rules that are alike are looked up (alike.h).
 */
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alike.h"
#include "indexed.h"

static uint32_t flags_of(uint32_t kind)
{
	return (kind & DIVERT_KIND_V6 ? DIVERT_IS_V6 : DIVERT_IS_V4) |
	       (kind & DIVERT_KIND_OUT ? DIVERT_IS_OUT : 0);
}

static void add_kinds(struct indexed *x, struct walk *w, uint32_t from, uint32_t end, uint64_t bit)
{
	struct known k = {.mask = WALK_FLAGS | DIVERT_IS_OUT, .index = -1, .unequal = -1};

	for (k.kind = 0; k.kind < DIVERT_KIND_ROOM; k.kind++) {
		k.flags = flags_of(k.kind);
		if (walk_may_match(w, from, end, &k))
			x->head.kind[k.kind] |= bit;
	}
}

/*
 * Places are those of packets of two kinds: a port is nobody's, an address a version's, an
 * interface a direction's.
 */
static void know(struct known *k, bool second)
{
	k->mask = k->flags = 0;
	if (k->index == DIVERT_INDEX_IFACE) {
		k->mask = DIVERT_IS_OUT;
		k->flags = second ? DIVERT_IS_OUT : 0;
	} else if (k->index > DIVERT_INDEX_SPORT) {
		k->mask = WALK_FLAGS;
		k->flags = second ? DIVERT_IS_V6 : DIVERT_IS_V4;
	}
}

/* Has a packet of this direction such a place? */
static bool is_place(const struct known *k)
{
	return k->index != DIVERT_INDEX_IFACE ||
	       (k->place >= DIVERT_INDEX_ROOM / 2) == !!(k->flags & DIVERT_IS_OUT);
}

static void add_places_of(struct indexed *x, struct walk *w, uint32_t from, uint32_t end,
			  struct known *k, uint64_t bit)
{
	const bool ask = walk_asks(w, from, end, k);
	bool matches = true, is_asked = false;

	if (ask)
		x->head.asks |= 1u << k->index;
	for (k->place = 0; k->place < DIVERT_INDEX_ROOM; k->place++) {
		if (!is_place(k))
			continue;
		if (ask || !is_asked)
			matches = walk_may_match(w, from, end, k);
		is_asked = true;
		if (matches)
			x->head.index[k->index][k->place] |= bit;
	}
}

static void add_places(struct indexed *x, struct walk *w, uint32_t from, uint32_t end, uint64_t bit)
{
	struct known k = {.kind = -1, .unequal = -1};

	for (k.index = 0; k.index < DIVERT_INDEXES; k.index++) {
		know(&k, false);
		add_places_of(x, w, from, end, &k, bit);
		know(&k, true);
		add_places_of(x, w, from, end, &k, bit);
	}
}

/* ---- tables ---- */

/* The tables that rules ask first for an address: as many as there is room for. */
static void find_asked(struct indexed *x, const struct engine_rules *r)
{
	struct divert_asked *asked = x->head.asked;
	uint32_t i, n = 0, j;

	for (i = 0; i < r->insns && n < DIVERT_ASKED; i++) {
		if (!walk_is_asked(&r->insn[i]))
			continue;
		asked[n] = (struct divert_asked){.table = r->insn[i].lookup.table,
						 .key = r->insn[i].lookup.key};
		for (j = 0; asked[j].table != asked[n].table || asked[j].key != asked[n].key; j++)
			;
		n += j == n;
	}
	x->asked = n;
}

/*
 * Its sections, of which one number's rules, from here to the end, are part. A table that a rule
 * looks up, and that may match without it, is not asked first: the table may change in between, and
 * the packet miss either rule.
 */
static void add_asked(struct indexed *x, struct walk *w, uint32_t from, uint32_t end, uint64_t bit)
{
	struct known k = {.kind = -1, .index = -1, .unequal = -1};
	uint32_t i;

	for (i = 0; i < x->asked; i++) {
		k.absent = &x->head.asked[i];
		if (walk_may_match(w, from, end, &k))
			x->head.asked[i].sections |=
				walk_looks_up(w, from, end, k.absent) ? ~0ull : bit;
	}
}

/* Until here it says what matches without the table. Tables that rule nothing out are not asked. */
static void end_asked(struct indexed *x, uint64_t all)
{
	struct divert_asked *asked = x->head.asked, *to = asked;
	uint32_t i;

	for (i = 0; i < x->asked; i++) {
		asked[i].sections = all & ~asked[i].sections;
		if (asked[i].sections)
			*to++ = asked[i];
	}
	memset(to, 0, (asked + DIVERT_ASKED - to) * sizeof(*to));
}

/* ---- sections: each has runs, which are one, and other numbers, as equally as can be ---- */

/* Each entry's section and run. */
struct place {
	uint32_t section;
	const struct run *run; /* NULL: none */
};

static void find_places(const struct alike *a, uint32_t entries, struct place *place)
{
	uint32_t e, units = 0, unit = 0, r;

	for (r = 0; r < a->runs; r++)
		for (e = a->run[r].from; e < a->run[r].end; e++)
			place[e].run = &a->run[r];
	for (e = 0; e < entries; e++)
		units += !place[e].run || place[e].run->from == e;
	for (e = 0; e < entries; e++) {
		unit += e && (!place[e].run || place[e].run->from == e);
		place[e].section = units <= DIVERT_SECTIONS
					   ? unit
					   : (uint32_t)((uint64_t)unit * DIVERT_SECTIONS / units);
	}
}

/* ---- the instructions, with a SKIP ahead of each entry ---- */

/* An index in the making. */
struct making {
	const struct engine_rules *rules;
	struct walk walk;
	struct alike alike;
	struct place *place; /* of each entry but the default rule's */
	uint32_t *before;    /* of each instruction: how many entries there are before */
};

static uint32_t moved(const struct making *m, uint32_t pc)
{
	return pc + m->before[pc];
}

static uint32_t start_of(const struct making *m, uint32_t entry)
{
	return moved(m, m->rules->entry[entry].insn);
}

static struct divert_insn skip_of(const struct making *m, uint32_t entry)
{
	const struct run *run = m->place[entry].run;
	struct divert_insn skip = {.op = DIVERT_OP_SKIP, .rule = m->rules->entry[entry].rule};

	skip.skip.section = m->place[entry].section;
	skip.yes = skip.no = start_of(m, entry) + 1;
	if (run) {
		skip.field = run->field;
		skip.no = start_of(m, run->end);
		skip.skip.first = run->first;
		skip.skip.n = run->n;
	}
	return skip;
}

static void move(const struct making *m, struct indexed *x)
{
	const struct engine_rules *r = m->rules;
	struct divert_insn *to = x->insn;
	uint32_t i, e = 0;

	for (i = 0; i < r->insns; i++) {
		if (e < r->entries - 1 && r->entry[e].insn == i)
			*to++ = skip_of(m, e++);
		*to = r->insn[i];
		to->yes = moved(m, to->yes);
		to->no = moved(m, to->no);
		if (to->op == DIVERT_OP_FRAGMENT)
			to->fragment.action = moved(m, to->fragment.action);
		to++;
	}
	for (e = 0; e < r->entries; e++)
		x->entry[e] = (struct divert_entry){r->entry[e].rule, start_of(m, e)};
	for (i = 0; i < m->alike.n; i++)
		x->value[i] = (struct divert_entry){m->alike.list[i].rule,
						    start_of(m, m->alike.list[i].insn)};
	x->values = m->alike.n;
}

static void count_before(const struct engine_rules *r, uint32_t *before)
{
	uint32_t i, e = 0;

	for (i = 0; i < r->insns; i++) {
		before[i] = e;
		if (e < r->entries - 1 && r->entry[e].insn == i)
			e++;
	}
}

/* ---- the rules that make states: a packet of such a flow goes on at the rule's action ---- */

static uint32_t count_states(const struct engine_rules *r)
{
	uint32_t i, n = 0;

	for (i = 0; i < r->insns; i++)
		n += r->insn[i].op == DIVERT_OP_KEEP || r->insn[i].op == DIVERT_OP_FIRST;
	return n;
}

static int by_id(const void *a, const void *b)
{
	const struct divert_entry *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return x->insn < y->insn ? 1 : -1;
}

/* FIRST leads nowhere: of a rule that has it, too, what KEEP leads to comes first. */
static void find_states(struct indexed *x)
{
	uint32_t i;

	for (i = 0; i < x->insns; i++) {
		if (x->insn[i].op == DIVERT_OP_KEEP)
			x->state[x->states++] = (struct divert_entry){x->insn[i].state.id, i + 1};
		if (x->insn[i].op == DIVERT_OP_FIRST)
			x->state[x->states++] = (struct divert_entry){x->insn[i].state.id, 0};
	}
	qsort(x->state, x->states, sizeof(*x->state), by_id);
}

static void fill_in(struct making *m, struct indexed *x)
{
	const struct divert_entry *entry = m->rules->entry;
	const uint32_t entries = m->rules->entries - 1;
	uint32_t e, section;
	uint64_t all = 0;

	find_asked(x, m->rules);
	for (e = 0; e < entries; e++) {
		section = m->place[e].section;
		all |= 1ull << section;
		if (!e || section != m->place[e - 1].section)
			x->head.section[section] = start_of(m, e);
		add_kinds(x, &m->walk, entry[e].insn, entry[e + 1].insn, 1ull << section);
		add_places(x, &m->walk, entry[e].insn, entry[e + 1].insn, 1ull << section);
		add_asked(x, &m->walk, entry[e].insn, entry[e + 1].insn, 1ull << section);
	}
	end_asked(x, all);
	move(m, x);
	find_states(x);
}

static int make(struct making *m, struct indexed *x)
{
	const struct engine_rules *r = m->rules;
	int rc;

	m->before = calloc(r->insns + 1, sizeof(*m->before));
	m->place = calloc(r->entries, sizeof(*m->place));
	x->insn = calloc(r->insns + r->entries, sizeof(*x->insn));
	x->entry = calloc(r->entries, sizeof(*x->entry));
	if (!m->before || !m->place || !x->insn || !x->entry)
		return -ENOMEM;
	x->insns = r->insns + r->entries - 1;
	rc = walk_begin(&m->walk, r);
	if (!rc)
		rc = alike_find(&m->alike, &m->walk);
	if (rc)
		return rc;
	x->value = calloc(m->alike.n + 1, sizeof(*x->value));
	x->state = calloc(count_states(r) + 1, sizeof(*x->state));
	if (!x->value || !x->state)
		return -ENOMEM;
	count_before(r, m->before);
	find_places(&m->alike, r->entries - 1, m->place);
	fill_in(m, x);
	return 0;
}

int index_make(const struct engine_rules *r, struct indexed *x)
{
	struct making m = {.rules = r};
	int rc;

	memset(x, 0, sizeof(*x));
	if (!r->entries)
		return 0;
	rc = make(&m, x);
	if (rc)
		index_free(x);
	alike_free(&m.alike);
	walk_end(&m.walk);
	free(m.place);
	free(m.before);
	return rc;
}

void index_free(struct indexed *x)
{
	free(x->insn);
	free(x->entry);
	free(x->value);
	free(x->state);
	memset(x, 0, sizeof(*x));
}
