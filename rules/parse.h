/* SPDX-License-Identifier: BSD-2-Clause */
/* Internal to rules/: shared by the parser, the printer and the compiler. */
#ifndef DIVERT_RULES_PARSE_H
#define DIVERT_RULES_PARSE_H

#include <stdio.h>
#include <sysexits.h>

#include "rules.h"

struct code;

struct parser {
	char *line;	   /* a copy, split into words */
	const char **word; /* n of them, then NULL */
	unsigned int n, at;
	char comment[RULES_COMMENT_MAX + 1];
	bool has_comment;
	struct rule *rule;
	struct rule_match **tail;
	bool in_block;		   /* inside { a or b }, where a condition need not hold */
	const char *only4, *only6; /* the words that restrict the rule to a family */
	bool six;		   /* the option is for IPv6 only */
	struct rules_error *err;
};

/* These functions return 0, or -1 with the error filled in, unless stated otherwise. */

/* rules/words.c */
int parser_open(struct parser *p, const char *line, struct rules_error *err);
void parser_close(struct parser *p);
const char *parser_peek(const struct parser *p);		/* NULL at the end */
const char *parser_next(struct parser *p, const char *missing); /* NULL: failed */
bool parser_take(struct parser *p, const char *word); /* true: it was next, and is taken */
bool parser_open_block(struct parser *p);	      /* true: a { was next, and is taken */
int parser_close_block(struct parser *p);
bool parse_number(const char *s, uint32_t max, uint32_t *v); /* decimal; false: not a number */
char *list_item(char **list); /* next item of the list, which is split; NULL at the end */
unsigned int list_count(const char *list); /* upper bound for the items */

/* rules/reject.c: unreach, reset and similar actions */
int parse_answer(struct parser *p, const char *word); /* 1: none of these */
void print_answer(FILE *f, uint16_t answer, uint16_t mtu);

/* rules/hop.c: fwd */
int parse_hop(struct parser *p);
void print_hop(FILE *f, const struct rule *r);
void emit_hop_match(struct code *c, const struct rule *r);
void emit_hop(struct code *c, const struct rule *r);

/* rules/change.c: setfwmark and settos, behind the action */
int parse_change(struct parser *p, const char *word); /* 1: none of these */
void print_change(FILE *f, const struct rule_change *change);
void emit_change(struct code *c, const struct rule_change *change);

/* rules/state.c */
int parse_check_state(struct parser *p);
int parse_state(struct parser *p, const char *word, bool negate); /* 1: no such option */
bool is_state(const char *word);
void print_state(FILE *f, const struct rule *r);
uint32_t flow_name_id(const char *name); /* never 0 */

/* rules/absent.c: true, with the error set, for words of ipfw(8) that ipdivert does not have */
bool absent_action(const char *word, struct rules_error *err);
bool absent_option(const char *word, struct rules_error *err);
bool absent_lookup(const char *word, struct rules_error *err); /* as a key of lookup */

/* rules/kinds.c: all options, for the parser and the printer */
struct flag_name {
	const char *name;
	uint16_t flag;
};

enum {
	TH_SYN = 0x02, /* TCP flags */
	TH_RST = 0x04,
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
	ARG_VALUE,   /* a single number */
	ARG_FLAGS,   /* names, each may be negated by "!" */
	ARG_ANY,     /* names, any of which must be present */
	ARG_DSCP,
	ARG_IFACE,
	ARG_MARK,
	ARG_LOOKUP,
	ARG_FLOW,
	ARG_USER,
	ARG_GROUP,
	ARG_BYPASS,
};

/* The only packets that can match. */
enum rule_only {
	ONLY_V4 = 1 << 0,
	ONLY_V6 = 1 << 1,
	ONLY_TCP = 1 << 2,   /* not a later fragment, either */
	ONLY_FIRST = 1 << 3, /* not a later fragment: it has no ports and the like */
};

struct rule_kind {
	const char *name; /* name of the option */
	enum rule_argument argument;
	const char *what; /* describes the argument; NULL: it has none */
	uint32_t max;
	const struct flag_name *flags;
	unsigned int only;	 /* enum rule_only */
	enum divert_field field; /* compared with the argument; 0: see CODE in kinds.c */
	enum divert_load load;	 /* of DIVERT_F_LOADED: from where, and which bits of that */
	uint16_t offset;
	uint8_t width;
	uint32_t mask;
};

extern const struct rule_kind rule_kind[RULE_TYPES];

