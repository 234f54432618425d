/* SPDX-License-Identifier: BSD-2-Clause */
/* Emits single match instructions. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

struct divert_insn *emit(struct code *c, enum divert_op op, unsigned int field, uint32_t yes,
			 uint32_t no)
{
	struct divert_insn *in;

	if (c->n == DIVERT_INSNS_MAX)
		c->error = -E2BIG;
	if (!c->error && c->n == c->room) {
		uint32_t room = c->room ? c->room * 2 : 64;

		in = reallocarray(c->insn, room, sizeof(*in));
		if (in) {
			c->insn = in;
			c->room = room;
		} else {
			c->error = -ENOMEM;
		}
	}
	in = c->error ? &c->scrap : &c->insn[c->n++];
	memset(in, 0, sizeof(*in));
	in->op = op;
	in->field = field;
	in->rule = c->rule;
	in->yes = yes;
	in->no = no;
	return in;
}

void emit_mask(struct code *c, enum divert_field field, uint32_t mask, uint32_t value, uint32_t yes,
	       uint32_t no)
{
	struct divert_insn *in = emit(c, DIVERT_OP_MASK, field, yes, no);

	in->mask.mask = mask;
	in->mask.value = value;
}

void emit_prefix(struct code *c, enum divert_op op, enum divert_wide field, const void *bytes,
		 unsigned int bits, uint32_t yes, uint32_t no)
{
	struct divert_insn *in = emit(c, op, field, yes, no);
	uint32_t word[4];
	int i;

	memcpy(word, bytes, sizeof(word));
	for (i = 0; i < 4; i++)
		in->prefix.word[i] = ntohl(word[i]);
	in->prefix.bits = bits;
}

void emit_flag(struct code *c, uint32_t flag, uint32_t yes, uint32_t no)
{
	emit_mask(c, DIVERT_F_FLAGS, flag, flag, yes, no);
}

void emit_load(struct code *c, enum divert_load what, unsigned int offset, unsigned int width,
	       unsigned int shift, uint32_t mask)
{
	struct divert_insn *in = emit(c, DIVERT_OP_LOAD, what, c->n + 1, EMIT_OFF);

	in->load.offset = offset;
	in->load.width = width;
	in->load.shift = shift;
	in->load.mask = mask;
}

void emit_ranges(struct code *c, enum divert_field field, const struct rule_range *range,
		 unsigned int n, uint32_t yes, uint32_t no)
{
	enum { ROOM = sizeof(((struct divert_insn *)0)->range) / sizeof(struct rule_range) };
	struct divert_insn *in;
	unsigned int i, k;

	for (i = 0; i < n; i += ROOM) {
		in = emit(c, DIVERT_OP_RANGE, field, yes, i + ROOM < n ? c->n + 1 : no);
		for (k = 0; k < ROOM; k++) {
			in->range[k].lo = i + k < n ? range[i + k].lo : 1;
			in->range[k].hi = i + k < n ? range[i + k].hi : 0;
		}
	}
}

void emit_lookup(struct code *c, const struct rule_table *t, enum divert_key key,
		 unsigned int field, uint32_t yes, uint32_t no)
{
	const struct rules_table *table = rules_table_find(c->rules, t->name);
	struct divert_insn *in = emit(c, DIVERT_OP_LOOKUP, field, yes, no);

	in->lookup.key = key;
	in->lookup.table = table ? table->id : 0;
	in->lookup.check = t->has_value;
	in->lookup.value = t->value;
	in->lookup.flow = table ? table->fields : 0;
}
