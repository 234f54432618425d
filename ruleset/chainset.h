/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Change the chains of the rule set in place, for ipchains(8) and Linux 2.2's setsockopt(2)
 * options.
 */
#ifndef RULESET_CHAINSET_H
#define RULESET_CHAINSET_H

#include "rules/chains.h"
#include "transaction.h"

struct chainset {
	struct transaction *change;
	struct chains chains;
};

/* The flags of transaction_open() for a command, given by its letter. */
unsigned int chainset_flags(char op);

/* 0, or -1 with an errno as the error's status. Call chainset_close() in either case. */
int chainset_open(struct chainset *s, unsigned int flags, struct rules_error *err);
int chainset_commit(struct chainset *s, void (*tell)(const char *name, const char *why, void *arg),
		    struct rules_error *err);
void chainset_close(struct chainset *s);

/* Zero the counters of a chain, immediately. chain: "" for all. */
int chainset_zero(struct chainset *s, const char *chain, struct rules_error *err);

#endif
