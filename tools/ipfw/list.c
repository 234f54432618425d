/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw list and ipfw show. */
#include "ipfw.h"

#include <string.h>

bool span_has_rules(const struct rules *r, const struct span *span)
{
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (r->rule[i]->number >= span->first && r->rule[i]->number <= span->last)
			return true;
	return false;
}

int no_such_rule(const struct span *span, struct rules_error *err)
{
	if (span->first == span->last)
		return fail(err, EX_UNAVAILABLE, "rule %u: no such rule", span->first);
	return fail(err, EX_UNAVAILABLE, "rules %u-%u: no such rules", span->first, span->last);
}

static int get_counter(struct session *s, uint32_t slot, struct divert_rule_counter *sum,
		       struct rules_error *err)
{
	memset(sum, 0, sizeof(*sum));
	if (!s->open || s->zero[slot])
		return 0;
	if (engine_counter_get(&s->engine, slot, sum) < 0)
		return fail(err, EX_OSERR, "%s", engine_error());
	return 0;
}

static int digits(uint64_t v)
{
	int n = 1;

	while (v >= 10) {
		v /= 10;
		n++;
	}
	return n;
}

struct listing {
	bool counters;
	int packets, bytes; /* widths of the columns */
};

static int print_rule(struct session *s, const struct listing *l, unsigned int number,
		      uint32_t slot, const char *text, struct rules_error *err)
{
	struct divert_rule_counter sum;

	fprintf(s->out, "%05u ", number);
	if (l->counters) {
		if (get_counter(s, slot, &sum, err))
			return -1;
		fprintf(s->out, "%*llu %*llu ", l->packets, (unsigned long long)sum.packets,
			l->bytes, (unsigned long long)sum.bytes);
	}
	fprintf(s->out, "%s\n", text);
	return 0;
}

/* As FreeBSD's: the columns are as wide as the largest counter of any rule. */
static int measure(struct session *s, struct listing *l, struct rules_error *err)
{
	struct divert_rule_counter sum;
	unsigned int i;

	for (i = 0; i <= s->rules.n; i++) {
		if (get_counter(s, i < s->rules.n ? s->rules.rule[i]->counter : 0, &sum, err))
			return -1;
		if (digits(sum.packets) > l->packets)
			l->packets = digits(sum.packets);
		if (digits(sum.bytes) > l->bytes)
			l->bytes = digits(sum.bytes);
	}
	return 0;
}

static int print_span(struct session *s, const struct listing *l, const struct span *span,
		      struct rules_error *err)
{
	const struct rule *r;
	unsigned int i;

	for (i = 0; i < s->rules.n; i++) {
		r = s->rules.rule[i];
		if (r->number < span->first || r->number > span->last)
			continue;
		if (print_rule(s, l, r->number, r->counter, r->text, err))
			return -1;
	}
	if (span->last == RULES_DEFAULT)
		return print_rule(s, l, RULES_DEFAULT, 0, RULES_DEFAULT_TEXT, err);
	return 0;
}

int list_rules(struct session *s, const struct command *c, bool counters, struct rules_error *err)
{
	static const struct span all = {1, RULES_DEFAULT};
	struct listing l = {.counters = counters};
	unsigned int i;

	if (counters && measure(s, &l, err))
		return -1;
	if (!c->n)
		return print_span(s, &l, &all, err);
	for (i = 0; i < c->n; i++)
		if (c->span[i].last != RULES_DEFAULT && !span_has_rules(&s->rules, &c->span[i]))
			return no_such_rule(&c->span[i], err);
	for (i = 0; i < c->n; i++)
		if (print_span(s, &l, &c->span[i], err))
			return -1;
	return 0;
}
