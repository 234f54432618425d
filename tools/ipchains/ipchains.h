/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains(8), ipchains-save(8) and ipchains-restore(8): shared by their files. */
#ifndef IPCHAINS_H
#define IPCHAINS_H

#include <stdio.h>

#include "ruleset/chainset.h"

enum status {
	STATUS_OK = 0,
	STATUS_OTHER = 1,
	STATUS_PARAMETER = 2,
	STATUS_VERSION = 3,
};

/* tools/ipchains/list.c */
int list_chains(struct chainset *s, const struct chain_command *c, FILE *out,
		struct rules_error *err);

/* tools/ipchains/check.c: -C */
int check_packets(struct chainset *s, const struct chain_command *c, struct rules_error *err);

/* tools/ipchains/save.c, restore.c: the programs; return the exit status */
int save_main(int argc, char **argv);
int restore_main(int argc, char **argv);

/*
 * tools/ipchains/tell.c: warn if rules divert to this port, or with 0 to any port, without a
 * listener
 */
void tell_no_listener(struct chainset *s, uint16_t port);
void tell_interface(
	const struct chain_spec *spec); /* warn if it names an interface that never sees packets */

/* The same file: report an error. Returns the exit status. */
int complain(const char *program, const struct rules_error *err);
void warn_interface(const char *name, const char *why, void *arg);

#endif
