/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw table: operations on entries, applied once all commands have been parsed. */
#ifndef IPFW_TABLE_H
#define IPFW_TABLE_H

#include "ipfw.h"

enum table_what {
	TABLE_ADD,
	TABLE_DELETE,
	TABLE_FLUSH,
	TABLE_LIST,
	TABLE_INFO,
	TABLE_LOOKUP,
	TABLE_CREATE,
	TABLE_DESTROY,
	TABLE_MODIFY,
	TABLE_SWAP,
	TABLE_LOCK,
	TABLE_UNLOCK,
	TABLE_ATOMIC, /* add, all or nothing */
};

struct table_op {
	struct table_op *next;
	enum table_what what;	  /* ADD, DELETE, LIST, INFO, LOOKUP */
	struct rules_table table; /* at the time of the command */
	struct engine_entry entry;
	const struct command *command;
	char *word; /* the entry's word; belongs to the command */
	bool atomic, all;
	unsigned int uses; /* rules that use the table */
};

#endif
