/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipfw table: tables are made, emptied, exchanged and removed with the rules; entries are changed one by
 * one, in order, before these are in place.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	TABLE_SWAP,
};

struct table_op {
	struct table_op *next;
	enum table_what what;
	struct rules_table table; /* as it was then */
	struct engine_entry entry;
	char *word; /* the entry's; belongs to the command */
	bool quiet, addrs;
	unsigned int rules; /* that have it */
};

static const struct {
	const char *name;
	enum table_what what;
} names[] = {
	{"add", TABLE_ADD},	  {"delete", TABLE_DELETE},   {"flush", TABLE_FLUSH},
	{"list", TABLE_LIST},	  {"info", TABLE_INFO},	      {"lookup", TABLE_LOOKUP},
	{"create", TABLE_CREATE}, {"destroy", TABLE_DESTROY}, {"swap", TABLE_SWAP},
};

#define N_NAMES (sizeof(names) / sizeof(*names))

static int what_of(const struct command *c, enum table_what *what, struct rules_error *err)
{
	unsigned int i;

	if (!c->word[0])
		return rules_fail(err, EX_USAGE, "missing name after table");
	if (!c->word[1])
		return rules_fail(err, EX_USAGE,
				  "missing word after %s; expected create, destroy, swap, add, "
				  "delete, "
				  "lookup, list, info or flush",
				  c->word[0]);
	for (i = 0; i < N_NAMES; i++)
		if (!strcmp(c->word[1], names[i].name)) {
			*what = names[i].what;
			return 0;
		}
	return rules_fail(err, EX_USAGE,
			  "%s: expected create, destroy, swap, add, delete, lookup, list, info or "
			  "flush",
			  c->word[1]);
}

/* What is wrong without a look at the rules. */
int read_table(struct command *c, struct rules_error *err)
{
	bool all = c->word[0] && !strcmp(c->word[0], "all");
	enum table_what what;

	if (what_of(c, &what, err))
		return -1;
	if (!all && !rules_table_name(c->word[0]))
		return rules_fail(err, EX_DATAERR,
				  "%s: not a table's name: letters, digits, '.', '_' and '-', up "
				  "to %d",
				  c->word[0], RULES_TABLE_NAME_MAX);
	if (all && what != TABLE_LIST && what != TABLE_INFO && what != TABLE_FLUSH &&
	    what != TABLE_DESTROY)
		return rules_fail(err, EX_USAGE, "all: only with list, info, flush and destroy");
	if ((what == TABLE_ADD || what == TABLE_DELETE || what == TABLE_LOOKUP) && !c->word[2])
		return rules_fail(err, EX_USAGE, "missing entry after %s", c->word[1]);
	if (what == TABLE_SWAP && !c->word[2])
		return rules_fail(err, EX_USAGE, "missing name after swap");
	if (what == TABLE_SWAP && c->word[3])
		return rules_fail(err, EX_USAGE, "%s: not expected here", c->word[3]);
	if ((what == TABLE_FLUSH || what == TABLE_LIST || what == TABLE_INFO ||
	     what == TABLE_DESTROY) &&
	    c->word[2])
		return rules_fail(err, EX_USAGE, "%s: not expected here", c->word[2]);
	return 0;
}

static int queue(struct session *s, enum table_what what, const struct rules_table *t,
		 const struct command *c, const struct engine_entry *entry, char *word,
		 struct rules_error *err)
{
	struct table_op *op = calloc(1, sizeof(*op));

	if (!op)
		return rules_fail(err, EX_OSERR, "out of memory");
	op->what = what;
	op->table = *t;
	op->quiet = c->options.quiet;
	op->addrs = c->options.addrs;
	op->word = word;
	if (entry)
		op->entry = *entry;
	if (!s->tail)
		s->tail = &s->first;
	*s->tail = op;
	s->tail = &op->next;
	return 0;
}

/* As with FreeBSD's numbered tables, an entry makes the table, with the type that it looks like. */
static enum rules_table_type guess(const char *word)
{
	if (strpbrk(word, ".:/"))
		return RULES_TABLE_ADDR;
	return strspn(word, "0123456789") == strlen(word) ? RULES_TABLE_NUMBER : RULES_TABLE_IFACE;
}

/* "add entry [value] [entry value ...]", "delete entry ..." */
static int queue_entries(struct session *s, const struct command *c, enum table_what what,
			 struct rules_table *t, struct rules_error *err)
{
	struct rules_entry e;
	struct engine_entry entry;
	char **w, *word;

	for (w = c->word + 2; *w; w++) {
		word = *w;
		if (rules_entry_parse(t, word, err, &e))
			return -1;
		e.value = 0;
		if (what == TABLE_ADD && w[1] && rules_value_parse(*++w, &e.value, err))
			return -1;
		memset(&entry, 0, sizeof(entry));
		entry.addr = e.addr;
		entry.value = e.value;
		if (queue(s, what, t, c, &entry, word, err))
			return -1;
	}
	return 0;
}

