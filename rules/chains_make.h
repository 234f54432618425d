/* SPDX-License-Identifier: BSD-2-Clause */
/* Converting chains to numbered rules: shared by the files that do it. */
#ifndef DIVERT_CHAINS_MAKE_H
#define DIVERT_CHAINS_MAKE_H

#include <stdio.h>

#include "chains.h"

struct made {
	char *line;
	uint16_t number;
	struct chain_rule *from; /* whose counter it is; NULL: nobody's */
};

struct maker {
	struct chains *chains;
	struct made *made;
	unsigned int n, room;
	enum chain_kind kind;
	bool alone; /* for chain_test(): forward ends here, too */
	struct rules_error *err;
};

/* rules/chains_body.c: "ip4 from any to any in"; the kind of the chain gives the direction */
void chain_put_body(FILE *f, const struct chain_spec *s, enum chain_kind kind);

void chain_put_change(FILE *f, const struct chain_spec *s); /* "setfwmark 5", or nothing */

/* rules/chains_make.c; err->status is an errno */
int make_chains(struct maker *m); /* the built-in ones, and the chains that they lead to */
int make_chain_alone(struct maker *m, struct chain *chain);
void maker_free(struct maker *m);

#endif
