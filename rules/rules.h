/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a network namespace: the model, the parser and printer for ipfw(8)'s grammar, the
 * compiler for the kernel half, and the stored form. Nothing here needs root, talks to the kernel,
 * prints or exits.
 *
 * A struct rules_error * argument may be NULL. It is filled in when a function fails; the object
 * that the function was to change is then unchanged.
 */
#ifndef DIVERT_RULES_H
#define DIVERT_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/layout.h"

#define RULES_DEFAULT	   65535 /* number of the default rule, whose counter is slot 0 */
#define RULES_DEFAULT_TEXT "allow ip from any to any"
#define RULES_STEP	   100	/* a rule without a number gets the highest number plus this */
#define RULES_TEXT_MAX	   4000 /* bytes of a rule, as entered and as printed */
#define RULES_COMMENT_MAX  80	/* bytes of a comment */
#define RULES_PORT_NATD	   8668 /* port of "natd" if /etc/services does not have it */

struct rules_error {
	int status;	 /* of <sysexits.h> */
	char text[1024]; /* names the word that could not be parsed; no newline */
};

/* Fill in the error. Always returns -1. */
int rules_fail(struct rules_error *err, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- a rule ---- */

enum rule_action {
	RULE_ALLOW,
	RULE_DENY,
	RULE_ANSWER, /* deny, and tell the sender; see arg */
	RULE_COUNT,
	RULE_DIVERT,
	RULE_TEE,
	RULE_SKIPTO,
	RULE_CALL,
	RULE_RETURN,
	RULE_REASS, /* no effect: sockets reassemble fragments */
	RULE_CHECK, /* check-state: the action of the rule that made the flow's state, if any */
	RULE_FWD,   /* to the next hop `hop`, on the way out only */
};

/* A rule does this with the state of a flow, once its conditions hold. */
enum rule_state {
	RULE_STATE_NONE,
	RULE_STATE_KEEP,      /* make one; before its conditions, check as check-state does */
	RULE_STATE_RECORD,    /* the same without the check */
	RULE_STATE_LIMIT,     /* as KEEP, up to limit states with equal limit_by */
	RULE_STATE_SET_LIMIT, /* the same without the check */
};

#define RULES_FLOW_NAME_MAX 63

/* The comments name the members of struct rule_match that each type uses. */
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
	RULE_BYPASS, /* always matches; sets divert's behaviour without a listener */
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
	RULE_FRAG,	   /* flags: enum rule_frag; none set: a fragment other than the first */
	RULE_EXT6HDR,	   /* flags: enum divert_ext, any of those in set */
	RULE_FLOWID,	   /* value */
	RULE_IPVER,	   /* value */
	RULE_SOCKARG,	   /* never matches: Linux sockets have no user cookie */
	RULE_UID,
	RULE_GID,
	RULE_LOOKUP, /* lookup */
	RULE_FLOW,   /* lookup, without a key */
	RULE_VERREVPATH,
	RULE_VERSRCREACH,
	RULE_ANTISPOOF,
	RULE_FIRST, /* value: the first packets of a flow that meet the other conditions */
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
	RULE_ADDR_6_MASK, /* ip6, mask6, which is not a prefix */
	RULE_ADDR_SET,	  /* addresses in ip, mask whose last byte is in set */
	RULE_ADDR_ME,	  /* any address of this host */
	RULE_ADDR_ME6,	  /* the same, IPv6 only */
	RULE_ADDR_TABLE,  /* table */
};

struct rule_addr {
	enum rule_addr_kind kind;
	struct in_addr ip, mask;    /* ip has no bits outside mask */
	struct in6_addr ip6, mask6; /* ip6 has no bits outside mask6 */
	unsigned int bits;
	uint32_t set[8]; /* bit i % 32 of set[i / 32] */
	struct rule_table *table;
};

struct rule_range {
	uint16_t lo, hi; /* host order */
};

enum rule_iface_kind {
	RULE_IFACE_NAME,
	RULE_IFACE_PREFIX, /* names with this prefix ("eth*") */
	RULE_IFACE_ADDR,   /* an interface that has the address */
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
 * A condition. A rule matches a packet that meets all its conditions. Conditions that are or'ed
 * count as one: any of them is enough.
 */
struct rule_match {
	struct rule_match *next;
	enum rule_match_type type;
	bool negate;
	bool or_next;	/* or'ed with the next one */
	bool head;	/* printed in the place of proto, from or to, not as an option */
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
			bool hex; /* printed in hexadecimal, as entered */
		} mark;
		struct {
			uint16_t set, clear; /* must be set, must be clear */
		} flags;
		struct {
			enum rule_lookup key;
			struct rule_table *table;
		} lookup;
	};
};

#define RULES_SETS	   32
#define RULES_SET_RESERVED 31 /* cannot be flushed or disabled */
#define RULES_PROB_ALL	   1000000
#define RULES_LOG_DEFAULT  100 /* packets that a rule with `log` logs, until ipfw resetlog */

