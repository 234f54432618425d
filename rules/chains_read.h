/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing a command line of ipchains(8): shared by its files. */
#ifndef DIVERT_CHAINS_READ_H
#define DIVERT_CHAINS_READ_H

#include "chains.h"

/* -s or -d as given. Port names can only be resolved after the whole line is read. */
struct reading_end {
	const char *address, *port; /* NULL: not given */
	bool had, had_port, address_not, port_not;
};

struct reading {
	struct chain_command *c;
	const char *const *word;
	unsigned int n, at;
	const struct chain_names *names;
	struct rules_error *err;
	char flag;    /* being parsed */
	bool inverse; /* preceded by "!" */
	bool both;    /* -b */
	bool had_proto, had_iface, had_target, had_mark, had_tos;
	struct reading_end src, dst;
	struct chain_spec spec;
};

/* The argument of a flag. */
enum reading_follows {
	FOLLOWS_NOTHING,
	FOLLOWS_WORD,
	FOLLOWS_SIGNED, /* word, which may begin with "-" */
	FOLLOWS_MAYBE,	/* optional word */
};

struct reading_flag {
	char flag;
	const char *name; /* the long form */
	enum reading_follows follows;
	bool command;
	bool inverts; /* may be preceded by "!" */
	int (*read)(struct reading *r, const char *word);
	const char *absent; /* the reason why ipdivert does not have it, and an alternative */
};

/* rules/chains_flags.c */
bool reading_is_flag(const char *word);
/* The next word, unless it is a flag or the "!" before a flag: then NULL. */
const char *reading_argument(struct reading *r);
/* NULL: unknown; for a long flag the error is filled in. */
const struct reading_flag *reading_flag_short(char c);
const struct reading_flag *reading_flag_long(const char *name, size_t len, struct rules_error *err);

/* rules/chains_read.c */
int reading_protocol(struct reading *r, const char *word);
/* Resolve addresses and ports, and build the command's specs. */
int reading_finish(struct reading *r);

#endif
