/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw set: switches sets of rules on and off, moves and swaps them. */
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"

static int parse_number(const char *word, uint32_t max, uint32_t *v, const char *what,
			struct rules_error *err)
{
	unsigned long n;
	char *end;

	if (!word)
		return rules_fail(err, EX_USAGE, "missing %s", what);
	n = strtoul(word, &end, 10);
	if (*end || end == word || *word == '-' || *word == '+' || n > max)
		return rules_fail(err, EX_DATAERR, "%s: not a %s: expected 0 to %u", word, what,
				  max);
	*v = n;
	return 0;
}

/* "disable 1 2 enable 3 4" */
static int parse_switch(struct command *c, char *word, char *line, struct rules_error *err)
{
	uint32_t *mask = NULL, v = 0;

	c->sets.op = SET_SWITCH;
	for (; word; word = next_word(&line)) {
		if (!strcmp(word, "enable")) {
			mask = &c->sets.enable;
			continue;
		}
		if (!strcmp(word, "disable")) {
			mask = &c->sets.disable;
			continue;
		}
		if (parse_number(word, RULES_SETS - 1, &v, "set", err))
			return -1;
		if (v == RULES_SET_RESERVED)
			return rules_fail(err, EX_DATAERR, "31: this set is always enabled");
		*mask |= 1u << v;
	}
	if (!c->sets.enable && !c->sets.disable)
		return rules_fail(err, EX_USAGE, "missing set");
	return 0;
}

static int parse_move(struct command *c, char *line, struct rules_error *err)
{
	char *word = next_word(&line);
	bool rule = word && !strcmp(word, "rule");

	if (rule)
		word = next_word(&line);
	c->sets.op = rule ? SET_MOVE_RULE : SET_MOVE;
	if (parse_number(word, rule ? RULES_DEFAULT - 1 : RULES_SETS - 1, &c->sets.from,
			 rule ? "rule number" : "set", err))
		return -1;
	word = next_word(&line);
	if (!word || strcmp(word, "to"))
		return rules_fail(err, EX_USAGE, "%s: expected to", word ? word : "set move");
	if (parse_number(next_word(&line), RULES_SETS - 1, &c->sets.to, "set", err))
		return -1;
	word = next_word(&line);
	return word ? rules_fail(err, EX_USAGE, "%s: not expected here", word) : 0;
}

int parse_set(struct command *c, char *line, struct rules_error *err)
{
	char *word = next_word(&line);

	if (!word)
		return rules_fail(err, EX_USAGE,
				  "missing word after set; expected show, enable, disable, move, "
				  "swap "
				  "or a number");
	if (!strcmp(word, "show")) {
		c->sets.op = SET_SHOW;
	} else if (!strcmp(word, "enable") || !strcmp(word, "disable")) {
		return parse_switch(c, word, line, err);
	} else if (!strcmp(word, "move")) {
		return parse_move(c, line, err);
	} else if (!strcmp(word, "swap")) {
		c->sets.op = SET_SWAP;
		if (parse_number(next_word(&line), RULES_SETS - 1, &c->sets.from, "set", err) ||
		    parse_number(next_word(&line), RULES_SETS - 1, &c->sets.to, "set", err))
			return -1;
	} else {
		return rules_fail(err, EX_USAGE,
				  "%s: expected show, enable, disable, move, swap or a number",
				  word);
	}
	word = next_word(&line);
	return word ? rules_fail(err, EX_USAGE, "%s: not expected here", word) : 0;
}

static void show(struct session *s)
{
	bool disabled = false, enabled = false;
	unsigned int i;

	for (i = 0; i < RULES_SET_RESERVED; i++)
		if (s->change->rules.disabled >> i & 1) {
			fprintf(s->out, "%s %u", disabled ? "" : "disable", i);
			disabled = true;
		}
	fprintf(s->out, "%senable", disabled ? " " : "");
	for (i = 0; i < RULES_SET_RESERVED; i++)
		if (!(s->change->rules.disabled >> i & 1)) {
			fprintf(s->out, " %u", i);
			enabled = true;
		}
	fputs(enabled ? "\n" : " none\n", s->out);
}

int run_set(struct session *s, const struct command *c, struct rules_error *err)
{
	uint32_t from = c->sets.from, to = c->sets.to;
	unsigned int i, n = 0;
	struct rule *r;

	if (c->sets.op == SET_SHOW) {
		show(s);
		return 0;
	}
	if (c->sets.op == SET_SWITCH) {
		s->change->rules.disabled =
			(s->change->rules.disabled | c->sets.disable) & ~c->sets.enable;
		s->changed = true;
		return 0;
	}
	for (i = 0; i < s->change->rules.n; i++) {
		r = s->change->rules.rule[i];
		if (r->chain)
			continue;
		if (c->sets.op == SET_MOVE_RULE ? r->number == from : r->set == from) {
			r->set = to;
			n++;
		} else if (c->sets.op == SET_SWAP && r->set == to) {
			r->set = from;
		}
	}
	if (c->sets.op == SET_MOVE_RULE && !n)
		return rules_fail(err, EX_UNAVAILABLE, "rule %u: no such rule", from);
	s->changed = true;
	return 0;
}
