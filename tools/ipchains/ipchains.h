/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains(8), ipchains-save(8) and ipchains-restore(8): what their files share. */
#ifndef IPCHAINS_H
#define IPCHAINS_H

#include <stdio.h>

#include "lib/chainset.h"

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

/* tools/ipchains/save.c, restore.c: programs, their exit status */
int save_main(int argc, char **argv);
int restore_main(int argc, char **argv);

/* tools/ipchains/tell.c: nobody listens on a port that rules divert to; 0: on any of them */
void tell_unheard(struct chainset *s, uint16_t port);
void tell_interface(const struct chain_spec *spec); /* on which no packet is ever seen */

/* tools/ipchains/main.c; complain(): says it; the exit status */
void warn_interface(const char *name, const char *why, void *arg);
int complain(const char *program, const struct rules_error *err);

#endif
