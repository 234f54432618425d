/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains of Linux 2.2's ipchains(8), as a part of the rule set. The rules of each chain become
 * numbered rules, so that they are evaluated and counted as ipfw's are.
 *
 *	50001 to 54998	input	what arrives		54999	its policy
 *	55001 to 59998	forward	what is forwarded	59999	its policy
 *	60001 to 64998	output	what leaves		64999	its policy
 *
 * A user chain is copied to each place where a rule leads to it, so that a packet that is
 * diverted there continues there. Chains only see IPv4.
 *
 * Functions return 0, or -1 with the error filled in, unless stated otherwise. err->status is an
 * errno as Linux 2.2's setsockopt(2) returned it.
 */
#ifndef DIVERT_CHAINS_H
#define DIVERT_CHAINS_H

#include "rules.h"

#define CHAIN_NAME_MAX	 8
#define CHAIN_RULES_MAX	 4998 /* numbered rules that a built-in chain can become */
#define CHAIN_FIRST	 50000
#define CHAIN_STEP	 5000 /* distance between the numbers of built-in chains */
#define CHAIN_ADDRS_MAX	 64   /* of one host name */
#define CHAIN_PORTS_LAST 65535
#define CHAIN_ICMP_LAST	 255

enum chain_kind {
	CHAIN_INPUT,
	CHAIN_FORWARD,
	CHAIN_OUTPUT,
	CHAIN_USER,
};

/* As fw_flg in struct ip_fw of Linux 2.2. */
enum chain_flags {
	CHAIN_LOG = 0x01,
	CHAIN_SYN = 0x02,  /* SYN without ACK and FIN */
	CHAIN_FRAG = 0x04, /* second and further fragments */
	CHAIN_MARK = 0x08, /* mark is set; without it, it is added */
	CHAIN_WILD = 0x10, /* iface is a prefix of names */
};

/* As fw_invflg: the field must not match. */
enum chain_inverse {
	CHAIN_NOT_SRC = 0x01,
	CHAIN_NOT_DST = 0x02,
	CHAIN_NOT_PROTO = 0x04,
	CHAIN_NOT_SPORT = 0x08,
	CHAIN_NOT_DPORT = 0x10,
	CHAIN_NOT_IFACE = 0x20,
	CHAIN_NOT_SYN = 0x40,
	CHAIN_NOT_FRAG = 0x80,
	CHAIN_NOT_ALL = 0xff,
};

/* The conditions of a rule, and its target. */
struct chain_spec {
	struct in_addr src, src_mask, dst, dst_mask; /* no bits outside the mask */
	uint16_t proto;				     /* 0: any */
	uint16_t flags;				     /* enum chain_flags */
	uint16_t inverse;			     /* enum chain_inverse */
	uint16_t sport[2], dport[2];		     /* host order; for ICMP: type, code */
	uint16_t port;				     /* for DIVERT */
	uint32_t mark;
	uint8_t tos_clear, tos_flip;	 /* bits of the TOS: those that -t ANDs away, and XORs */
	char iface[DIVERT_NAME_LEN];	 /* "": any */
	char target[CHAIN_NAME_MAX + 1]; /* "": none; the rule only counts */
};

struct chain_rule {
	struct chain_spec spec;
	uint32_t *slot; /* counters: one for each copy of the rule */
	unsigned int slots, given;
};

struct chain {
	struct chain *next;
	char name[CHAIN_NAME_MAX + 1];
	enum chain_kind kind;
	char policy[CHAIN_NAME_MAX + 1]; /* ACCEPT, DENY, REJECT; "" for a user chain */
	struct chain_rule **rule;
	unsigned int n;
	struct chain_rule end; /* the policy's counter */
	unsigned int size;     /* numbered rules that it becomes; 0: not computed yet */
	bool seen;	       /* visited by a search */
};

struct chains {
	struct chain *first; /* input, forward, output, then user chains */
};

/* ---- the model (rules/chains.c) ---- */

/* Create the three built-in chains. -1: no memory. */
int chains_init(struct chains *c, struct rules_error *err);
void chains_free(struct chains *c);

/* Error: ENOENT. */
struct chain *chains_find(const struct chains *c, const char *name, struct rules_error *err);
unsigned int chain_references(const struct chains *c, const struct chain *chain);

int chains_new(struct chains *c, const char *name, struct rules_error *err);
/* ENOTEMPTY, EBUSY (rules lead to it), EINVAL (built-in). */
int chains_delete(struct chains *c, struct chain *chain, struct rules_error *err);
int chain_policy(struct chain *chain, const char *policy, struct rules_error *err);

