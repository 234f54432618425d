/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw(8): what its files share. Commands are read first, all of them; then done, all or none. */
#ifndef IPFW_H
#define IPFW_H

#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/change.h"

struct options {
	bool quiet;	     /* -q */
	bool force;	     /* -f, -q, and in files */
	bool check;	     /* -n */
	bool counters;	     /* -a */
	bool sets;	     /* -S */
	bool date;	     /* -t */
	bool seconds;	     /* -T */
	bool addrs;	     /* -i: values as addresses */
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
	SET_SWITCH,    /* enable and disable, by bit */
	SET_MOVE,      /* the rules of set from to set to */
	SET_MOVE_RULE, /* the rules numbered from */
	SET_SWAP,
};

#define NO_SET (-1)

struct command {
	struct command *next;
	enum command_op op;
	struct options options;
	struct rule *rule; /* add; NULL once the rule set has it */
	struct span *span; /* list, show, delete, zero, resetlog: n of them */
	unsigned int n;
	int set;	   /* only the rules of this set; or NO_SET */
	unsigned int line; /* in the file; 0: of the command line */
	struct {
		enum set_op op;
		uint32_t enable, disable, from, to;
	} sets;
	char *copy;  /* table, log: the line, cut into */
	char **word; /* words behind the command, then NULL */
};

struct script {
	struct command *first, **tail;
	const char *file; /* NULL: the command line */
	bool adds, writes;
};

/* A rule set being worked on. */
struct session {
	struct change *change;
	bool changed;			/* the rules */
	uint8_t zero[DIVERT_RULES_MAX]; /* counters to be cleared, once the rules are there */
	struct table_op *first, **tail; /* what is to be done with tables' entries */
	uint32_t last_table;		/* at the beginning */
	bool sweep; /* tables were emptied or destroyed: entries are left over */
	FILE *out;  /* what is to be said if all goes well */
	uint8_t added[DIVERT_RULES_MAX]; /* counters of rules added without -q */
	char (*name)[DIVERT_NAME_LEN];	 /* interfaces that tell_interfaces() looked at */
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
char *next_word(char **line); /* cut off; NULL: there is none */

/* tools/ipfw/set.c */
int parse_set(struct command *c, char *line, struct rules_error *err);
int run_set(struct session *s, const struct command *c, struct rules_error *err);

/* tools/ipfw/file.c: "-" is standard input; *line: where it went wrong, or 0 */
int script_read(struct script *s, struct options options, unsigned int *line,
		struct rules_error *err);

/* tools/ipfw/run.c; *line as above */
int script_run(const struct script *s, struct options options, unsigned int *line,
	       struct rules_error *err);

/* tools/ipfw/list.c */
int list_rules(struct session *s, const struct command *c, struct rules_error *err);
bool span_has_rules(const struct rules *r, const struct span *span, int set);
int no_such_rule(const struct span *span, struct rules_error *err);

/* tools/ipfw/table.c: the rules are changed at once, the entries by tables_commit() in entries.c */
int read_table(struct command *c, struct rules_error *err);
int run_table(struct session *s, const struct command *c, struct rules_error *err);
int tables_commit(struct session *s, struct rules_error *err);
/* Entries that no table has; if it is not done, those of tables that would have been. */
int tables_sweep(struct session *s, bool done, struct rules_error *err);
void tables_free(struct session *s);

/* tools/ipfw/log.c */
int run_log(struct session *s, const struct command *c, struct rules_error *err);

/* tools/ipfw/tell.c; each once for all of a script's rules */
void warn_interface(const char *name, const char *why, void *arg);
void tell_interfaces(struct session *s, const struct rule *r);
void tell_unheard(struct session *s);

/* tools/ipfw/commit.c */
int session_open(struct session *s, const struct script *script, bool check,
		 struct rules_error *err);
int session_commit(struct session *s, struct rules_error *err);
void session_close(struct session *s);

#endif
