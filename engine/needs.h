/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which sides of interfaces need a hook: those where a packet may match a rule other than the
 * default one. Only the interface's name is known, which is all that rules say about one; every
 * other test may come out either way.
 */
#ifndef DIVERT_ENGINE_NEEDS_H
#define DIVERT_ENGINE_NEEDS_H

#include "hook.h"
#include "walk.h"

struct needs {
	struct engine_rules place; /* the installed rules */
	struct walk walk[2];	   /* of these, and of the next ones */
	bool all;		   /* the rules cannot be read: every side needs a hook */
};

/* next: NULL, or the rules that are about to be installed. The caller calls needs_end(). */
void needs_begin(struct needs *n, struct engine *e, const struct engine_rules *next);
bool needs_hook(struct needs *n, const char *name, enum hook_side side);
void needs_end(struct needs *n);

#endif
