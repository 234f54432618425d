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
	int status;	 /* of <sysexits.h> */
	char text[1024]; /* names the word that could not be read; no newline */
};

/* Fill it in. -1, always. */
int rules_fail(struct rules_error *err, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- a rule ---- */

enum rule_action {
	RULE_ALLOW,
	RULE_DENY,
	RULE_ANSWER, /* deny, and tell the sender arg */
	RULE_COUNT,
	RULE_DIVERT,
	RULE_TEE,
	RULE_SKIPTO,
	RULE_CALL,
	RULE_RETURN,
	RULE_REASS, /* nothing to do: sockets put fragments together */
};

/* What of struct rule_match is in use stands behind each. */
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
	RULE_ICMPCODES,
	RULE_DIVERTED,
	RULE_DIVERTED_LOOPBACK,
	RULE_DIVERTED_OUTPUT,
	RULE_FWMARK, /* mark */
	RULE_BYPASS, /* matches everything; says what divert does without a listener */
	RULE_ESTABLISHED,
	RULE_SETUP,
	RULE_TCPFLAGS,	 /* flags */
	RULE_TCPOPTIONS, /* flags: enum divert_tcp_option */
	RULE_TCPSEQ,	 /* value: one of n */
	RULE_TCPACK,
	RULE_TCPWIN, /* range */
	RULE_TCPMSS,
	RULE_TCPDATALEN,
	RULE_IPID,
	RULE_IPLEN,
	RULE_IPTTL,
	RULE_IPTOS,	   /* flags */
	RULE_IPPRECEDENCE, /* range */
	RULE_DSCP,	   /* range */
	RULE_IPOPTIONS,	   /* flags: enum divert_ip_option */
	RULE_FRAG,	   /* flags: enum rule_frag; none: a fragment other than the first */
	RULE_EXT6HDR,	   /* flags: enum divert_ext, one of those in set */
	RULE_FLOWID,	   /* value */
	RULE_IPVER,	   /* value */
	RULE_SOCKARG,	   /* never: sockets of Linux have no cookie of a user's */
	RULE_UID,
	RULE_GID,
	RULE_LOOKUP, /* lookup */
	RULE_FLOW,   /* lookup, without a key */
	RULE_VERREVPATH,
	RULE_VERSRCREACH,
	RULE_ANTISPOOF,
	RULE_TYPES,
};

enum rule_frag {
	RULE_FRAG_OFFSET = 1 << 0,
	RULE_FRAG_MF = 1 << 1,
	RULE_FRAG_DF = 1 << 2,
	RULE_FRAG_RF = 1 << 3,
};

#define RULES_TABLE_NAME_MAX 63

/* "table(name)", "table(name,value)" */
struct rule_table {
	char name[RULES_TABLE_NAME_MAX + 1]; /* empty: no table */
	bool has_value;
	uint32_t value;
};

enum rule_addr_kind {
	RULE_ADDR_4,	  /* ip, mask */
	RULE_ADDR_6,	  /* ip6, bits */
	RULE_ADDR_6_MASK, /* ip6, mask6: one that is no prefix */
	RULE_ADDR_SET,	  /* those of ip, mask whose last byte is in set */
	RULE_ADDR_ME,	  /* of this host */
	RULE_ADDR_ME6,	  /* the same, IPv6 only */
	RULE_ADDR_TABLE,  /* table */
};

struct rule_addr {
	enum rule_addr_kind kind;
	struct in_addr ip, mask;    /* ip has no bits outside mask */
	struct in6_addr ip6, mask6; /* the same */
	unsigned int bits;
	uint32_t set[8]; /* bit i % 32 of set[i / 32] */
	struct rule_table *table;
};

struct rule_range {
	uint16_t lo, hi; /* host order */
};

enum rule_iface_kind {
	RULE_IFACE_NAME,
	RULE_IFACE_PREFIX, /* names that start so ("eth*") */
	RULE_IFACE_ADDR,   /* one that has the address */
	RULE_IFACE_TABLE,
};

enum rule_lookup {
	RULE_LOOKUP_SRC,
	RULE_LOOKUP_DST,
	RULE_LOOKUP_SPORT,
	RULE_LOOKUP_DPORT,
	RULE_LOOKUP_UID,
	RULE_LOOKUP_DSCP,
	RULE_LOOKUP_MARK,
};