/* rules/match.c */
struct rule_match *match_new(struct parser *p, enum rule_match_type type, bool negate, bool head);
void match_drop_last(struct parser *p, struct rule_match *m);
/* Accept "any": removes m, which is no condition then. "not any" is an error. */
int match_any(struct parser *p, struct rule_match *m);
void match_free(struct rule_match *m);

/* rules/options.c */
bool is_option(const char *word);
int parse_options(struct parser *p);

/* rules/body.c: proto from SRC [ports] to DST [ports] */
int parse_body(struct parser *p);

/* rules/address.c */
int parse_addresses(struct parser *p, struct rule_match *m, const char *word);
int parse_address(struct rule_addr *a, const char *word); /* -1: not an address */
bool is_six(const struct rule_addr *a);			  /* can only match IPv6 */

/* Replace "localhost", and keep what follows it. Returns item itself if it is another word. */
const char *loopback_name(const char *item, bool six, char text[64]);

/* rules/table_words.c */
int parse_table(struct parser *p, struct rule_table **t, const char *word);
bool is_table(const char *word);

/* rules/iface.c */
int parse_iface(struct parser *p, struct rule_match *m, const char *word);

/* rules/numbers.c: protocols, ports, marks */
bool is_protocol(const char *word);
int parse_protocol(struct parser *p, struct rule_match *m, const char *word);
int parse_ports(struct parser *p, struct rule_match *m, const char *word);
bool parse_port(char *s, uint16_t *port); /* a number, or a service's name */
int parse_ranges(struct parser *p, struct rule_match *m, const char *word);
int parse_mark(struct parser *p, struct rule_match *m, const char *word);
int parse_divert_port(struct parser *p, const char *word, uint16_t *port);

/* rules/names.c: protocols and services */
const char *protocol_name(uint8_t proto, bool kept); /* NULL: print the number */
bool protocol_has_ports(uint8_t proto);
int protocol_number(const char *word); /* -1: unknown */
/* transport: whose service is preferred; NULL: any. false: unknown service. */
bool service_port(const char *name, const char *transport, uint16_t *port);

/* rules/fields.c: other header fields */
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

/* rules/tables.c: create the tables that a rule names. */
int tables_of_rule(struct rules *s, const struct rule *r, struct rules_error *err);

/* rules/print_match.c */
void print_argument(FILE *f, const struct rule_match *m, unsigned int flags);

/* rules/emit_insn.c: single instructions; those of a condition end in ON or OFF */
enum {
	EMIT_OFF = 0xfffffffd,
	EMIT_ON = 0xfffffffe,
	EMIT_PAST = 0xffffffff,	 /* the rule does not match */
	EMIT_HOLDS = 0xfffffffc, /* the block of conditions holds */
};

struct code {
	const struct rules *rules;
	struct divert_insn *insn;
	uint32_t n, room;
	uint16_t rule;
	uint32_t state_id;	  /* the rule's */
	struct divert_insn scrap; /* written to when memory has run out */
	int error;
};

/* Emit an instruction. The caller may change it until the next one is emitted. */
struct divert_insn *emit(struct code *c, enum divert_op op, unsigned int field, uint32_t yes,
			 uint32_t no);
void emit_mask(struct code *c, enum divert_field field, uint32_t mask, uint32_t value, uint32_t yes,
	       uint32_t no);
/* bytes: as in a packet or a name */
void emit_prefix(struct code *c, enum divert_op op, enum divert_wide field, const void *bytes,
		 unsigned int bits, uint32_t yes, uint32_t no);
void emit_flag(struct code *c, uint32_t flag, uint32_t yes, uint32_t no);
/* Load a value, and continue at the next instruction; OFF if the packet lacks it. */
void emit_load(struct code *c, enum divert_load what, unsigned int offset, unsigned int width,
	       unsigned int shift, uint32_t mask);
void emit_ranges(struct code *c, enum divert_field field, const struct rule_range *range,
		 unsigned int n, uint32_t yes, uint32_t no);
void emit_lookup(struct code *c, const struct rule_table *t, enum divert_key key,
		 unsigned int field, uint32_t yes, uint32_t no);

/* rules/emit.c: a condition as instructions */
void emit_match(struct code *c, const struct rule_match *m);
void emit_prob(struct code *c, uint32_t prob);

/* rules/emit_address.c */
void emit_addresses(struct code *c, const struct rule_match *m);

#endif
