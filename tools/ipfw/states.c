/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw -d: the states of flows, in FreeBSD's form. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipfw.h"

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static bool is_asked(const struct command *c, uint16_t number)
{
	unsigned int i;

	for (i = 0; i < c->n; i++)
		if (number >= c->span[i].first && number <= c->span[i].last)
			return true;
	return !c->n;
}

/* The rule that made the state; NULL: it is gone, or is in another set than the one asked for. */
static const struct rule *rule_of(const struct session *s, const struct command *c, uint32_t id)
{
	const struct rules *r = &s->change->rules;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (r->rule[i]->state_id == id)
			return c->set == NO_SET || r->rule[i]->set == c->set ? r->rule[i] : NULL;
	return NULL;
}

static bool is_shown(const struct engine_flow *x, const struct command *c, uint64_t at)
{
	if (x->key.kind == DIVERT_FLOW_LIMIT)
		return x->flow.n;
	return x->flow.expires > at || c->options.expired;
}

/* Without counters there is no time either, as in FreeBSD. */
static void print_counters(FILE *f, const struct divert_flow *d, const int *width, uint64_t at)
{
	uint64_t left = d->expires > at ? d->expires - at : 0;

	fprintf(f, " %*llu %*llu (%llus)", width[0], (unsigned long long)d->packets, width[1],
		(unsigned long long)d->bytes,
		(unsigned long long)((left + 999999999) / 1000000000));
}

static void print_flow(FILE *f, const struct engine_flow *x, const struct rule *r, const int *width,
		       uint64_t at)
{
	const struct divert_flow *d = &x->flow;
	const bool is_limit = x->key.kind == DIVERT_FLOW_LIMIT;
	char text[ENGINE_FLOW_TEXT];

	fprintf(f, "%05u", r->number);
	if (width)
		print_counters(f, d, width, at);
	if (is_limit)
		fprintf(f, " PARENT %u", d->n);
	else if (x->key.kind == DIVERT_FLOW_FIRST)
		fprintf(f, " FIRST %u %u", d->n, d->back);
	else
		fputs(d->limit_by ? " LIMIT" : " STATE", f);
	engine_flow_text(&x->key, !is_limit && d->swapped, text);
	fprintf(f, " %s", text);
	if (x->key.kind == DIVERT_FLOW_FIRST)
		fputc('\n', f);
	else
		fprintf(f, " :%s\n", r->flow);
}

/* The columns fit the largest counter. Returns how many states there are. */
static int measure(const struct engine_flow *list, int n, const struct command *c, uint64_t at,
		   int *width)
{
	int i, k, len, shown = 0;

	for (i = 0; i < n; i++) {
		if (!is_shown(&list[i], c, at))
			continue;
		shown++;
		for (k = 0; k < 2; k++) {
			len = snprintf(NULL, 0, "%llu",
				       (unsigned long long)(k ? list[i].flow.bytes
							      : list[i].flow.packets));
			if (len > width[k])
				width[k] = len;
		}
	}
	return shown;
}

/* width: that of the rules' counters; NULL: list no counters */
int list_states(struct session *s, const struct command *c, int *width, struct rules_error *err)
{
	const uint64_t at = now();
	const struct rule *r;
	struct engine_flow *list = NULL;
	int i, unused[2] = {}, n = s->change->open ? engine_flows(&s->change->engine, &list) : 0;
	int shown = measure(list, n, c, at, width ? width : unused);

	if (n < 0)
		return rules_fail(err, EX_OSERR, "%s", engine_error());
	if (shown && c->n)
		fputs("## Dynamic rules:\n", s->out);
	else if (shown)
		fprintf(s->out, "## Dynamic rules (%d %zu):\n", shown, shown * sizeof(*list));
	for (i = 0; i < n; i++) {
		r = rule_of(s, c, list[i].flow.rule);
		if (r && is_asked(c, r->number) && is_shown(&list[i], c, at))
			print_flow(s->out, &list[i], r, width, at);
	}
	free(list);
	return 0;
}

int delete_states(struct session *s, const struct command *c, struct rules_error *err)
{
	struct engine_flow *list = NULL;
	const struct rule *r;
	int i, n = s->change->open ? engine_flows(&s->change->engine, &list) : 0, keep = 0;

	if (n < 0)
		return rules_fail(err, EX_OSERR, "%s", engine_error());
	for (i = 0; i < n; i++) {
		r = rule_of(s, c, list[i].flow.rule);
		if (r && is_asked(c, r->number))
			list[keep++] = list[i];
	}
	engine_flows_expire(&s->change->engine, list, keep);
	free(list);
	return 0;
}
