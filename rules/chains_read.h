/* SPDX-License-Identifier: BSD-2-Clause */
/* A command line of ipchains(8) while it is read: what its files share. */
#ifndef DIVERT_CHAINS_READ_H
#define DIVERT_CHAINS_READ_H

#include "chains.h"

/* Of -s or -d, as it stands: only at the end it is known what is a port's name. */
struct reading_end {
	const char *address, *port; /* NULL: none given */
	bool had, had_port, address_not, port_not;
};

struct reading {
	struct chain_command *c;
	const char *const *word;
	unsigned int n, at;
	const struct chain_names *names;
	struct rules_error *err;
	char flag;    /* being read */
	bool inverse; /* "!" was before it */
	bool both;    /* -b */
	bool had_proto, had_iface, had_target;
	struct reading_end src, dst;
	struct chain_spec spec;
};

/* rules/chains_read.c */
int reading_protocol(struct reading *r, const char *word);
/* Addresses and ports, and what comes of them: the command's specs. */
int reading_finish(struct reading *r);

#endif
