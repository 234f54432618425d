/* SPDX-License-Identifier: BSD-2-Clause */
/* A change to the chains of the rule set in place: ipchains(8), and the setsockopt(2)s behind it. */
#ifndef LIB_CHAINSET_H
#define LIB_CHAINSET_H

#include "change.h"
#include "rules/chains.h"

struct chainset {
	struct change *change;
	struct chains chains;
};

/* What change_open() is to be told for a command, by its letter. */
unsigned int chainset_flags(char op);

/* 0 or -1, the error's status an errno; chainset_close() is due in either case. */
int chainset_open(struct chainset *s, unsigned int flags, struct rules_error *err);
int chainset_commit(struct chainset *s, void (*tell)(const char *name, const char *why, void *arg),
		    struct rules_error *err);
void chainset_close(struct chainset *s);

/* Set the counters of a chain to 0, at once. chain: "" for all. */
int chainset_zero(struct chainset *s, const char *chain, struct rules_error *err);

#endif
