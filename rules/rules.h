/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a network namespace: the model, ipfw(8)'s grammar over it, its
 * printer, the form that the kernel half runs, and the form it is kept in.
 * Nothing here needs root, talks to the kernel, prints or exits.
 *
 * Where a function takes a struct rules_error it may be NULL; it is filled in
 * when the function fails, and what the function was to change is as before.
 */
#ifndef DIVERT_RULES_H
#define DIVERT_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/layout.h"

#define RULES_DEFAULT	   65535 /* number of the default rule, whose counter is slot 0 */
#define RULES_DEFAULT_TEXT "allow ip from any to any"
#define RULES_STEP	   100	/* what a rule without a number is above the highest one */
#define RULES_TEXT_MAX	   4000 /* bytes of a rule as entered, and as printed */
#define RULES_COMMENT_MAX  80	/* bytes of a comment */
#define RULES_PORT_NATD	   8668 /* what "natd" means where /etc/services does not say */

struct rules_error {
	int status;	/* of <sysexits.h> */
	char text[512]; /* names the word that could not be read; no newline */
};

/* ---- a rule ---- */

enum rule_action {
	RULE_ALLOW,
	RULE_DENY,
	RULE_COUNT,
	RULE_DIVERT,
	RULE_TEE,
	RULE_SKIPTO,
	RULE_CALL,
	RULE_RETURN,
};

enum rule_match_type {
	RULE_PROTO, /* proto */
	RULE_IP4,   /* proto ip4 */
	RULE_IP6,   /* proto ip6 */
	RULE_SRC,   /* addr: one of n */
	RULE_DST,
	RULE_SPORT, /* range: in one of n */
	RULE_DPORT,
	RULE_IN,  /* "out" is "not in" */
	RULE_VIA, /* iface */
	RULE_RECV,
	RULE_XMIT,
	RULE_ICMP, /* range */
	RULE_ICMP6,
	RULE_DIVERTED,
	RULE_DIVERTED_LOOPBACK,
	RULE_DIVERTED_OUTPUT,
	RULE_FWMARK, /* mark */
	RULE_BYPASS, /* matches everything; says what divert does without a listener */
};

struct rule_addr {
	int family;		 /* AF_INET, AF_INET6 */
	struct in_addr ip, mask; /* AF_INET; ip has no bits outside mask */
	struct in6_addr ip6;	 /* AF_INET6 */
	unsigned int bits;	 /* AF_INET6 */
};

struct rule_range {
	uint16_t lo, hi; /* host order */
};

/* A condition. A rule applies to a packet that meets all of its conditions. */
struct rule_match {
	struct rule_match *next;
	enum rule_match_type type;
	bool negate;
	bool head;	/* printed where proto, from and to have it, not as an option */
	unsigned int n; /* of addr or range */
	union {
		struct rule_addr *addr;
		struct rule_range *range;
		uint8_t proto;
		struct {
			char name[DIVERT_NAME_LEN];
			bool prefix; /* names that start so ("eth*") */
		} iface;
		struct {
			uint32_t value, mask;
			bool hex; /* entered, so printed, in hexadecimal */
		} mark;
	};
};

struct rule {
	uint16_t number; /* 1 to 65534; 0: rules_add() chooses */
	uint16_t arg;	 /* port of divert and tee, number of skipto and call; host order */
	enum rule_action action;
	bool bare;	  /* entered as options only, without "ip from any to any" */
	bool chain;	  /* part of an ipchains chain; rules/chains.h makes these */
	uint16_t owner;	  /* 1 + the slot without whose holder it has no effect; 0: nobody's */
	uint32_t counter; /* slot; rules_add() gives it */
	struct rule_match *match;
	char *comment; /* after "//"; or NULL */
	char *text;    /* canonical, without the number */
};

/*
 * Read "[number] action ... [// comment]". Words are apart by white space; that
 * around a comma does not count; a word that starts with # ends the line.
 * The number may be that of the default rule, which rules_add() then refuses.
 * 0 and a rule that the caller frees, or hands to rules_add(); or -1.
 */
int rule_parse(const char *line, struct rule **rule, struct rules_error *err);

/* NULL is fine. */
void rule_free(struct rule *r);

/* ---- the rule set ---- */

struct rules {
	struct rule **rule; /* by number; those of one number as they were added */
	unsigned int n, room;
	char *chains;			/* ipchains' chains as text (rules/chains.h); NULL: none */
	uint8_t slot[DIVERT_RULES_MAX]; /* counters: enum rules_slot */
};

enum rules_slot {
	RULES_SLOT_USED = 1 << 0, /* a rule of the set has it */
	RULES_SLOT_WAS = 1 << 1,  /* a rule had it when the set was loaded, and may still count */
};

void rules_init(struct rules *s);
void rules_free(struct rules *s);

/*
 * Take the rule into the set, behind those with its number; number it, if it
 * has none, and give it a counter slot: the lowest that is free, and was free when
 * the set was loaded while there are such. The set then owns it. -1: it does not: too
 * many rules, a number that is reserved, no memory.
 */
int rules_add(struct rules *s, struct rule *r, struct rules_error *err);

/* Remove the rules numbered first to last. How many there were. */
unsigned int rules_delete(struct rules *s, unsigned int first, unsigned int last);

/* Remove those that are said to go. How many there were. */
unsigned int rules_delete_if(struct rules *s, bool (*goes)(const struct rule *r, void *arg),
			     void *arg);
void rules_flush(struct rules *s);

/* ---- what the kernel half runs ---- */

struct rules_compiled {
	struct divert_insn *insn;
	uint32_t insns;
	struct divert_entry *entry;
	uint32_t entries;
};

/*
 * Compile. A set without rules and chains has no instructions and no entries; otherwise the default rule
 * is compiled as the last. The caller frees the result. -E2BIG, -ENOMEM.
 */
int rules_compile(const struct rules *s, struct rules_compiled *out);
void rules_compiled_free(struct rules_compiled *c);

/* ---- what is kept with it ---- */

/* The set as bytes, malloc'ed; NULL and 0 for a set without rules and chains. -ENOMEM. */
int rules_save(const struct rules *s, char **blob, uint32_t *len);

/* Read them into a set that rules_init() made. -1: damaged, or of a newer version. */
int rules_load(struct rules *s, const char *blob, uint32_t len, struct rules_error *err);

#endif