/*
 * A condition. A rule applies to a packet that meets all of its conditions; several that are
 * or'ed count as one, of which one has to be met.
 */
struct rule_match {
	struct rule_match *next;
	enum rule_match_type type;
	bool negate;
	bool or_next;	/* or'ed with the next one */
	bool head;	/* printed where proto, from and to have it, not as an option */
	unsigned int n; /* of addr, range or value */
	union {
		struct rule_addr *addr;
		struct rule_range *range;
		uint32_t *value;
		uint8_t proto;
		struct {
			enum rule_iface_kind kind;
			char name[DIVERT_NAME_LEN];
			struct rule_addr addr;
			struct rule_table *table;
		} iface;
		struct {
			uint32_t value, mask;
			bool hex; /* entered, so printed, in hexadecimal */
		} mark;
		struct {
			uint16_t set, clear; /* have to be set, have to be clear */
		} flags;
		struct {
			enum rule_lookup key;
			struct rule_table *table;
		} lookup;
	};
};

#define RULES_SETS	   32
#define RULES_SET_RESERVED 31 /* neither flushed nor disabled */
#define RULES_PROB_ALL	   1000000
#define RULES_LOG_DEFAULT  100 /* packets that a rule with log logs until ipfw resetlog */

struct rule {
	uint16_t number; /* 1 to 65534; 0: rules_add() chooses */
	uint16_t
		arg; /* port of divert and tee, number of skipto and call; host order; enum divert_answer */
	uint16_t mtu; /* that the answer names; 0: none */
	enum rule_action action;
	bool tablearg; /* arg is the value of the last table that matched */
	uint8_t set;
	uint32_t prob; /* of RULES_PROB_ALL packets; RULES_PROB_ALL: all of them */
	bool log;
	bool log_given;	  /* logamount was */
	uint32_t log_max; /* 0: no limit */
	bool bare;	  /* entered as options only, without "ip from any to any" */
	bool chain;	  /* part of an ipchains chain; rules/chains.h makes these */
	uint16_t owner;	  /* 1 + the slot without whose holder it has no effect; 0: nobody's */
	uint32_t counter; /* slot; rules_add() gives it */
	struct rule_match *match;
	char *comment; /* after "//"; or NULL */
	char *never;   /* why no packet can match, as far as that is seen; or NULL */
	char *text;    /* canonical, without the number and the set */
};

/*
 * Read "[number] [set N] [prob P] action ... [// comment]". Words are apart by white space; that
 * around a comma does not count; a word that starts with # ends the line.
 * The number may be that of the default rule, which rules_add() then refuses.
 * 0 and a rule that the caller frees, or hands to rules_add(); or -1.
 */
int rule_parse(const char *line, struct rule **rule, struct rules_error *err);

/* NULL is fine. */
void rule_free(struct rule *r);

enum rule_print_flags {
	RULE_PRINT_COMPACT = 1 << 0, /* without what says nothing */
	RULE_PRINT_BRIEF = 1 << 1,   /* action and comment only */
	RULE_PRINT_NAMES = 1 << 2,   /* of services, users, hosts */
	RULE_PRINT_LIST = 1 << 3,    /* users and all protocols by name, as FreeBSD lists them */
};

/*
 * As text, malloc'ed; without flags it is r->text, which other versions and other hosts read as
 * well. NULL: no memory.
 */
char *rule_print(const struct rule *r, unsigned int flags);

/* ---- tables ---- */

enum rules_table_type {
	RULES_TABLE_ADDR,
	RULES_TABLE_NUMBER,
	RULES_TABLE_IFACE,
	RULES_TABLE_FLOW, /* several fields of a packet */
	RULES_TABLE_TYPES,
};

/* What the values are said to be. They are numbers all the same; addresses are printed as such. */
enum rules_table_values {
	RULES_VALUES_LEGACY,
	RULES_VALUES_SKIPTO,
	RULES_VALUES_DIVERT,
	RULES_VALUES_IPV4,
	RULES_VALUES,
};

