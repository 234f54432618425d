/* SPDX-License-Identifier: BSD-2-Clause */
/* -r: rules for the life of the program. */
#ifndef DIVERT_RUN_HOLD_H
#define DIVERT_RUN_HOLD_H

/* Read a rule, in the words of ipfw(8). -1: refused, and that is reported. */
int hold_rule(const char *words);

/*
 * Put the rules in place, until the program that this process becomes, and all that it starts, has
 * ended. -1: they are not, and that is reported.
 */
int hold_rules(void);

#endif