/* Its entries go when the rules no longer look there: tables_sweep(). */
static int destroy(struct session *s, struct rules_table *t, struct rules_error *err)
{
	s->changed = s->sweep = true;
	return rules_table_delete(&s->change->rules, t->name, err);
}

/* Another one in its place, for a packet as the rules are: with what this file puts in it. */
static int flush(struct session *s, struct rules_table *t, struct rules_error *err)
{
	s->changed = s->sweep = true;
	return rules_table_renew(&s->change->rules, t, err);
}

static int create(struct session *s, const struct command *c, struct rules_error *err)
{
	enum rules_table_type type = RULES_TABLE_ADDR;
	bool missing = false, or_flush = false;
	struct rules_table *there;
	char **w;

	for (w = c->word + 2; *w; w += 2) {
		if (!strcmp(*w, "missing") || !strcmp(*w, "or-flush")) {
			*(**w == 'm' ? &missing : &or_flush) = true;
			w--;
			continue;
		}
		if (!w[1])
			return rules_fail(err, EX_USAGE, "missing word after %s", *w);
		if (!strcmp(*w, "type")) {
			for (type = 0; type <= RULES_TABLE_IFACE; type++)
				if (!strcmp(w[1], rules_table_type_name(type)))
					break;
			if (!strncmp(w[1], "flow", 4))
				return rules_fail(err, EX_DATAERR,
						  "flow: ipdivert does not have it: use nftables' "
						  "sets");
			if (type > RULES_TABLE_IFACE)
				return rules_fail(err, EX_DATAERR,
						  "%s: not a table's type: expected addr, number "
						  "or "
						  "iface",
						  w[1]);
		} else if (!strcmp(*w, "valtype")) {
			if (strcmp(w[1], "legacy") && strcmp(w[1], "skipto") &&
			    strcmp(w[1], "divert") && strcmp(w[1], "number"))
				return rules_fail(err, EX_DATAERR,
						  "%s: not a type of values: expected legacy, "
						  "number, "
						  "skipto or divert, which are the same",
						  w[1]);
		} else if (strcmp(*w, "algo") && strcmp(*w, "limit")) {
			return rules_fail(err, EX_USAGE,
					  "%s: expected type, valtype, missing or or-flush", *w);
		}
	}
	there = rules_table_find(&s->change->rules, c->word[0]);
	if (there && there->type == type && or_flush)
		return flush(s, there, err);
	if (there && there->type == type && missing)
		return 0;
	if (there)
		return rules_fail(err, EX_UNAVAILABLE, "table %s: exists already, of type %s",
				  c->word[0], rules_table_type_name(there->type));
	s->changed = true;
	return rules_table_add(&s->change->rules, c->word[0], type, err) ? 0 : -1;
}

static int swap(struct session *s, struct rules_table *t, const char *name, struct rules_error *err)
{
	struct rules_table *other = rules_table_find(&s->change->rules, name);

	if (!other)
		return rules_fail(err, EX_UNAVAILABLE, "table %s: no such table", name);
	if (other->type != t->type)
		return rules_fail(err, EX_DATAERR, "table %s: of type %s, and %s of type %s",
				  t->name, rules_table_type_name(t->type), name,
				  rules_table_type_name(other->type));
	rules_table_swap(t, other);
	s->changed = true;
	return 0;
}

static int run_one(struct session *s, const struct command *c, enum table_what what,
		   struct rules_table *t, struct rules_error *err)
{
	if (what == TABLE_DESTROY)
		return destroy(s, t, err);
	if (what == TABLE_FLUSH)
		return flush(s, t, err);
	if (what == TABLE_SWAP)
		return swap(s, t, c->word[2], err);
	if (what == TABLE_LIST || what == TABLE_INFO)
		return queue(s, what, t, c, NULL, NULL, err);
	return queue_entries(s, c, what, t, err);
}

int run_table(struct session *s, const struct command *c, struct rules_error *err)
{
	struct rules_table *t, *next;
	enum table_what what;

	if (what_of(c, &what, err))
		return -1;
	if (what == TABLE_CREATE)
		return create(s, c, err);
	if (!strcmp(c->word[0], "all")) {
		for (t = s->change->rules.tables; t; t = next) {
			next = t->next;
			if (run_one(s, c, what, t, err))
				return -1;
		}
		return 0;
	}
	t = rules_table_find(&s->change->rules, c->word[0]);
	if (!t && what == TABLE_ADD) {
		t = rules_table_add(&s->change->rules, c->word[0], guess(c->word[2]), err);
		s->changed = true;
		if (!t)
			return -1;
	}
	if (!t)
		return rules_fail(err, EX_UNAVAILABLE, "table %s: no such table", c->word[0]);
	return run_one(s, c, what, t, err);
}

