/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of a packet, behind the action: "setfwmark 5", "setfwmark +5", which adds to it, and
 * "settos 01 10": the TOS is ANDed with the first byte, and XORed with the second. Rules of chains
 * have them.
 */
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int parse_mark_change(struct parser *p, struct rule_change *c)
{
	const char *word = parser_next(p, "mark");

	if (!word)
		return -1;
	c->relative = *word == '+';
	if (!parse_number(word + c->relative, ~0u, &c->value))
		return rules_fail(p->err, EX_DATAERR, "%s: not a mark: expected 0 to 4294967295",
				  word);
	c->mark = true;
	return 0;
}

static int parse_byte(struct parser *p, uint8_t *byte)
{
	const char *word = parser_next(p, "hexadecimal byte");
	unsigned long v;
	char *end;

	if (!word)
		return -1;
	v = strtoul(word, &end, 16);
	if (*end || v > 0xff)
		return rules_fail(p->err, EX_DATAERR, "%s: not a hexadecimal byte", word);
	*byte = v;
	return 0;
}

int parse_change(struct parser *p, const char *word)
{
	struct rule_change *c = &p->rule->change;
	uint8_t keep = 0;

	if (!strcmp(word, "setfwmark")) {
		p->at++;
		return parse_mark_change(p, c);
	}
	if (strcmp(word, "settos"))
		return 1;
	p->at++;
	if (parse_byte(p, &keep) || parse_byte(p, &c->tos_flip))
		return -1;
	c->tos_clear = ~keep;
	return 0;
}

void print_change(FILE *f, const struct rule_change *c)
{
	if (c->mark)
		fprintf(f, " setfwmark %s%u", c->relative ? "+" : "", c->value);
	if (c->tos_clear || c->tos_flip)
		fprintf(f, " settos %02x %02x", (uint8_t)~c->tos_clear, c->tos_flip);
}

void emit_change(struct code *c, const struct rule_change *change)
{
	struct divert_insn *in = emit(c, DIVERT_OP_CHANGE, 0, c->n + 1, c->n + 1);

	in->change.mark_keep = change->mark && !change->relative ? 0 : ~0u;
	in->change.mark_add = change->mark ? change->value : 0;
	in->change.tos_keep = ~change->tos_clear;
	in->change.tos_flip = change->tos_flip;
}
