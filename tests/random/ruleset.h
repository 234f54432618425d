/* SPDX-License-Identifier: BSD-2-Clause */
/* Rule sets at random. */
#ifndef TESTS_RANDOM_RULESET_H
#define TESTS_RANDOM_RULESET_H

#include "rules/rules.h"

#define RANDOM_RULES_MAX 800

/* A rule set, with the tables; prob: rules may have it. -1: they are not what they should be. */
int random_rules(struct rules *s, bool prob);

#endif
