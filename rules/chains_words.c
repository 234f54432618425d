/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parses the command line of ipchains(8): flags in any order, and "!" before a flag or its
 * argument.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chains_read.h"

static int take_command(struct reading *r, char flag)
{
	char *op = &r->c->op;

	if ((*op == 'L' && flag == 'Z') || (*op == 'Z' && flag == 'L')) {
		*op = 'L';
		r->c->zero = true;
		return 0;
	}
	if (*op)
		return rules_fail(r->err, EINVAL, "-%c and -%c: only one command at a time", *op,
				  flag);
	*op = flag;
	return 0;
}

/*
 * rest: the remainder of the word behind the flag, which is its argument if it takes one; or NULL.
 */
static int take_flag(struct reading *r, const struct reading_flag *f, const char *rest)
{
	const char *word = rest;

	if (f->absent)
		return rules_fail(r->err, EOPNOTSUPP, "-%c: %s", f->flag, f->absent);
	if (f->command && take_command(r, f->flag))
		return -1;
	if (f->follows == FOLLOWS_SIGNED && !word) {
		word = r->at < r->n ? r->word[r->at++] : NULL;
	} else if (f->follows != FOLLOWS_NOTHING && !word) {
		word = reading_argument(r);
		if (word && !strcmp(word, "!")) {
			if (r->inverse)
				return rules_fail(r->err, EINVAL, "!: given twice");
			if (f->inverts) {
				r->inverse = true;
				word = r->word[r->at + 1];
				r->at += 2;
			} else {
				word = NULL;
			}
		}
	}
	if (r->inverse && !f->inverts)
		return rules_fail(r->err, EINVAL, "!: not with --%s", f->name);
	if ((f->follows == FOLLOWS_WORD || f->follows == FOLLOWS_SIGNED) && !word)
		return rules_fail(r->err, EINVAL, "--%s: argument missing", f->name);
	r->flag = f->flag;
	return f->read ? f->read(r, word) : 0;
}

static int take_long(struct reading *r, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct reading_flag *f = reading_flag_long(word, len, r->err);

	if (!f)
		return -1;
	if (equals && f->follows == FOLLOWS_NOTHING)
		return rules_fail(r->err, EINVAL, "--%s: takes no argument", f->name);
	return take_flag(r, f, equals ? equals + 1 : NULL);
}

static int take_short(struct reading *r, const char *word)
{
	const struct reading_flag *f;

	for (; *word; word++) {
		f = reading_flag_short(*word);
		if (!f)
			return rules_fail(r->err, EINVAL, "-%c: unknown flag", *word);
		if (f->follows != FOLLOWS_NOTHING && word[1])
			return take_flag(r, f, word + 1);
		if (take_flag(r, f, NULL))
			return -1;
		r->inverse = false;
	}
	return 0;
}

static int take_words(struct reading *r)
{
	const char *word;

	while (r->at < r->n) {
		word = r->word[r->at++];
		if (!strcmp(word, "!")) {
			if (r->inverse)
				return rules_fail(r->err, EINVAL, "!: given twice");
			r->inverse = true;
			continue;
		}
		if (!reading_is_flag(word))
			return rules_fail(r->err, EINVAL, "%.64s: unknown argument", word);
		if (!strncmp(word, "--", 2) ? take_long(r, word + 2) : take_short(r, word + 1))
			return -1;
		r->inverse = false;
	}
	if (r->inverse)
		return rules_fail(r->err, EINVAL, "!: nothing follows it");
	return 0;
}

/* ---- the whole command line ---- */

static bool takes_rule(char op)
{
	return op == 'A' || op == 'R' || op == 'I' || op == 'C' || op == 'D';
}

static int check(struct reading *r)
{
	struct chain_command *c = r->c;

	if (!c->op)
		return rules_fail(r->err, EINVAL,
				  "a command is missing: one of "
				  "-A -D -R -I -L -F -Z -N -X -P -C");
	c->has_spec = r->had_proto || r->src.had || r->dst.had || r->src.had_port ||
		      r->dst.had_port || r->had_iface || r->had_target || r->had_mark ||
		      r->had_tos || r->spec.flags || r->both;
	if (c->has_spec && !takes_rule(c->op))
		return rules_fail(r->err, EINVAL, "-%c: takes no rule", c->op);
	if (c->op == 'D' && c->has_number && c->has_spec)
		return rules_fail(r->err, EINVAL, "-D: a number or a rule, not both");
	if (c->op == 'C' && (!r->had_proto || !r->src.address || !r->dst.address || !r->had_iface))
		return rules_fail(r->err, EINVAL, "-C: needs -p, -s, -d and -i");
	if (c->op == 'C' && (r->spec.inverse || r->src.address_not || r->dst.address_not ||
			     r->src.port_not || r->dst.port_not || r->spec.flags & CHAIN_WILD))
		return rules_fail(r->err, EINVAL, "-C: no ! and no +: it is about one packet");
	if (r->both && c->op != 'A' && c->op != 'D' && c->op != 'I' && c->op != 'C')
		return rules_fail(r->err, EINVAL, "-b: only with -A, -I, -D and -C");
	return 0;
}

int chain_command_read(struct chain_command *c, unsigned int n, const char *const *word,
		       const struct chain_names *names, struct rules_error *err)
{
	struct reading r = {.c = c, .word = word, .n = n, .names = names, .err = err};
	int rc;

	memset(c, 0, sizeof(*c));
	r.spec.sport[1] = r.spec.dport[1] = CHAIN_PORTS_LAST;
	if (take_words(&r) || check(&r))
		rc = -1;
	else
		rc = takes_rule(c->op) && !(c->op == 'D' && c->has_number) ? reading_finish(&r) : 0;
	if (rc)
		chain_command_free(c);
	return rc;
}

void chain_command_free(struct chain_command *c)
{
	free(c->spec);
	c->spec = NULL;
	c->n = 0;
}
