/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the rules module: what the files of the parser and the printer share. */
#ifndef DIVERT_RULES_PARSE_H
#define DIVERT_RULES_PARSE_H

#include <stdio.h>
#include <sysexits.h>

#include "rules.h"

struct parser {
	char *line;	   /* a copy, cut into words */
	const char **word; /* n of them, then NULL */
	unsigned int n, at;
	char comment[RULES_COMMENT_MAX + 1];
	bool has_comment;
	struct rule *rule;
	struct rule_match **tail;
	bool in_block;		   /* of { a or b }: what is said there need not hold */
	const char *only4, *only6; /* the words that limit the rule to a family */
	bool six;		   /* the option is for IPv6 only */
	struct rules_error *err;
};

/* Every one of these answers 0, or -1 with the error filled in, unless it says otherwise. */

/* rules/words.c */
int parser_open(struct parser *p, const char *line, struct rules_error *err);
void parser_close(struct parser *p);
const char *parser_peek(const struct parser *p);		/* NULL at the end */
const char *parser_next(struct parser *p, const char *missing); /* NULL: failed */
bool parser_take(struct parser *p, const char *word);		/* true: it was next */
bool parser_open_block(struct parser *p);			/* true: a { was next */
int parser_close_block(struct parser *p);
bool parse_number(const char *s, uint32_t max, uint32_t *v); /* decimal; false: it is not */
char *list_item(char **list);				     /* cut off; NULL at the end */
unsigned int list_count(const char *list);		     /* items at most */

/* rules/answer.c: unreach, reset and their kin */
int parse_answer(struct parser *p, const char *word); /* 1: it is none of these */
void print_answer(FILE *f, uint16_t answer, uint16_t mtu);

/* rules/absent.c: says so, if ipfw(8) has the word and ipdivert does not */
bool absent_action(const char *word, struct rules_error *err);
bool absent_option(const char *word, struct rules_error *err);
bool absent_lookup(const char *word, struct rules_error *err); /* as a key of lookup */

/* rules/kinds.c: what there is, for the parser and the printer */
struct flag_name {
	const char *name;
	uint16_t flag;
};

enum {
	TH_SYN = 0x02, /* flags of TCP: those of setup */
	TH_ACK = 0x10,
};

enum rule_argument {
	ARG_NONE,
	ARG_PROTO,
	ARG_ADDRS,
	ARG_PORTS,
	ARG_RANGES,  /* numbers up to max, and ranges of them */
	ARG_NUMBERS, /* the same without ranges, sorted */
	ARG_VALUES,  /* numbers up to max, 32 bits */
	ARG_VALUE,   /* one of these */
	ARG_FLAGS,   /* names, each may have a "!" */
	ARG_ANY,     /* names, one of which is to be there */
	ARG_DSCP,
	ARG_IFACE,
	ARG_MARK,
	ARG_LOOKUP,
	ARG_FLOW,
	ARG_USER,
	ARG_GROUP,
	ARG_BYPASS,
};

struct rule_kind {
	const char *name; /* the option's; "" where it is printed otherwise */
	enum rule_argument argument;
	const char *what; /* the argument is */
	uint32_t max;
	const struct flag_name *flags;
};

extern const struct rule_kind rule_kind[RULE_TYPES];

/* rules/options.c */
bool is_option(const char *word);
struct rule_match *match_new(struct parser *p, enum rule_match_type type, bool negate, bool head);
void match_drop_last(struct parser *p, struct rule_match *m);
/* "any": m is no condition, and "not any" an error. */
int match_any(struct parser *p, struct rule_match *m);
void match_free(struct rule_match *m);
int parse_options(struct parser *p);

/* rules/body.c: proto from SRC [ports] to DST [ports] */
int parse_body(struct parser *p);

/* rules/address.c */
int parse_addresses(struct parser *p, struct rule_match *m, const char *word);
int parse_address(struct rule_addr *a, const char *word); /* -1: it is none */
bool is_six(const struct rule_addr *a);			  /* can be of IPv6 only */
int parse_table(struct parser *p, struct rule_table **t, const char *word);
bool is_table(const char *word);

