/* SPDX-License-Identifier: BSD-2-Clause */
/* A change to the rule set in place: taken out, changed as a model, put back as a whole. */
#ifndef LIB_CHANGE_H
#define LIB_CHANGE_H

#include "engine/engine.h"
#include "rules/rules.h"

struct change {
	struct engine engine;
	bool open;     /* false: there is no engine, and so no rule */
	bool soon;     /* CHANGE_SOON */
	bool replaced; /* rules without owner were dropped from the one in place */
	struct rules rules;
	uint8_t fresh[DIVERT_RULES_MAX]; /* counters that are to be set to 0 */
};

enum change_flags {			     /* beside those of engine_open() */
		    CHANGE_AFRESH = 1 << 16, /* if what is in place cannot be read, nothing is */
		    CHANGE_ALONE = 1 << 17,  /* no engine is looked for: changes go nowhere */
		    CHANGE_SOON = 1 << 18,   /* as engine_rules_set() has it: for tools */
};

/* Rules whose owner has ended are left out. NULL: failed; the error says why, its status an errno. */
struct change *change_open(unsigned int flags, struct rules_error *err);

/* Put the rule set in place. 0 or -1. Warn of interfaces that cannot be hooked, if tell is given. */
int change_commit(struct change *c, void (*tell)(const char *name, const char *why, void *arg),
		  struct rules_error *err);
/* Warn of what lets packets past the rules, if there are any: an interface without hooks, somebody else's before them. */
void change_look(struct change *c, void (*tell)(const char *name, const char *why, void *arg));
void change_close(struct change *c);

#endif
