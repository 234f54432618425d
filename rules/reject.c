/* SPDX-License-Identifier: BSD-2-Clause */
/* The actions that tell a packet's sender: unreach, reset and similar ones. */
#include <string.h>

#include "parse.h"

struct answer_code {
	const char *name;
	uint8_t code;
};

/* codes of ICMP type 3 and of ICMPv6 type 1; each list ends with NULL */
static const struct answer_code codes4[] = {
	{"net", 0},	 {"host", 1},		{"protocol", 2},	 {"port", 3},
	{"needfrag", 4}, {"srcfail", 5},	{"net-unknown", 6},	 {"host-unknown", 7},
	{"isolated", 8}, {"net-prohib", 9},	{"host-prohib", 10},	 {"tosnet", 11},
	{"toshost", 12}, {"filter-prohib", 13}, {"host-precedence", 14}, {"precedence-cutoff", 15},
	{NULL, 0},
};

static const struct answer_code codes6[] = {
	{"no-route", 0}, {"admin-prohib", 1}, {"address", 3}, {"port", 4}, {NULL, 0},
};

enum { HOST = 1, NEEDFRAG = 4 };

static const struct kind {
	const char *name;
	uint16_t answer;
	const struct answer_code *codes; /* NULL: no argument */
} kinds[] = {
	{"reject", DIVERT_REJECT_V4 | HOST, NULL},
	{"reset", DIVERT_REJECT_V4 | DIVERT_REJECT_RESET, NULL},
	{"reset6", DIVERT_REJECT_V6 | DIVERT_REJECT_RESET, NULL},
	{"unreach", DIVERT_REJECT_V4, codes4},
	{"unreach6", DIVERT_REJECT_V6, codes6},
};

#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

/* Parse the MTU that may follow needfrag: a number that is not the rule's protocol. */
static int parse_mtu(struct parser *p)
{
	const char *word = parser_peek(p);
	uint32_t v;

	if (!word || strspn(word, "0123456789") != strlen(word) ||
	    (p->at + 1 < p->n && !strcmp(p->word[p->at + 1], "from")))
		return 0;
	if (!parse_number(word, 65535, &v) || !v)
		return rules_fail(p->err, EX_DATAERR, "%s: not an MTU: expected 1 to 65535", word);
	p->rule->mtu = v;
	p->at++;
	return 0;
}

static int parse_code(struct parser *p, const struct kind *k)
{
	const char *word = parser_next(p, "code");
	const struct answer_code *c;
	uint32_t v;

	if (!word)
		return -1;
	for (c = k->codes; c->name && strcmp(c->name, word); c++)
		;
	if (c->name)
		v = c->code;
	else if (!parse_number(word, 255, &v))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not a code of %s: expected a name of ipfw(8), or 0 to 255",
				  word, k->name);
	p->rule->arg |= v;
	return p->rule->arg == (DIVERT_REJECT_V4 | NEEDFRAG) ? parse_mtu(p) : 0;
}

int parse_answer(struct parser *p, const char *word)
{
	const struct kind *k = kinds;

	while (k < kinds + N_KINDS && strcmp(k->name, word))
		k++;
	if (k == kinds + N_KINDS)
		return 1;
	p->rule->action = RULE_ANSWER;
	p->rule->arg = k->answer;
	return k->codes ? parse_code(p, k) : 0;
}

void print_answer(FILE *f, uint16_t answer, uint16_t mtu)
{
	const struct kind *k = kinds;
	const struct answer_code *c;

	/* "unreach host" is "reject" */
	while (k->codes ? k->answer != (answer & ~255) : k->answer != answer)
		k++;
	fputs(k->name, f);
	if (!k->codes)
		return;
	for (c = k->codes; c->name && c->code != (answer & 255); c++)
		;
	if (c->name)
		fprintf(f, " %s", c->name);
	else
		fprintf(f, " %u", answer & 255);
	if (mtu)
		fprintf(f, " %u", mtu);
}
