/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of similar rules: consecutive rules that test one field, such as an address or a port, for
 * different values. The kernel half looks up the packet's value instead of testing each rule.
 */
#ifndef DIVERT_ENGINE_ALIKE_H
#define DIVERT_ENGINE_ALIKE_H

#include "walk.h"

/* A run of such rules, by the places of their numbers among the entries. */
struct run {
	uint32_t from, end;
	uint32_t first, n; /* in the list: its values, sorted */
	int field;	   /* enum divert_field */
};

struct alike {
	struct run *run; /* in order */
	uint32_t runs;
	struct divert_entry
		*list; /* a value, encoded as the field is, and the place of its entry */
	uint32_t n;
};

/* 0, and the caller calls alike_free(); -ENOMEM. */
int alike_find(struct alike *a, struct walk *w);
void alike_free(struct alike *a);

#endif
