/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * May a packet match a rule? The rule's instructions are walked with the little that is known of
 * the packet. Where a match may come out either way, both ways are followed. If one leads to an
 * action, the packet may match.
 */
#ifndef DIVERT_ENGINE_WALK_H
#define DIVERT_ENGINE_WALK_H

#include "engine.h"

/* A packet, as far as it is known. */
struct known {
	uint32_t mask, flags; /* enum divert_packet_flags: which of them, and they */
	int kind;	      /* enum divert_kind, for the protocol; -1 */
	int index;	      /* enum divert_index; -1: no place is known */
	uint32_t place;	      /* there */
	int unequal; /* enum divert_field: the packet has no value of walk_values(); -1: unknown */
	const struct divert_asked *absent; /* the table that the address is not in; NULL: unknown */
	const uint32_t
		*name; /* of the interface that it is on, as of enum divert_wide; NULL: unknown */
};

#define WALK_FLAGS ((uint32_t)(DIVERT_IS_V4 | DIVERT_IS_V6))

struct walk {
	const struct engine_rules *rules;
	bool *reached; /* as many as instructions; all false between two walks */
};

/* -ENOMEM. */
int walk_begin(struct walk *w, const struct engine_rules *r);
void walk_end(struct walk *w);

/* May a packet of which so much is known match a rule of those from here to the end? */
bool walk_may_match(struct walk *w, uint32_t from, uint32_t end, const struct known *k);

/* Does any of the instructions from here to the end ask for what has its place there? */
bool walk_asks(const struct walk *w, uint32_t from, uint32_t end, const struct known *k);

/* Does it look an address up in a table, as struct divert_asked names one? */
bool walk_is_asked(const struct divert_insn *in);

/* Does any of these instructions look that up? */
bool walk_looks_up(const struct walk *w, uint32_t from, uint32_t end, const struct divert_asked *a);

#define WALK_VALUES 5 /* as many as an instruction has ranges */

/* The values of which the field has to have one to match; how many, or 0: others may match, too. */
unsigned int walk_values(const struct divert_insn *in, int field, uint32_t value[WALK_VALUES]);

#endif
