// SPDX-License-Identifier: BSD-2-Clause
#include "needs.h"

#include <arpa/inet.h>
#include <string.h>

#include "port.h"

void needs_begin(struct needs *n, struct engine *e, const struct engine_rules *next)
{
	static const struct engine_rules none;

	memset(n, 0, sizeof(*n));
	n->all = ruleset_code(e, &n->place) || walk_begin(&n->walk[0], &n->place) ||
		 walk_begin(&n->walk[1], next ? next : &none);
}

void needs_end(struct needs *n)
{
	walk_end(&n->walk[0]);
	walk_end(&n->walk[1]);
	ruleset_code_free(&n->place);
}

/* May a rule other than the default one, which is the last entry, match? */
static bool may_match(struct walk *w, const struct known *k)
{
	const struct engine_rules *r = w->rules;
	uint32_t i;

	for (i = 0; i + 1 < r->entries; i++)
		if (walk_may_match(w, r->entry[i].insn, r->entry[i + 1].insn, k))
			return true;
	return false;
}

bool needs_hook(struct needs *n, const char *name, enum hook_side side)
{
	char padded[DIVERT_NAME_LEN] = "";
	uint32_t word[DIVERT_NAME_LEN / 4], i;
	const struct known k = {
		.mask = DIVERT_IS_OUT,
		.flags = side == HOOK_OUT ? DIVERT_IS_OUT : 0,
		.kind = -1,
		.index = -1,
		.unequal = -1,
		.name = word,
	};

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	memcpy(word, padded, sizeof(word));
	for (i = 0; i < sizeof(word) / sizeof(*word); i++)
		word[i] = ntohl(word[i]);
	return n->all || may_match(&n->walk[0], &k) || may_match(&n->walk[1], &k);
}