/* A change of the packet, made before the action; chains only (-m and -t of ipchains(8)). */
struct rule_change {
	bool mark, relative; /* fwmark: set to value, or value is added to it */
	uint32_t value;
	uint8_t tos_clear, tos_flip; /* bits of the TOS of IPv4 */
};

/* Of fwd; with tablearg only an IPv4 address. */
struct rule_hop {
	bool six;
	struct in_addr ip;
	struct in6_addr ip6;
	char iface[DIVERT_NAME_LEN]; /* of a link-local address; else empty */
};

struct rule {
	uint16_t number; /* 1 to 65534; 0: rules_add() chooses one */
	uint16_t arg;	 /* divert, tee, fwd: port; skipto, call: number; enum divert_reject */
	uint16_t mtu;	 /* MTU in the ICMP error; 0: none */
	enum rule_action action;
	bool tablearg; /* arg, or the hop, is the value of the last table that matched */
	struct rule_hop hop;
	uint8_t set;
	uint32_t prob; /* matches with probability prob / RULES_PROB_ALL */
	bool log;
	bool log_given;	  /* logamount was given */
	uint32_t log_max; /* 0: no limit */
	bool bare;	  /* entered with options only, without "ip from any to any" */
	bool chain;	  /* part of an ipchains chain, made by rules/chains.h */
	uint16_t owner;	  /* 1 + slot of the owner, whose end disables the rule; 0: no owner */
	uint32_t counter; /* counter slot, set by rules_add() */
	struct rule_change change;
	enum rule_state state;
	bool only_later;   /* the action is for later packets of the flow only */
	uint8_t limit_by;  /* enum divert_flow_field, but not PROTO */
	uint16_t limit;	   /* number of states */
	uint32_t state_id; /* of the rule in what it keeps of flows; set by rules_add() */
	char flow[RULES_FLOW_NAME_MAX + 1]; /* name of the states; "": any, of CHECK */
	struct rule_match *match;
	char *comment; /* text behind "//"; or NULL */
	char *never;   /* why no packet can match, if that was noticed; or NULL */
	char *text;    /* canonical text, without number and set */
};

/*
 * Parse "[number] [set N] [prob P] action ... [// comment]". White space separates words, except
 * around a comma. A word that starts with # ends the line. The number of the default rule is
 * accepted here, and refused by rules_add(). Returns 0 and a rule, which the caller frees or passes
 * to rules_add(); or -1.
 */
int rule_parse(const char *line, struct rule **rule, struct rules_error *err);

/* r may be NULL. */
void rule_free(struct rule *r);

/* Give a rule with the action divert the option bypass, unless it has it. -1: out of memory. */
int rule_add_bypass(struct rule *r);

enum rule_print_flags {
	RULE_PRINT_COMPACT = 1 << 0, /* omit parts that have no effect */
	RULE_PRINT_BRIEF = 1 << 1,   /* action and comment only */
	RULE_PRINT_NAMES = 1 << 2,   /* names of services, users and hosts */
	RULE_PRINT_LIST = 1 << 3,    /* users and all protocols by name, as FreeBSD does */
};

/*
 * Print to a malloc'ed string. Without flags the result is r->text, which other versions and other
 * hosts read, too. NULL: out of memory.
 */
char *rule_print(const struct rule *r, unsigned int flags);

/* ---- tables ---- */

enum rules_table_type {
	RULES_TABLE_ADDR,
	RULES_TABLE_NUMBER,
	RULES_TABLE_IFACE,
	RULES_TABLE_FLOW, /* several packet fields */
	RULES_TABLE_TYPES,
};

/* The declared type of the values. All are numbers, but addresses are printed as addresses. */
enum rules_table_values {
	RULES_VALUES_LEGACY,
	RULES_VALUES_SKIPTO,
	RULES_VALUES_DIVERT,
	RULES_VALUES_IPV4,
	RULES_VALUES,
};

struct rules_table {
	struct rules_table *next;
	uint32_t id; /* id in the kernel half */
	enum rules_table_type type;
	uint8_t fields; /* of a flow: enum divert_flow_field */
	enum rules_table_values values;
	bool locked;	/* cannot be changed */
	uint32_t limit; /* maximum number of entries; 0: no limit */
	char name[RULES_TABLE_NAME_MAX + 1];
};

/* One entry, with its key in the kernel half's format. */
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
	struct rule **rule; /* by number; rules with equal numbers in the order of adding */
	unsigned int n, room;
	uint32_t disabled;	    /* disabled sets, as bits */
	bool off;		    /* ipfw disable firewall: the rules do not apply */
	struct rules_table *tables; /* by name */
	uint32_t last_table;	    /* the highest id given so far */
	uint32_t last_state;	    /* the same for the ids of rules that make states */
	char *chains;		    /* the ipchains chains as text (rules/chains.h); NULL: none */
	uint8_t slot[DIVERT_RULES_MAX]; /* counters: enum rules_slot */
};

