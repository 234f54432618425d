/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipchains.h"

#include <errno.h>
#include <string.h>

int session_open(struct session *s, unsigned int flags, struct rules_error *err)
{
	memset(s, 0, sizeof(*s));
	s->change = change_open(flags, err);
	if (!s->change)
		return -1;
	return chains_load(&s->chains, &s->change->rules, err);
}

static void warn_interface(const char *name, const char *why, void *arg)
{
	fprintf(stderr, "ipchains: warning: %s\n", why); /* which names it */
}

int session_commit(struct session *s, struct rules_error *err)
{
	struct change *c = s->change;

	if (!c->open)
		return 0;
	if (chains_apply(&s->chains, &c->rules, c->fresh, err))
		return -1;
	return change_commit(c, warn_interface, err);
}

void session_close(struct session *s)
{
	chains_free(&s->chains);
	if (s->change)
		change_close(s->change);
}

static int fail_engine(struct rules_error *err)
{
	err->status = EIO;
	snprintf(err->text, sizeof(err->text), "%s", engine_error());
	return -1;
}

int session_count(struct session *s, const struct chain_rule *r, struct divert_rule_counter *sum,
		  struct rules_error *err)
{
	struct divert_rule_counter one;
	unsigned int i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < r->slots; i++) {
		if (engine_counter_get(&s->change->engine, r->slot[i], &one) < 0)
			return fail_engine(err);
		sum->packets += one.packets;
		sum->bytes += one.bytes;
	}
	return 0;
}

static int zero(struct session *s, const struct chain_rule *r, struct rules_error *err)
{
	unsigned int i;

	for (i = 0; i < r->slots; i++)
		if (engine_counter_zero(&s->change->engine, r->slot[i]) < 0)
			return fail_engine(err);
	return 0;
}

int session_zero(struct session *s, const char *name, struct rules_error *err)
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
