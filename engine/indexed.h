/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule set with its index, which says what rules a packet may match, so that others need not be
 * tried (enum divert_index).
 */
#ifndef DIVERT_ENGINE_INDEXED_H
#define DIVERT_ENGINE_INDEXED_H

#include "engine.h"

struct indexed {
	struct divert_insn *insn; /* those of the rules, and a SKIP ahead of each number's */
	uint32_t insns;
	struct divert_entry *entry; /* as many as before */
	struct divert_entry *value; /* of rules that are alike: where the SKIP of each value is */
	uint32_t values;
	struct divert_entry *state; /* rules that make states: id and action, by id */
	uint32_t states;
	uint32_t asked;		       /* tables, in the making */
	struct divert_rules_head head; /* asks, section, kind, index and asked of it */
};

/* 0, and the caller calls index_free(); -ENOMEM. */
int index_make(const struct engine_rules *r, struct indexed *x);
void index_free(struct indexed *x);

#endif