enum rules_slot {
	RULES_SLOT_USED = 1 << 0, /* used by a rule of the set */
	RULES_SLOT_WAS =
		1 << 1, /* a rule used it when the set was loaded, and may still count there */
};

void rules_init(struct rules *s);
void rules_free(struct rules *s);

/*
 * Add a rule behind those with its number, and take ownership. Without a number it gets one. Its
 * counter is the lowest free slot; slots that were free when the set was loaded come first. -1, and
 * the caller keeps the rule: too many rules, a reserved number, or out of memory.
 */
int rules_add(struct rules *s, struct rule *r, struct rules_error *err);

/* Does it keep something of flows, in the kernel half's table? */
bool rule_keeps(const struct rule *r);

/* Does it change packets? */
bool rule_changes(const struct rule *r);

/* Remove the rules numbered first to last. Returns how many. */
unsigned int rules_delete(struct rules *s, unsigned int first, unsigned int last);

/* Remove the rules for which goes() is true. Returns how many. */
unsigned int rules_delete_if(struct rules *s, bool (*goes)(const struct rule *r, void *arg),
			     void *arg);
void rules_flush(struct rules *s);

/* Remove the rules of one set, except those of chains. Returns how many. */
unsigned int rules_delete_set(struct rules *s, unsigned int set, unsigned int first,
			      unsigned int last);
/*
 * Store the ports that rules divert to, one for each rule that names one. port has room for s->n.
 * Returns how many.
 */
unsigned int rules_ports(const struct rules *s, uint32_t *port);

/* ipfw flush: remove all rules outside RULES_SET_RESERVED. */
void rules_flush_sets(struct rules *s);

/* rules/tables.c. NULL: not found, or out of memory. A rule that names a table creates it, too. */
struct rules_table *rules_table_find(const struct rules *s, const char *name);
struct rules_table *rules_table_add(struct rules *s, const char *name, enum rules_table_type type,
				    struct rules_error *err);
/* -1: a rule uses it. */
int rules_table_delete(struct rules *s, const char *name, struct rules_error *err);
/* Empty the table by giving it a new id; its old entries belong to no table then. */
int rules_table_renew(struct rules *s, struct rules_table *t, struct rules_error *err);
bool rules_table_name(const char *name);
/* The number of rules that use the table. */
unsigned int rules_table_uses(const struct rules *s, const char *name);
/* Exchange the entries of two tables of the same form. */
int rules_table_swap(struct rules_table *a, struct rules_table *b, struct rules_error *err);

/* rules/iface.c: Linux's name of an interface; BSD's lo0 becomes lo. */
const char *rules_iface_name(const char *name);

/* rules/forms.c: type and values of a table in words, as "addr", "flow:src-ip,proto", "skipto". */
int rules_table_type_parse(struct rules_table *t, const char *word, struct rules_error *err);
int rules_table_values_parse(struct rules_table *t, const char *word, struct rules_error *err);
bool rules_table_same_form(const struct rules_table *a, const struct rules_table *b);
#define RULES_TYPE_TEXT 64
void rules_table_type_print(const struct rules_table *t, char text[RULES_TYPE_TEXT]);
const char *rules_table_values_name(const struct rules_table *t);

/* rules/entries.c: parse the key of a table's entry. The value is left alone. */
int rules_entry_parse(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct rules_entry *e);
int rules_value_parse(const char *word, uint32_t *value, struct rules_error *err);
/* Print the key. */
#define RULES_ENTRY_TEXT (5 * INET6_ADDRSTRLEN) /* five words, each with a comma or the final NUL */
void rules_entry_print(const struct rules_table *t, const struct rules_entry *e,
		       char text[RULES_ENTRY_TEXT]);

/* ---- the compiler for the kernel half ---- */

struct rules_compiled {
	struct divert_insn *insn;
	uint32_t insns;
	struct divert_entry *entry;
	uint32_t entries;
};

/*
 * Compile. An empty set, or one that is off, gives no instructions and no entries; otherwise the
 * default rule comes last. The caller frees the result. -E2BIG, -ENOMEM.
 */
int rules_compile(const struct rules *s, struct rules_compiled *out);
void rules_compiled_free(struct rules_compiled *c);

/* ---- the stored form ---- */

/* Is there nothing to store? */
bool rules_empty(const struct rules *s);

/*
 * Serialize the set into malloc'ed memory; NULL and 0 for one without rules, chains, tables and
 * settings. -ENOMEM.
 */
int rules_save(const struct rules *s, char **blob, uint32_t *len);

/* Load into a set that rules_init() made. -1: damaged, or of a newer version. */
int rules_load(struct rules *s, const char *blob, uint32_t len, struct rules_error *err);

#endif
