/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the rules module: what the files of the parser and the printer share. */
#ifndef DIVERT_RULES_PARSE_H
#define DIVERT_RULES_PARSE_H

#include <sysexits.h>

#include "rules.h"

struct parser {
	char *line;  /* a copy, cut into words */
	char **word; /* n of them, then NULL */
	unsigned int n, at;
	char comment[RULES_COMMENT_MAX + 1];
	bool has_comment;
	struct rule *rule;
	struct rule_match **tail;
	const char *only4, *only6; /* the words that limit the rule to a family */
	struct rules_error *err;
};

/* Every one of these answers 0, or -1 with the error filled in, unless it says otherwise. */

/* rules/words.c */
int rules_fail(struct rules_error *err, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int parser_open(struct parser *p, const char *line, struct rules_error *err);
void parser_close(struct parser *p);
const char *parser_peek(const struct parser *p);		/* NULL at the end */
const char *parser_next(struct parser *p, const char *missing); /* NULL: failed */
bool parser_take(struct parser *p, const char *word);		/* true: it was next */
bool parse_number(const char *s, uint32_t max, uint32_t *v);	/* decimal; false: it is not */
char *list_item(char **list);					/* cut off; NULL at the end */

/* rules/absent.c: says so, if ipfw(8) has the word and ipdivert does not */
bool absent_action(const char *word, struct rules_error *err);
bool absent_option(const char *word, struct rules_error *err);

/* rules/options.c */
bool is_option(const char *word);
struct rule_match *match_new(struct parser *p, enum rule_match_type type, bool negate, bool head);
void match_drop_last(struct parser *p, struct rule_match *m);
int parse_option(struct parser *p);

/* rules/address.c */
int parse_addresses(struct parser *p, struct rule_match *m, const char *word);

/* rules/numbers.c: protocols, ports, marks */
bool is_protocol(const char *word);
int parse_protocol(struct parser *p, struct rule_match *m, const char *word);
int parse_ports(struct parser *p, struct rule_match *m, const char *word);
int parse_types(struct parser *p, struct rule_match *m, const char *word);
int parse_mark(struct parser *p, struct rule_match *m, const char *word);
int parse_divert_port(struct parser *p, const char *word, uint16_t *port);
const char *protocol_name(uint8_t proto); /* NULL: print the number */
bool protocol_has_ports(uint8_t proto);

/* rules/print.c: the canonical text, malloc'ed; NULL: no memory */
char *rule_print(const struct rule *r);

#endif
