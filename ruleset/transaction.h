/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change to the rule set in place: read the set, change the copy, and replace the set as a whole.
 */
#ifndef RULESET_TRANSACTION_H
#define RULESET_TRANSACTION_H

#include "engine/engine.h"
#include "rules/rules.h"

struct transaction {
	struct engine engine;
	bool open;     /* false: there is no engine, and hence no rule */
	bool soon;     /* TRANSACTION_SOON */
	bool replaced; /* the set in place has rules of ended owners, which were removed here */
	struct rules rules;
	uint8_t fresh[DIVERT_RULES_MAX]; /* counters to zero */
};

/* In addition to those of engine_open(). */
enum transaction_flags {
	/* start without rules if those in place cannot be read */
	TRANSACTION_AFRESH = 1 << 16,
	/* use no engine: changes have no effect */
	TRANSACTION_ALONE = 1 << 17,
	TRANSACTION_SOON = 1 << 18, /* see struct engine_rules; for tools */
};

/* Leaves out rules whose owner has ended. NULL: failed; err says why, with an errno as status. */
struct transaction *transaction_open(unsigned int flags, struct rules_error *err);

/*
 * Put the rule set in place. 0 or -1. If tell is given, it warns of interfaces that cannot be
 * hooked.
 */
int transaction_commit(struct transaction *c,
		       void (*tell)(const char *name, const char *why, void *arg),
		       struct rules_error *err);
/*
 * If there are rules, warn of anything that lets packets bypass them: an interface without our
 * hooks, or another program's hook that runs before ours.
 */
void transaction_look(struct transaction *c,
		      void (*tell)(const char *name, const char *why, void *arg));
void transaction_close(struct transaction *c);

#endif