/* "localhost", with what follows it, as an address: cut out of item if it is one. */
const char *loopback_name(const char *item, bool six, char text[64]);

/* rules/iface.c */
int parse_iface(struct parser *p, struct rule_match *m, const char *word);

/* rules/numbers.c: protocols, ports, marks */
bool is_protocol(const char *word);
int parse_protocol(struct parser *p, struct rule_match *m, const char *word);
int parse_ports(struct parser *p, struct rule_match *m, const char *word);
bool parse_port(char *s, uint16_t *port); /* a number, or of a service */
int parse_ranges(struct parser *p, struct rule_match *m, const char *word);
int parse_mark(struct parser *p, struct rule_match *m, const char *word);
int parse_divert_port(struct parser *p, const char *word, uint16_t *port);

/* rules/names.c: of protocols and services */
const char *protocol_name(uint8_t proto, bool kept); /* NULL: print the number */
bool protocol_has_ports(uint8_t proto);
int protocol_number(const char *word); /* -1: unknown */
/* transport: whose service is preferred; NULL: any's. false: it is unknown. */
bool service_port(const char *name, const char *transport, uint16_t *port);

/* rules/fields.c: what else stands in headers */
int parse_values(struct parser *p, struct rule_match *m, const char *word);
int parse_flags(struct parser *p, struct rule_match *m, const char *word);
int parse_any(struct parser *p, struct rule_match *m, const char *word);
int parse_dscp(struct parser *p, struct rule_match *m, const char *word);
int parse_owner(struct parser *p, struct rule_match *m, const char *word);
int parse_lookup(struct parser *p, struct rule_match *m, const char *word);
const char *dscp_name(unsigned int v); /* NULL: print the number */
const char *lookup_name(enum rule_lookup key);

/* rules/forms.c */
const char *table_type_name(enum rules_table_type type);

/* rules/tables.c: make the tables that a rule mentions. */
int tables_of_rule(struct rules *s, const struct rule *r, struct rules_error *err);

/* rules/print_match.c */
void print_argument(FILE *f, const struct rule_match *m, unsigned int flags);

/* rules/emit.c: a condition as instructions; they end in ON or OFF */
enum {
	EMIT_OFF = 0xfffffffd,
	EMIT_ON = 0xfffffffe,
	EMIT_PAST = 0xffffffff,	 /* the rule does not apply */
	EMIT_HOLDS = 0xfffffffc, /* the block of conditions holds */
};

struct code {
	const struct rules *rules;
	struct divert_insn *insn;
	uint32_t n, room;
	uint16_t rule;
	struct divert_insn scrap; /* what is written to when there is no memory */
	int error;
};

/* The instruction is the caller's until the next one is emitted. */
struct divert_insn *emit(struct code *c, enum divert_op op, unsigned int field, uint32_t yes,
			 uint32_t no);
void emit_mask(struct code *c, enum divert_field field, uint32_t mask, uint32_t value, uint32_t yes,
	       uint32_t no);
/* bytes: as they are in a packet or a name */
void emit_prefix(struct code *c, enum divert_op op, enum divert_wide field, const void *bytes,
		 unsigned int bits, uint32_t yes, uint32_t no);
void emit_flag(struct code *c, uint32_t flag, uint32_t yes, uint32_t no);
/* On at the next instruction, with what was loaded; a packet that lacks it: OFF. */
void emit_load(struct code *c, enum divert_load what, unsigned int offset, unsigned int width,
	       unsigned int shift, uint32_t mask);
void emit_ranges(struct code *c, enum divert_field field, const struct rule_range *range,
		 unsigned int n, uint32_t yes, uint32_t no);
void emit_lookup(struct code *c, const struct rule_table *t, enum divert_key key,
		 unsigned int field, uint32_t yes, uint32_t no);
void emit_match(struct code *c, const struct rule_match *m);
void emit_prob(struct code *c, uint32_t prob);

/* rules/emit_address.c */
void emit_addresses(struct code *c, const struct rule_match *m);

#endif