struct rules_table {
	struct rules_table *next;
	uint32_t id; /* in the kernel half */
	enum rules_table_type type;
	uint8_t fields; /* of a flow: enum divert_flow_field */
	enum rules_table_values values;
	bool locked;	/* may not be changed */
	uint32_t limit; /* entries that it may have; 0: any number */
	char name[RULES_TABLE_NAME_MAX + 1];
};

/* One entry: its key as the kernel half has it. */
struct rules_entry {
	union {
		struct divert_table_addr addr;
		struct divert_table_key key;
		struct divert_table_flow flow;
	};
	uint32_t value;
};

/* ---- the rule set ---- */

struct rules {
	struct rule **rule; /* by number; those of one number as they were added */
	unsigned int n, room;
	uint32_t disabled;		/* sets, by bit */
	bool off;			/* ipfw disable firewall: no rule is looked at */
	struct rules_table *tables;	/* by name */
	uint32_t last_table;		/* the highest id that was given */
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

/* The rules of one set, but those of chains. How many there were. */
unsigned int rules_delete_set(struct rules *s, unsigned int set, unsigned int first,
			      unsigned int last);
/* The ports that rules divert to, one for each rule that names one, into room for s->n: how many. */
unsigned int rules_ports(const struct rules *s, uint32_t *port);

/* ipfw flush: all but those of RULES_SET_RESERVED. */
void rules_flush_sets(struct rules *s);

/* rules/tables.c: NULL: there is none, or no memory; a rule's mention makes one, too. */
struct rules_table *rules_table_find(const struct rules *s, const char *name);
struct rules_table *rules_table_add(struct rules *s, const char *name, enum rules_table_type type,
				    struct rules_error *err);
/* -1: a rule has it. */
int rules_table_delete(struct rules *s, const char *name, struct rules_error *err);
/* Without entries; those that it had are nobody's. */
int rules_table_renew(struct rules *s, struct rules_table *t, struct rules_error *err);
bool rules_table_name(const char *name);
/* The rules that have it. */
unsigned int rules_table_uses(const struct rules *s, const char *name);
/* Each of two tables of one form gets the other's entries. */
int rules_table_swap(struct rules_table *a, struct rules_table *b, struct rules_error *err);

/* rules/iface.c: Linux's name of an interface: BSD's lo0 is lo. */
const char *rules_iface_name(const char *name);

/* rules/forms.c: what a table is, in words: "addr", "flow:src-ip,proto"; "skipto". */
int rules_table_type_parse(struct rules_table *t, const char *word, struct rules_error *err);
int rules_table_values_parse(struct rules_table *t, const char *word, struct rules_error *err);
bool rules_table_same_form(const struct rules_table *a, const struct rules_table *b);
#define RULES_TYPE_TEXT 64
void rules_table_type_print(const struct rules_table *t, char text[RULES_TYPE_TEXT]);
const char *rules_table_values_name(const struct rules_table *t);

/* rules/entries.c: an entry of the table by its words. The value is left alone. */
int rules_entry_parse(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct rules_entry *e);
int rules_value_parse(const char *word, uint32_t *value, struct rules_error *err);
/* The key as text. */
#define RULES_ENTRY_TEXT (5 * INET6_ADDRSTRLEN) /* five words, each with a comma or the end */
void rules_entry_print(const struct rules_table *t, const struct rules_entry *e,
		       char text[RULES_ENTRY_TEXT]);

/* ---- what the kernel half runs ---- */

struct rules_compiled {
	struct divert_insn *insn;
	uint32_t insns;
	struct divert_entry *entry;
	uint32_t entries;
};

/*
 * Compile. An empty set, and one that is off, has no instructions and no entries; otherwise the
 * default rule is compiled as the last. The caller frees the result. -E2BIG, -ENOMEM.
 */
int rules_compile(const struct rules *s, struct rules_compiled *out);
void rules_compiled_free(struct rules_compiled *c);

/* ---- what is kept with it ---- */

/* Nothing to be kept. */
bool rules_empty(const struct rules *s);

/* The set as bytes, malloc'ed; NULL and 0 for one without rules, chains, tables and settings. -ENOMEM. */
int rules_save(const struct rules *s, char **blob, uint32_t *len);

/* Read them into a set that rules_init() made. -1: damaged, or of a newer version. */
int rules_load(struct rules *s, const char *blob, uint32_t len, struct rules_error *err);

#endif
