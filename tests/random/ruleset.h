/* SPDX-License-Identifier: BSD-2-Clause */
/* Random rule sets. */
#ifndef TESTS_RANDOM_RULESET_H
#define TESTS_RANDOM_RULESET_H

#include "rules/rules.h"

#define RANDOM_RULES_MAX 800

enum random_may {
	RANDOM_PROB = 1 << 0,	/* rules may have prob */
	RANDOM_STATES = 1 << 1, /* rules may make states, and check for them */
	RANDOM_FIRST = 1 << 2,	/* rules may match the first packets of flows */
};

/*
 * Makes a rule set, with its tables. may: enum random_may. Returns -1 if the rules are not what
 * they should be.
 */
int random_rules(struct rules *s, unsigned int may);

#endif
