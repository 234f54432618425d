/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains while they become numbered rules: what the files that do it share. */
#ifndef DIVERT_CHAINS_MAKE_H
#define DIVERT_CHAINS_MAKE_H

#include <stdio.h>

#include "chains.h"

struct made {
	char *line;
	uint16_t number;
	struct chain_rule *from; /* NULL: nobody's counter */
};

struct maker {
	struct chains *chains;
	struct made *made;
	unsigned int n, room;
	enum chain_kind kind;
	bool alone; /* for chain_test(): an end is an end, also of forward */
	struct rules_error *err;
};

/* rules/chains_body.c: "ip4 from any to any in"; in which direction, the kind of the chain says */
void chain_put_body(FILE *f, const struct chain_spec *s, enum chain_kind kind);

/* rules/chains_make.c; err->status is an errno */
int make_chains(struct maker *m); /* the built-in ones, and what they lead to */
int make_chain_alone(struct maker *m, struct chain *chain);
void maker_free(struct maker *m);

#endif
