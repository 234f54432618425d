/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules that are alike: many that stand together, each of which wants one field to have values
 * of its own, as an address or a port. The kernel half looks up which of them has the packet's.
 */
#ifndef DIVERT_ENGINE_ALIKE_H
#define DIVERT_ENGINE_ALIKE_H

#include "walk.h"

/* A run of them, by the numbers' places among the entries. */
struct run {
	uint32_t from, end;
	uint32_t first, n; /* in the list: its values, sorted */
	int field;	   /* enum divert_field */
};

struct alike {
	struct run *run; /* in order */
	uint32_t runs;
	struct divert_entry
		*list; /* a value, in the form of the field, and the place of its entry */
	uint32_t n;
};

/* 0, and the caller calls alike_free(); -ENOMEM. */
int alike_find(struct alike *a, struct walk *w);
void alike_free(struct alike *a);

#endif
