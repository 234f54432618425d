// SPDX-License-Identifier: BSD-2-Clause
#include "alike.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MIN	   16 /* about as many comparisons as cost the same as one lookup, with a margin */
#define VALUES_MAX 16 /* of one rule */

static const uint8_t field_of[] = {DIVERT_F_SRC4, DIVERT_F_DST4, DIVERT_F_DPORT, DIVERT_F_SPORT};
#define FIELDS (sizeof(field_of))

static uint32_t start_of(const struct walk *w, uint32_t entry)
{
	return w->rules->entry[entry].insn;
}

/* The fields for which the entry's rules only match listed values, as bits. */
static uint8_t wants(struct walk *w, uint32_t entry)
{
	struct known k = {.kind = -1, .index = -1};
	uint8_t fields = 0;
	unsigned int f;

	for (f = 0; f < FIELDS; f++) {
		k.unequal = field_of[f];
		if (!walk_may_match(w, start_of(w, entry), start_of(w, entry + 1), &k))
			fields |= 1u << f;
	}
	return fields;
}

/*
 * Append the entry's values to the list, which has room for VALUES_MAX more. Returns how many; 0:
 * too many.
 */
static uint32_t add_values(struct alike *a, const struct walk *w, uint32_t entry, int field)
{
	const uint32_t before = a->n;
	uint32_t pc, value[WALK_VALUES];
	unsigned int i, n;

	for (pc = start_of(w, entry); pc < start_of(w, entry + 1); pc++) {
		n = walk_values(&w->rules->insn[pc], field, value);
		if (a->n - before + n > VALUES_MAX)
			return 0;
		for (i = 0; i < n; i++)
			a->list[a->n++] = (struct divert_entry){value[i], entry};
	}
	return a->n - before;
}

static int by_value(const void *a, const void *b)
{
	const struct divert_entry *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return x->insn < y->insn ? -1 : x->insn > y->insn;
}

static uint32_t distinct(const struct divert_entry *e, uint32_t n)
{
	uint32_t i, count = n ? 1 : 0;

	for (i = 1; i < n; i++)
		count += e[i].rule != e[i - 1].rule;
	return count;
}

/*
 * Try a run for the field that begins with this entry. false: the run is too short, or has too few
 * distinct values.
 */
static bool try_run(struct alike *a, struct walk *w, const uint8_t *want, uint32_t entries,
		    unsigned int f, struct run *run)
{
	const uint32_t from = run->from;

	*run = (struct run){.from = from, .end = from, .first = a->n, .field = field_of[f]};
	while (run->end < entries && want[run->end] & 1u << f &&
	       add_values(a, w, run->end, run->field))
		run->end++;
	/* an entry with too many values may have added some already */
	while (a->n > run->first && a->list[a->n - 1].insn >= run->end)
		a->n--;
	run->n = a->n - run->first;
	qsort(&a->list[run->first], run->n, sizeof(*a->list), by_value);
	return run->end - from >= RUN_MIN && distinct(&a->list[run->first], run->n) * 2 >= run->n;
}

static void find(struct alike *a, struct walk *w, const uint8_t *want, uint32_t entries)
{
	uint32_t from = 0, tried[FIELDS] = {0};
	struct run run;
	unsigned int f;

	while (from < entries) {
		for (f = 0; f < FIELDS; f++) {
			/*
			 * a run with too few distinct values would fail from the next entry on, too
			 */
			if (from < tried[f])
				continue;
			run.from = from;
			if (try_run(a, w, want, entries, f, &run))
				break;
			a->n = run.first;
			if (run.end - from >= RUN_MIN)
				tried[f] = run.end;
		}
		if (f < FIELDS)
			a->run[a->runs++] = run;
		from = f < FIELDS ? run.end : from + 1;
	}
}

int alike_find(struct alike *a, struct walk *w)
{
	const uint32_t entries = w->rules->entries - 1; /* all but the default rule's */
	uint8_t *want = calloc(entries + 1, sizeof(*want));
	uint32_t e;

	memset(a, 0, sizeof(*a));
	a->run = calloc(entries / RUN_MIN + 1, sizeof(*a->run));
	a->list = calloc((size_t)(entries + 1) * VALUES_MAX, sizeof(*a->list));
	if (!want || !a->run || !a->list) {
		free(want);
		alike_free(a);
		return -ENOMEM;
	}
	for (e = 0; e < entries; e++)
		want[e] = wants(w, e);
	find(a, w, want, entries);
	free(want);
	return 0;
}

void alike_free(struct alike *a)
{
	free(a->run);
	free(a->list);
	memset(a, 0, sizeof(*a));
}
