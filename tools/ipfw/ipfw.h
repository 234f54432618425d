/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw(8): shared by its files. All commands are parsed first, then run, all or none. */
#ifndef IPFW_H
#define IPFW_H

#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "ruleset/transaction.h"

struct options {
	bool quiet;	     /* -q */
	bool force;	     /* -f, -q, and in files */
	bool check;	     /* -n */
	bool counters;	     /* -a */
	bool sets;	     /* -S */
	bool date;	     /* -t */
	bool seconds;	     /* -T */
	bool addrs;	     /* -i: values as addresses */
	bool states;	     /* -d, -D, -e */
	bool states_only;    /* -D */
	bool expired;	     /* -e */
	unsigned int print;  /* enum rule_print_flags: -b, -c, -N */
	char **preprocessor; /* -p: its words, then NULL */
};

enum command_op {
	CMD_ADD,
	CMD_DELETE,
	CMD_LIST,
	CMD_SHOW,
	CMD_ZERO,
	CMD_RESETLOG,
	CMD_FLUSH,
	CMD_ENABLE,
	CMD_DISABLE,
	CMD_SET,
	CMD_TABLE,
	CMD_LOG,
};

struct span {
	uint32_t first, last; /* rule numbers */
};

enum set_op {
	SET_SHOW,
	SET_SWITCH,    /* enable and disable, as bits */
	SET_MOVE,      /* the rules of set from to set to */
	SET_MOVE_RULE, /* the rule with number `from` */
	SET_SWAP,
};

#define NO_SET (-1)

struct command {
	struct command *next;
	enum command_op op;
	struct options options;
	struct rule *rule; /* add; NULL once the rule set owns it */
	struct span *span; /* list, show, delete, zero, resetlog: n of them */
	unsigned int n;
	int set;	   /* only the rules of this set; or NO_SET */
	unsigned int line; /* in the file; 0: the command line */
	struct {
		enum set_op op;
		uint32_t enable, disable, from, to;
	} sets;
	char *copy;  /* table, log: the line, split into */
	char **word; /* the words behind the command, then NULL */
};

struct script {
	struct command *first, **tail;
	const char *file; /* NULL: the command line */
	bool adds, writes;
	struct refused *refused; /* lines that -n refused */
};

/* The rule set that the commands change. */
struct session {
	struct transaction *change;
	bool changed;			/* the rules changed */
	uint8_t zero[DIVERT_RULES_MAX]; /* counters to reset once the rules are installed */
	struct table_op *first, **tail; /* operations on table entries */
	uint32_t last_table;		/* at the beginning */
	bool sweep;			/* tables were emptied or destroyed: remove their entries */
	FILE *out;			/* output for the case of success */
	uint8_t added[DIVERT_RULES_MAX]; /* counters of rules added without -q */
	char (*name)[DIVERT_NAME_LEN];	 /* interfaces that tell_interfaces() has checked */
	unsigned int names;
};

enum zero {
	ZERO_ASKED = 1 << 0, /* ipfw zero */
	ZERO_LOG = 1 << 1,   /* ipfw resetlog */
};

/* tools/ipfw/command.c */
void script_init(struct script *s, const char *file);
void script_free(struct script *s);
int script_add(struct script *s, const char *line, unsigned int number, struct options options,
	       struct rules_error *err);
int read_flags(const char *word, struct options *o, struct rules_error *err);
void print_commands(FILE *f); /* for the usage text */

/* tools/ipfw/check.c */
int script_refuse(struct script *s, unsigned int line, struct rules_error *err);
const char *script_name(const struct script *s); /* of its file, for messages */
int tell_refused(const struct script *s);
void refused_free(struct script *s);

/* tools/ipfw/words.c */
char *next_word(char **line); /* split off; NULL: none left */

/* tools/ipfw/set.c */
int parse_set(struct command *c, char *line, struct rules_error *err);
int run_set(struct session *s, const struct command *c, struct rules_error *err);

/* "-" is standard input; *line: the line of the error, or 0 */
int script_read(struct script *s, struct options options, unsigned int *line,
		struct rules_error *err);

/* tools/ipfw/run.c; *line as above */
int script_run(struct script *s, struct options options, unsigned int *line,
	       struct rules_error *err);

/* tools/ipfw/list.c */
int list_rules(struct session *s, const struct command *c, struct rules_error *err);
bool span_has_rules(const struct rules *r, const struct span *span, int set);
int no_such_rule(const struct span *span, struct rules_error *err);

/* tools/ipfw/states.c: those of rules in these spans; none: of all */
int list_states(struct session *s, const struct command *c, int *width, struct rules_error *err);
int delete_states(struct session *s, const struct command *c, struct rules_error *err);

/* changes the rule set at once; tables_commit() in entries.c changes the entries */
int read_table(struct command *c, struct rules_error *err);
int run_table(struct session *s, const struct command *c, struct rules_error *err);
int tables_commit(struct session *s, struct rules_error *err);
/*
 * Remove entries that belong to no table; with done false, of tables that would have been created.
 */
int tables_sweep(struct session *s, bool done, struct rules_error *err);
void tables_free(struct session *s);

/* tools/ipfw/log.c */
int run_log(struct session *s, const struct command *c, struct rules_error *err);

/* tools/ipfw/tell.c: warn once for all rules of a script */
void warn_interface(const char *name, const char *why, void *arg);
void tell_interfaces(struct session *s, const struct rule *r);
void tell_no_listener(struct session *s);

/* tools/ipfw/own.c */
int refuse_own_hop(const struct rule *r, struct rules_error *err);

/* tools/ipfw/commit.c */
int session_open(struct session *s, const struct script *script, bool check,
		 struct rules_error *err);
int session_commit(struct session *s, struct rules_error *err);
void session_close(struct session *s);

#endif