/* ---- the entries ---- */

static void print_entry(struct session *s, const struct table_op *op, const struct engine_entry *e)
{
	struct rules_entry entry = {.addr = e->addr, .value = e->value};
	struct in_addr a = {htonl(e->value)};
	char text[64], value[INET_ADDRSTRLEN];

	rules_entry_print(&op->table, &entry, text);
	if (op->addrs)
		fprintf(s->out, "%s %s\n", text, inet_ntop(AF_INET, &a, value, sizeof(value)));
	else
		fprintf(s->out, "%s %u\n", text, e->value);
}

static bool covers(const struct engine_entry *prefix, const struct engine_entry *e)
{
	unsigned int bits = prefix->addr.bits;
	const unsigned char *x = (const void *)&prefix->addr.table;
	const unsigned char *y = (const void *)&e->addr.table;

	return bits <= e->addr.bits && !memcmp(x, y, bits / 8) &&
	       !((x[bits / 8] ^ y[bits / 8]) & ~(0xff >> bits % 8) & 0xff);
}

/* The entry that a packet with this key would find. */
static int look_up(struct session *s, const struct table_op *op, const struct engine_entry *all,
		   int n, struct rules_error *err)
{
	bool addrs = op->table.type == RULES_TABLE_ADDR;
	const struct engine_entry *best = NULL;
	int i;

	for (i = 0; i < n; i++) {
		if (addrs ? !covers(&all[i], &op->entry)
			  : memcmp(&all[i].key, &op->entry.key, sizeof(op->entry.key)))
			continue;
		if (!best || all[i].addr.bits > best->addr.bits)
			best = &all[i];
	}
	if (!best)
		return rules_fail(err, EX_UNAVAILABLE, "%s: not in table %s", op->word,
				  op->table.name);
	print_entry(s, op, best);
	return 0;
}

static int with_all(struct session *s, const struct table_op *op, struct rules_error *err)
{
	bool addrs = op->table.type == RULES_TABLE_ADDR;
	struct engine_entry *all = NULL;
	int i, rc = 0, n = 0;

	if (s->change->open)
		n = engine_table_entries(&s->change->engine, addrs, op->table.id, &all);
	if (n < 0)
		return rules_fail(err, EX_OSERR, "%s", engine_error());
	if (op->what == TABLE_LIST || op->what == TABLE_INFO)
		fprintf(s->out, "--- table(%s), set(0) ---\n", op->table.name);
	if (op->what == TABLE_INFO)
		fprintf(s->out, " type: %s, items: %d\n", rules_table_type_name(op->table.type), n);
	if (op->what == TABLE_LOOKUP)
		rc = look_up(s, op, all, n, err);
	for (i = 0; i < n && !rc; i++) {
		if (op->what == TABLE_LIST)
			print_entry(s, op, &all[i]);
	}
	free(all);
	return rc;
}

static int commit(struct session *s, const struct table_op *op, struct rules_error *err)
{
	bool addrs = op->table.type == RULES_TABLE_ADDR;
	int rc;

	switch (op->what) {
	case TABLE_ADD:
		rc = engine_table_put(&s->change->engine, addrs, &op->entry);
		return rc < 0 ? rules_fail(err, EX_OSERR, "%s", engine_error()) : 0;
	case TABLE_DELETE:
		rc = engine_table_remove(&s->change->engine, addrs, &op->entry);
		if (rc == -ENOENT)
			return op->quiet ? 0
					 : rules_fail(err, EX_UNAVAILABLE, "%s: not in table %s",
						      op->word, op->table.name);
		return rc < 0 ? rules_fail(err, EX_OSERR, "%s", engine_error()) : 0;
	default:
		return with_all(s, op, err);
	}
}

int tables_commit(struct session *s, struct rules_error *err)
{
	const struct table_op *op;

	for (op = s->first; op; op = op->next)
		if (commit(s, op, err))
			return -1;
	return 0;
}

static bool is_known(uint32_t id, void *arg)
{
	const struct session *s = arg;
	const struct rules_table *t;

	for (t = s->change->rules.tables; t && t->id != id; t = t->next)
		;
	return t;
}

static bool was_there(uint32_t id, void *arg)
{
	const struct session *s = arg;

	return id <= s->last_table;
}

int tables_sweep(struct session *s, bool done, struct rules_error *err)
{
	bool (*keep)(uint32_t id, void *arg) = done ? is_known : was_there;

	if (!s->sweep || !s->change->open)
		return 0;
	if (engine_table_sweep(&s->change->engine, true, keep, s) < 0 ||
	    engine_table_sweep(&s->change->engine, false, keep, s) < 0)
		return rules_fail(err, EX_OSERR, "%s", engine_error());
	return 0;
}

void tables_free(struct session *s)
{
	struct table_op *op;

	while ((op = s->first)) {
		s->first = op->next;
		free(op);
	}
}
