/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses "proto from SRC [ports] to DST [ports]". Each part may be a block, "{ a or b }". */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* "from" or "to". */
static int expect(struct parser *p, const char *keyword)
{
	const char *word = parser_next(p, keyword);

	if (!word)
		return -1;
	if (strcmp(word, keyword)) {
		if (absent_option(word, p->err))
			return -1;
		return rules_fail(p->err, EX_USAGE, "%s: expected %s", word, keyword);
	}
	return 0;
}

/* Parses one place of the body, inside or outside a block. */
typedef int (*parse_place)(struct parser *p, enum rule_match_type type, bool negate,
			   const char *word);

static int place_proto(struct parser *p, enum rule_match_type type, bool negate, const char *word)
{
	struct rule_match *m = match_new(p, type, negate, true);

	return m ? parse_protocol(p, m, word) : -1;
}

static int place_address(struct parser *p, enum rule_match_type type, bool negate, const char *word)
{
	struct rule_match *m;

	if (!strcmp(word, "any"))
		return negate ? rules_fail(p->err, EX_DATAERR, "not any: never matches") : 0;
	m = match_new(p, type, negate, true);
	return m ? parse_addresses(p, m, word) : -1;
}

static int place_ports(struct parser *p, enum rule_match_type type, bool negate, const char *word)
{
	struct rule_match *m;

	if (!strcmp(word, "any"))
		return 0;
	/* ports of the destination are printed as the option dst-port */
	m = match_new(p, type, negate, type == RULE_SPORT);
	return m ? parse_ports(p, m, word) : -1;
}

static int parse_place_block(struct parser *p, enum rule_match_type type, parse_place place,
			     const char *what)
{
	struct rule_match **before;
	const char *word;
	bool more, negate;

	do {
		negate = parser_take(p, "not");
		word = parser_next(p, what);
		if (!word)
			return -1;
		before = p->tail;
		if (place(p, type, negate, word))
			return -1;
		more = parser_take(p, "or");
		if (p->tail == before)
			return rules_fail(p->err, EX_DATAERR, "%s: matches all, so no block of it",
					  word);
		(*before)->or_next = more;
	} while (more);
	return parser_close_block(p);
}

static int parse_at(struct parser *p, enum rule_match_type type, parse_place place,
		    const char *what)
{
	const char *word;
	bool negate;

	if (parser_open_block(p))
		return parse_place_block(p, type, place, what);
	negate = parser_take(p, "not");
	word = parser_next(p, what);
	return word ? place(p, type, negate, word) : -1;
}

/*
 * Can the word only be ports? An unknown service name is not taken for ports, so that the message
 * is about options.
 */
static bool is_ports(const char *word)
{
	struct rule_match probe = {.type = RULE_SPORT};
	struct parser quiet = {0};
	int rc = parse_ports(&quiet, &probe, word);

	free(probe.range);
	return !rc;
}

/* Do ports follow? They may after either address; after the second one options may follow, too. */
static bool ports_follow(const struct parser *p, enum rule_match_type type)
{
	unsigned int at = p->at;
	const char *word = p->word[at];
	bool block = word && (*word == '{' || *word == '(') && !word[1], negate;

	if (block)
		word = p->word[++at];
	negate = word && !strcmp(word, "not");
	if (negate)
		word = p->word[++at];
	if (!word || (type == RULE_SPORT && !negate && !block && !strcmp(word, "to")))
		return false;
	if (is_option(word) || absent_option(word, NULL))
		return false;
	if (type == RULE_DPORT && (block || !isdigit((unsigned char)*word)))
		return is_ports(word) || !strcmp(word, "any");
	return !block || is_ports(word);
}

static int parse_end(struct parser *p, enum rule_match_type addr, enum rule_match_type port)
{
	if (parse_at(p, addr, place_address, "address"))
		return -1;
	return ports_follow(p, port) ? parse_at(p, port, place_ports, "ports") : 0;
}

/* Does the rule have only options? */
static bool is_bare(const struct parser *p)
{
	unsigned int at = p->at;
	const char *word = p->word[at];

	if (word && (*word == '{' || *word == '(') && !word[1])
		word = p->word[++at];
	if (word && !strcmp(word, "not"))
		word = p->word[++at];
	return word && (is_option(word) || is_state(word) || absent_option(word, NULL)) &&
	       !is_protocol(word);
}

int parse_body(struct parser *p)
{
	if (is_bare(p)) {
		p->rule->bare = true;
		return 0;
	}
	if (parse_at(p, RULE_PROTO, place_proto, "protocol") || expect(p, "from") ||
	    parse_end(p, RULE_SRC, RULE_SPORT) || expect(p, "to"))
		return -1;
	return parse_end(p, RULE_DST, RULE_DPORT);
}
