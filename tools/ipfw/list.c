/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw list and ipfw show. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipfw.h"

static bool is_in(const struct rule *r, const struct span *span, int set)
{
	return r->number >= span->first && r->number <= span->last &&
	       (set == NO_SET || r->set == set);
}

bool span_has_rules(const struct rules *r, const struct span *span, int set)
{
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (is_in(r->rule[i], span, set))
			return true;
	return false;
}

int no_such_rule(const struct span *span, struct rules_error *err)
{
	if (span->first == span->last)
		return rules_fail(err, EX_UNAVAILABLE, "rule %u: no such rule", span->first);
	return rules_fail(err, EX_UNAVAILABLE, "rules %u-%u: no such rules", span->first,
			  span->last);
}

static int get_counter(struct session *s, uint32_t slot, struct divert_rule_counter *sum,
		       struct rules_error *err)
{
	memset(sum, 0, sizeof(*sum));
	if (!s->change->open || s->change->fresh[slot] || s->zero[slot] & ZERO_ASKED)
		return 0;
	if (engine_counter_get(&s->change->engine, slot, sum) < 0)
		return rules_fail(err, EX_OSERR, "%s", engine_error());
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
	const struct options *options;
	bool counters;
	int set;
	int packets, bytes; /* widths of the columns */
};

/* Print when the rule last matched, as -t or -T says. */
static void print_time(struct session *s, const struct options *o, uint64_t last)
{
	struct timespec real, mono;
	time_t at;
	struct tm tm;
	char text[64] = "";

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	at = real.tv_sec - mono.tv_sec + last / 1000000000;
	if (o->seconds) {
		fprintf(s->out, "%10llu ", last ? (unsigned long long)at : 0);
		return;
	}
	if (last)
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", localtime_r(&at, &tm));
	fprintf(s->out, "%-24s ", text);
}

static int print_rule(struct session *s, const struct listing *l, unsigned int number,
		      const struct rule *r, struct rules_error *err)
{
	const struct options *o = l->options;
	struct divert_rule_counter sum;
	unsigned int set = r ? r->set : RULES_SET_RESERVED;
	char *text = NULL;

	if (r && r->set != RULES_SET_RESERVED && s->change->rules.disabled >> r->set & 1) {
		if (!o->sets)
			return 0;
		fputs("# DISABLED ", s->out);
	}
	fprintf(s->out, "%05u ", number);
	if ((l->counters || o->date || o->seconds) && get_counter(s, r ? r->counter : 0, &sum, err))
		return -1;
	if (l->counters)
		fprintf(s->out, "%*llu %*llu ", l->packets, (unsigned long long)sum.packets,
			l->bytes, (unsigned long long)sum.bytes);
	if (o->date || o->seconds)
		print_time(s, o, sum.last);
	if (o->sets || (set && r && !r->chain))
		fprintf(s->out, "set %u ", set);
	if (r) {
		text = rule_print(r, RULE_PRINT_LIST | o->print);
		if (!text)
			return rules_fail(err, EX_OSERR, "out of memory");
	}
	fprintf(s->out, "%s\n", text ? text : RULES_DEFAULT_TEXT);
	free(text);
	return 0;
}

/* Measure the columns: as in FreeBSD, they fit the largest counter of any rule. */
static int measure(struct session *s, struct listing *l, struct rules_error *err)
{
	struct divert_rule_counter sum;
	unsigned int i;

	for (i = 0; i <= s->change->rules.n; i++) {
		if (get_counter(s, i < s->change->rules.n ? s->change->rules.rule[i]->counter : 0,
				&sum, err))
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

	for (i = 0; i < s->change->rules.n; i++) {
		r = s->change->rules.rule[i];
		if (is_in(r, span, l->set) && print_rule(s, l, r->number, r, err))
			return -1;
	}
	if (span->last == RULES_DEFAULT && (l->set == NO_SET || l->set == RULES_SET_RESERVED))
		return print_rule(s, l, RULES_DEFAULT, NULL, err);
	return 0;
}

int list_rules(struct session *s, const struct command *c, struct rules_error *err)
{
	static const struct span all = {1, RULES_DEFAULT};
	struct listing l = {
		.options = &c->options,
		.counters = c->op == CMD_SHOW || c->options.counters,
		.set = c->set,
	};
	int width[2] = {};
	unsigned int i;

	if (c->options.states_only)
		return list_states(s, c, l.counters ? width : NULL, err);
	if (l.counters && measure(s, &l, err))
		return -1;
	width[0] = l.packets;
	width[1] = l.bytes;
	if (!c->n && print_span(s, &l, &all, err))
		return -1;
	for (i = 0; i < c->n; i++)
		if (c->span[i].last != RULES_DEFAULT &&
		    !span_has_rules(&s->change->rules, &c->span[i], c->set))
			return no_such_rule(&c->span[i], err);
	for (i = 0; i < c->n; i++)
		if (print_span(s, &l, &c->span[i], err))
			return -1;
	return c->options.states ? list_states(s, c, l.counters ? width : NULL, err) : 0;
}
