// SPDX-License-Identifier: BSD-2-Clause
#include "chainset.h"

#include <string.h>

unsigned int chainset_flags(char op)
{
	if (op == 'C')
		return 0;
	/* without an engine there are no rules to delete: do not load one */
	return strchr("DFXZ", op) ? ENGINE_LOCK : ENGINE_LOAD | ENGINE_LOCK;
}

int chainset_open(struct chainset *s, unsigned int flags, struct rules_error *err)
{
	memset(s, 0, sizeof(*s));
	s->change = transaction_open(flags, err);
	if (!s->change)
		return -1;
	return chains_load(&s->chains, &s->change->rules, err);
}

int chainset_commit(struct chainset *s, void (*tell)(const char *name, const char *why, void *arg),
		    struct rules_error *err)
{
	struct transaction *c = s->change;

	if (!c->open)
		return 0;
	if (chains_apply(&s->chains, &c->rules, c->fresh, err))
		return -1;
	return transaction_commit(c, tell, err);
}

void chainset_close(struct chainset *s)
{
	chains_free(&s->chains);
	if (s->change)
		transaction_close(s->change);
}

static int zero(struct chainset *s, const struct chain_rule *r, struct rules_error *err)
{
	unsigned int i;
	int rc;

	for (i = 0; i < r->slots; i++) {
		rc = engine_counter_zero(&s->change->engine, r->slot[i], NULL);
		if (rc < 0)
			return rules_fail(err, -rc, "%s", engine_error());
	}
	return 0;
}

int chainset_zero(struct chainset *s, const char *name, struct rules_error *err)
{
	const struct chain *chain;
	unsigned int i;

	if (*name && !chains_find(&s->chains, name, err))
		return -1;
	for (chain = s->chains.first; chain; chain = chain->next) {
		if (*name && strcmp(chain->name, name))
			continue;
		for (i = 0; i < chain->n; i++)
			if (zero(s, chain->rule[i], err))
				return -1;
		if (zero(s, &chain->end, err))
			return -1;
	}
	return 0;
}