/*
 * Insert a rule before the one with this number (from 1; number of rules + 1: at the end), or
 * replace that one. ENOENT: no such target; ELOOP; E2BIG: no such number; EOPNOTSUPP: ipdivert does
 * not have it.
 */
int chain_insert(struct chains *c, struct chain *chain, unsigned int number,
		 const struct chain_spec *spec, struct rules_error *err);
int chain_replace(struct chains *c, struct chain *chain, unsigned int number,
		  const struct chain_spec *spec, struct rules_error *err);
#define CHAIN_END (~0u)

int chain_delete(struct chain *chain, unsigned int number, struct rules_error *err);
/* Delete the first equal rule. EINVAL: there is none. */
int chain_delete_same(struct chain *chain, const struct chain_spec *spec, struct rules_error *err);
void chain_flush(struct chain *chain);

/* Check that the rule is valid in the chain, and normalise it for comparisons. */
int chain_spec_check(const struct chain *chain, struct chain_spec *spec, struct rules_error *err);
bool chain_is_target(const char *name); /* a built-in target */

/* ---- as numbered rules (rules/chains_apply.c) ---- */

/* Load the chains of a rule set, with the counters of their rules. */
int chains_load(struct chains *c, const struct rules *s, struct rules_error *err);

/*
 * Replace the rule set's chains by these. Existing rules keep their counters. fresh marks the new
 * counters, which the caller must reset. On failure the rule set must be discarded.
 */
int chains_apply(struct chains *c, struct rules *s, uint8_t fresh[DIVERT_RULES_MAX],
		 struct rules_error *err);

/*
 * Make a rule set of one chain, for chain_test(): with its policy if it is built-in. The default
 * rule gets packets that the chain does not decide.
 */
int chain_alone(struct chains *c, struct chain *chain, struct rules *s, struct rules_error *err);

/* ---- as text (rules/chains_text.c): the format of ipchains-save ---- */

/* ":input ACCEPT", ":user -"; malloc'ed; NULL: no memory. */
char *chain_head_text(const struct chain *chain);
/* "-A input -s 0.0.0.0/0.0.0.0 ..." */
char *chain_rule_text(const struct chain *chain, const struct chain_spec *spec);
/* All chains, heads first; NULL and 0 if they are in their initial state; -1: no memory. */
int chains_text(const struct chains *c, char **text);
/* Parse one line of such a text. EINVAL. */
int chains_read_line(struct chains *c, const char *line, struct rules_error *err);

/* ---- the command line (rules/chains_words.c) ---- */

/* Resolves names. */
struct chain_names {
	/* Get up to max addresses of the host. Returns how many; 0: none. */
	int (*host)(const char *name, struct in_addr *addr, int max);
};

struct chain_command {
	char op;   /* the command's flag: A, C, D, R, I, L, F, Z, N, X, P, h, V */
	bool zero; /* -L with -Z */
	char chain[CHAIN_NAME_MAX + 1]; /* "": all */
	char policy[CHAIN_NAME_MAX + 1];
	bool has_number, has_spec;
	unsigned int number;
	struct chain_spec *spec; /* n of them; the caller frees them */
	unsigned int n;
	bool numeric, verbose, exact, lines, icmp_help;
	bool no_address; /* -s or -d was given without an address */
};

/*
 * Parse the words of a command line, without the program's name. names NULL: names are not
 * resolved. EINVAL: the error names the wrong word.
 */
int chain_command_read(struct chain_command *c, unsigned int n, const char *const *word,
		       const struct chain_names *names, struct rules_error *err);
void chain_command_free(struct chain_command *c);

/* Run the command, except L, C, Z, h and V, which leave the model as it is. */
int chain_command_run(struct chains *chains, const struct chain_command *c,
		      struct rules_error *err);

/* rules/chains_names.c */
struct chain_icmp {
	const char *name;
	uint8_t type;
	int code; /* -1: any */
};
extern const struct chain_icmp chain_icmp[];
extern const unsigned int chain_icmps;
const char *chain_icmp_name(unsigned int type, unsigned int code_low, unsigned int code_high);

/* ---- testing a packet (rules/chains_test.c) ---- */

struct chain_verdict {
	enum { CHAIN_PASSED, CHAIN_ACCEPTED, CHAIN_DENIED, CHAIN_REJECTED, CHAIN_DIVERTED } is;
	uint16_t port; /* of CHAIN_DIVERTED */
};

/* packet: from its IP header on. EINVAL: not a packet. */
int chain_test(struct chains *c, struct chain *chain, const void *packet, uint32_t len,
	       const char *iface, struct chain_verdict *v, struct rules_error *err);

#endif
