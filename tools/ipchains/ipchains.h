/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains(8), ipchains-save(8) and ipchains-restore(8): what their files share. */
#ifndef IPCHAINS_H
#define IPCHAINS_H

#include <stdio.h>

#include "lib/change.h"
#include "rules/chains.h"

enum status {
	STATUS_OK = 0,
	STATUS_OTHER = 1,
	STATUS_PARAMETER = 2,
	STATUS_VERSION = 3,
};

/* The rule set, and the chains in it. */
struct session {
	struct change *change;
	struct chains chains;
};

/* 0 or -1 with the error filled in; session_close() is due in either case. */
int session_open(struct session *s, unsigned int flags, struct rules_error *err);
int session_commit(struct session *s, struct rules_error *err);
void session_close(struct session *s);

/* A rule's counters, all of its places together. */
int session_count(struct session *s, const struct chain_rule *r, struct divert_rule_counter *sum,
		  struct rules_error *err);
/* chain: "" for all. */
int session_zero(struct session *s, const char *chain, struct rules_error *err);

/* tools/ipchains/list.c */
int list_chains(struct session *s, const struct chain_command *c, FILE *out,
		struct rules_error *err);

/* tools/ipchains/check.c: -C */
int check_packets(struct session *s, const struct chain_command *c, struct rules_error *err);

/* tools/ipchains/save.c, restore.c: programs, their exit status */
int save_main(int argc, char **argv);
int restore_main(int argc, char **argv);

/* tools/ipchains/main.c: says it; the exit status */
int complain(const char *program, const struct rules_error *err);

#endif
