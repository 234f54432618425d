/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for the life of a program: they match as long as a descriptor is open. For tools. */
#ifndef RULESET_HELD_H
#define RULESET_HELD_H

#include "transaction.h"

/*
 * Parse a rule in the words of ipfw(8). Without a listener, a rule with the action divert lets
 * packets pass: nothing is cut off before the program reads, and after it has ended. 0 or -1.
 */
int held_rule_parse(const char *words, struct rule **rule, struct rules_error *err);

/*
 * Add the rules, all or none, and return the descriptor that they end with, which execve(2) closes;
 * -1: failed, with an errno as the error's status. Takes those rules that were added: their entries
 * are NULL then. number (or NULL): gets their numbers. tell: warns of interfaces that cannot be
 * hooked, or that never see packets.
 */
int held_rules_add(struct rule **rule, unsigned int n, uint16_t *number,
		   void (*tell)(const char *name, const char *why, void *arg),
		   struct rules_error *err);

/* Close the descriptor, and remove its rules. When this returns no packet meets them any more. */
void held_rules_end(int fd);

#endif
