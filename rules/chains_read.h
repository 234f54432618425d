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

/* What may follow a flag. */
enum reading_follows {
	FOLLOWS_NOTHING,
	FOLLOWS_WORD,
	FOLLOWS_MAYBE, /* a word, unless a flag follows */
};

struct reading_flag {
	char flag;
	const char *name; /* the long form */
	enum reading_follows follows;
	bool command;
	bool inverts; /* may have "!" */
	int (*read)(struct reading *r, const char *word);
	const char *absent; /* what ipdivert has not, and what has it */
};

/* rules/chains_flags.c */
bool reading_is_flag(const char *word);
/* The next word, if it is neither a flag nor the "!" of one. NULL: it is. */
const char *reading_argument(struct reading *r);
/* NULL: there is none; of long ones the error is filled in. */
const struct reading_flag *reading_flag_short(char c);
const struct reading_flag *reading_flag_long(const char *name, size_t len, struct rules_error *err);

/* rules/chains_read.c */
int reading_protocol(struct reading *r, const char *word);
/* Addresses and ports, and what comes of them: the command's specs. */
int reading_finish(struct reading *r);

#endif
