// SPDX-License-Identifier: BSD-2-Clause
#include "counters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "divertctl.h"

static int complain(const char *why)
{
	fprintf(stderr, "divertctl: %s\n", why);
	return EXIT_FAILED;
}

static int read_ports(struct counters *c)
{
	c->ports = engine_ports(&c->t->engine, &c->port);
	return c->ports < 0 || engine_stats(&c->t->engine, &c->none) ? complain(engine_error())
								     : EXIT_OK;
}

static int read_rules(struct counters *c)
{
	const unsigned int n = c->t->rules.n;
	unsigned int i;

	c->rule = calloc(n + 1, sizeof(*c->rule));
	if (!c->rule)
		return complain("out of memory");
	for (i = 0; i <= n; i++)
		if (engine_counter_get(&c->t->engine, i < n ? c->t->rules.rule[i]->counter : 0,
				       &c->rule[i]) < 0)
			return complain(engine_error());
	return EXIT_OK;
}

int counters_read(struct counters *c, bool tell)
{
	struct rules_error err;
	int rc;

	memset(c, 0, sizeof(*c));
	c->t = transaction_open(0, &err);
	if (!c->t)
		return complain(err.text);
	if (!c->t->open) {
		counters_free(c);
		if (tell)
			complain("no engine is loaded in this network namespace");
		return EXIT_NO_ENGINE;
	}
	rc = read_ports(c);
	if (!rc)
		rc = read_rules(c);
	if (rc)
		counters_free(c);
	return rc;
}

void counters_free(struct counters *c)
{
	if (c->t)
		transaction_close(c->t);
	free(c->port);
	free(c->rule);
	memset(c, 0, sizeof(*c));
}

unsigned int counters_number(const struct counters *c, unsigned int i)
{
	return i < c->t->rules.n ? c->t->rules.rule[i]->number : RULES_DEFAULT;
}

const char *counters_text(const struct counters *c, unsigned int i)
{
	return i < c->t->rules.n ? c->t->rules.rule[i]->text : RULES_DEFAULT_TEXT;
}
