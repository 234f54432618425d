/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the commands of ipchains(8) that change chains, on the model. */
#include <errno.h>
#include <stddef.h>

#include "chains.h"
#include "parse.h"

static int put_rules(struct chains *chains, struct chain *chain, const struct chain_command *c,
		     struct rules_error *err)
{
	unsigned int i, number = c->op == 'A' ? CHAIN_END : c->has_number ? c->number : 1;

	if (c->op == 'R')
		return chain_replace(chains, chain, number, &c->spec[0], err);
	for (i = 0; i < c->n; i++) {
		if (chain_insert(chains, chain, number, &c->spec[i], err))
			return -1;
		if (number != CHAIN_END)
			number++;
	}
	return 0;
}

static int delete_rules(struct chain *chain, const struct chain_command *c, struct rules_error *err)
{
	unsigned int i;

	if (c->has_number)
		return chain_delete(chain, c->number, err);
	for (i = 0; i < c->n; i++)
		if (chain_delete_same(chain, &c->spec[i], err))
			return -1;
	return 0;
}

static void flush_all(struct chains *chains)
{
	struct chain *chain;

	for (chain = chains->first; chain; chain = chain->next)
		chain_flush(chain);
}

static int delete_all(struct chains *chains, struct rules_error *err)
{
	struct chain *chain, *next;

	for (chain = chains->first; chain; chain = next) {
		next = chain->next;
		if (chain->kind == CHAIN_USER && chains_delete(chains, chain, err))
			return -1;
	}
	return 0;
}

int chain_command_run(struct chains *chains, const struct chain_command *c, struct rules_error *err)
{
	struct chain *chain = NULL;

	if (c->op == 'N')
		return chains_new(chains, c->chain, err);
	if (*c->chain) {
		chain = chains_find(chains, c->chain, err);
		if (!chain)
			return -1;
	} else if (c->op != 'F' && c->op != 'X') {
		return rules_fail(err, ENOENT, "no chain is named");
	}
	switch (c->op) {
	case 'A':
	case 'I':
	case 'R':
		return put_rules(chains, chain, c, err);
	case 'D':
		return delete_rules(chain, c, err);
	case 'F':
		if (chain)
			chain_flush(chain);
		else
			flush_all(chains);
		return 0;
	case 'X':
		return chain ? chains_delete(chains, chain, err) : delete_all(chains, err);
	case 'P':
		return chain_policy(chain, c->policy, err);
	}
	return 0;
}
