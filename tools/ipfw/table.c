/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipfw table: tables are created, emptied, swapped and removed together with the rules. Entries are
 * changed one by one, in order, before the rules are installed.
 */
#include <stdlib.h>
#include <string.h>

#include "table.h"

enum {
	MAY_ALL = 1 << 0, /* accepts "all" */
	ENTRIES = 1 << 1, /* entries follow */
	NOTHING = 1 << 2, /* nothing follows */
	CHANGES = 1 << 3, /* refused for a locked table */
	ABSENT = 1 << 4,  /* no error if the table does not exist, as in FreeBSD */
};

static const struct name {
	const char *name;
	enum table_what what;
	unsigned int how;
} names[] = {
	{"create", TABLE_CREATE, 0},
	{"destroy", TABLE_DESTROY, MAY_ALL | NOTHING | CHANGES | ABSENT},
	{"modify", TABLE_MODIFY, CHANGES},
	{"swap", TABLE_SWAP, CHANGES},
	{"lock", TABLE_LOCK, NOTHING},
	{"unlock", TABLE_UNLOCK, NOTHING},
	{"add", TABLE_ADD, ENTRIES | CHANGES},
	{"atomic", TABLE_ATOMIC, CHANGES},
	{"delete", TABLE_DELETE, ENTRIES | CHANGES},
	{"lookup", TABLE_LOOKUP, ENTRIES},
	{"list", TABLE_LIST, MAY_ALL | NOTHING},
	{"info", TABLE_INFO, MAY_ALL | NOTHING},
	{"detail", TABLE_INFO, MAY_ALL | NOTHING},
	{"flush", TABLE_FLUSH, MAY_ALL | NOTHING | CHANGES | ABSENT},
};

#define N_NAMES (sizeof(names) / sizeof(*names))

#define EXPECTED                                                                                   \
	"create, destroy, modify, swap, lock, unlock, add, atomic add, delete, lookup, list, "     \
	"info, detail or flush"

static const struct name *find_name(const struct command *c, struct rules_error *err)
{
	unsigned int i;

	if (!c->word[0]) {
		rules_fail(err, EX_USAGE, "missing name after table");
		return NULL;
	}
	if (!c->word[1]) {
		rules_fail(err, EX_USAGE, "missing word after %s; expected " EXPECTED, c->word[0]);
		return NULL;
	}
	for (i = 0; i < N_NAMES; i++)
		if (!strcmp(c->word[1], names[i].name))
			return &names[i];
	rules_fail(err, EX_USAGE, "%s: expected " EXPECTED, c->word[1]);
	return NULL;
}

/* The settings that create and modify change. */
struct form {
	struct rules_table table;
	bool missing; /* an existing table is accepted */
	bool flush;   /* and is emptied */
};

static int read_word(struct form *f, const char *word, const char *value, bool create,
		     struct rules_error *err)
{
	char *end;
	unsigned long limit;

	if (!strcmp(word, "limit")) {
		limit = strtoul(value, &end, 10);
		if (*end || *value < '0' || *value > '9' || limit > ~0u)
			return rules_fail(err, EX_DATAERR,
					  "%s: not a number of entries: expected 0 (no limit) to "
					  "4294967295",
					  value);
		f->table.limit = limit;
		return 0;
	}
	if (create && !strcmp(word, "type"))
		return rules_table_type_parse(&f->table, value, err);
	if (create && !strcmp(word, "valtype"))
		return rules_table_values_parse(&f->table, value, err);
	return 0;
}

static int read_form(const struct command *c, bool create, struct form *f, struct rules_error *err)
{
	char **w;

	for (w = c->word + 2; *w; w++) {
		if (create && !strcmp(*w, "locked")) {
			f->table.locked = true;
		} else if (create && (!strcmp(*w, "missing") || !strcmp(*w, "or-flush"))) {
			f->missing = true;
			f->flush |= **w == 'o';
		} else if (!strcmp(*w, "limit") ||
			   (create && (!strcmp(*w, "type") || !strcmp(*w, "valtype") ||
				       !strcmp(*w, "algo")))) {
			if (!w[1])
				return rules_fail(err, EX_USAGE, "missing word after %s", *w);
			if (read_word(f, *w, w[1], create, err))
				return -1;
			w++;
		} else {
			return rules_fail(err, EX_USAGE,
					  create ? "%s: expected type, valtype, limit, locked, "
						   "missing, or-flush or algo"
						 : "%s: expected limit",
					  *w);
		}
	}
	return 0;
}

static int check_name(const char *name, struct rules_error *err)
{
	if (rules_table_name(name))
		return 0;
	return rules_fail(err, EX_DATAERR,
			  "%s: not a table's name: letters, digits, '.', '_' and '-', up to %d",
			  name, RULES_TABLE_NAME_MAX);
}

/* The entries among the words. */
static char **entries_of(const struct command *c)
{
	return c->word + (strcmp(c->word[1], "atomic") ? 2 : 3);
}

/* Report errors that can be found without the rules. */
int read_table(struct command *c, struct rules_error *err)
{
	bool all = c->word[0] && !strcmp(c->word[0], "all");
	const struct name *n = find_name(c, err);
	struct form form = {0};

	if (!n)
		return -1;
	if (all && !(n->how & MAY_ALL))
		return rules_fail(err, EX_USAGE,
				  "all: only with list, info, detail, flush and destroy");
	if (!all && check_name(c->word[0], err))
		return -1;
	if (n->how & NOTHING && c->word[2])
		return rules_fail(err, EX_USAGE, "%s: not expected here", c->word[2]);
	if (n->what == TABLE_ATOMIC && (!c->word[2] || strcmp(c->word[2], "add")))
		return rules_fail(err, EX_USAGE, "%s: expected add",
				  c->word[2] ? c->word[2] : "atomic");
	if ((n->how & ENTRIES || n->what == TABLE_ATOMIC) && !*entries_of(c))
		return rules_fail(err, EX_USAGE, "missing entry after %s", entries_of(c)[-1]);
	if (n->what == TABLE_SWAP && (!c->word[2] || c->word[3]))
		return rules_fail(err, EX_USAGE, "swap: expected the name of one other table");
	if (n->what == TABLE_SWAP)
		return check_name(c->word[2], err);
	if (n->what == TABLE_MODIFY && !c->word[2])
		return rules_fail(err, EX_USAGE, "missing limit after modify");
	if (n->what == TABLE_CREATE || n->what == TABLE_MODIFY)
		return read_form(c, n->what == TABLE_CREATE, &form, err);
	return 0;
}

static int queue(struct session *s, enum table_what what, const struct rules_table *t,
		 const struct command *c, const struct engine_entry *entry, char *word,
		 struct rules_error *err)
{
	struct table_op *op = calloc(1, sizeof(*op));

	if (!op)
		return rules_fail(err, EX_OSERR, "out of memory");
	op->what = what == TABLE_ATOMIC ? TABLE_ADD : what;
	op->atomic = what == TABLE_ATOMIC;
	op->all = !strcmp(c->word[0], "all");
	op->table = *t;
	op->uses = what == TABLE_INFO ? rules_table_uses(&s->change->rules, t->name) : 0;
	op->command = c;
	op->word = word;
	if (entry)
		op->entry = *entry;
	if (!s->tail)
		s->tail = &s->first;
	*s->tail = op;
	s->tail = &op->next;
	return 0;
}

static int locked(const struct rules_table *t, struct rules_error *err)
{
	return rules_fail(err, EX_UNAVAILABLE, "table %s: locked; unlock it first", t->name);
}

/*
 * Replace the table by an empty one. To packets it changes together with the rules, with the
 * entries that this file adds.
 */
static int flush(struct session *s, struct rules_table *t, struct rules_error *err)
{
	s->changed = s->sweep = true;
	return rules_table_renew(&s->change->rules, t, err);
}

static int exists(const struct rules_table *t, struct rules_error *err)
{
	char type[RULES_TYPE_TEXT];

	rules_table_type_print(t, type);
	return rules_fail(err, EX_UNAVAILABLE, "table %s: exists already, of type %s%s%s", t->name,
			  type, t->values ? " and valtype " : "",
			  t->values ? rules_table_values_name(t) : "");
}

static int create(struct session *s, const struct command *c, struct rules_error *err)
{
	struct rules_table *t = rules_table_find(&s->change->rules, c->word[0]);
	struct form form = {0};

	if (read_form(c, true, &form, err))
		return -1;
	if (t && (!form.missing || !rules_table_same_form(t, &form.table)))
		return exists(t, err);
	if (t && form.flush && t->locked)
		return locked(t, err);
	if (t)
		return form.flush ? flush(s, t, err) : 0;
	t = rules_table_add(&s->change->rules, c->word[0], form.table.type, err);
	if (!t)
		return -1;
	t->fields = form.table.fields;
	t->values = form.table.values;
	t->locked = form.table.locked;
	t->limit = form.table.limit;
	s->changed = true;
	return 0;
}

/*
 * As with FreeBSD's numbered tables, the first entry creates the table, with the type that the
 * entry looks like.
 */
static enum rules_table_type guess(const char *word)
{
	if (strchr(word, ','))
		return RULES_TABLE_FLOW;
	if (strpbrk(word, ".:/"))
		return RULES_TABLE_ADDR;
	return strspn(word, "0123456789") == strlen(word) ? RULES_TABLE_NUMBER : RULES_TABLE_IFACE;
}

/* "add entry [value] [entry value ...]", "delete entry ..." */
static int queue_entries(struct session *s, const struct command *c, enum table_what what,
			 struct rules_table *t, struct rules_error *err)
{
	bool add = what == TABLE_ADD || what == TABLE_ATOMIC;
	struct engine_entry entry;
	struct rules_entry e;
	char **w, *word;

	for (w = entries_of(c); *w; w++) {
		word = *w;
		if (rules_entry_parse(t, word, err, &e))
			return -1;
		e.value = 0;
		if (add && w[1] && rules_value_parse(*++w, &e.value, err))
			return -1;
		memset(&entry, 0, sizeof(entry));
		entry.flow = e.flow;
		entry.value = e.value;
		if (queue(s, what, t, c, &entry, word, err))
			return -1;
	}
	return 0;
}

/* tables_sweep() removes the entries, after the rules that used them. */
static int destroy(struct session *s, struct rules_table *t, struct rules_error *err)
{
	s->changed = s->sweep = true;
	return rules_table_delete(&s->change->rules, t->name, err);
}

static int modify(struct session *s, const struct command *c, struct rules_table *t,
		  struct rules_error *err)
{
	struct form form = {.table = *t};

	if (read_form(c, false, &form, err))
		return -1;
	t->limit = form.table.limit;
	s->changed = true;
	return 0;
}

static int swap(struct session *s, const struct command *c, struct rules_table *t,
		struct rules_error *err)
{
	struct rules_table *other = rules_table_find(&s->change->rules, c->word[2]);

	if (!other)
		return rules_fail(err, EX_UNAVAILABLE, "table %s: no such table", c->word[2]);
	if (other->locked)
		return locked(other, err);
	s->changed = true;
	return rules_table_swap(t, other, err);
}

static int run_one(struct session *s, const struct command *c, const struct name *n,
		   struct rules_table *t, struct rules_error *err)
{
	if (n->how & CHANGES && t->locked)
		return locked(t, err);
	switch (n->what) {
	case TABLE_DESTROY:
		return destroy(s, t, err);
	case TABLE_FLUSH:
		return flush(s, t, err);
	case TABLE_MODIFY:
		return modify(s, c, t, err);
	case TABLE_SWAP:
		return swap(s, c, t, err);
	case TABLE_LOCK:
	case TABLE_UNLOCK:
		t->locked = n->what == TABLE_LOCK;
		s->changed = true;
		return 0;
	case TABLE_LIST:
	case TABLE_INFO:
		return queue(s, n->what, t, c, NULL, NULL, err);
	default:
		return queue_entries(s, c, n->what, t, err);
	}
}

int run_table(struct session *s, const struct command *c, struct rules_error *err)
{
	const struct name *n = find_name(c, err);
	struct rules_table *t, *next;

	if (!n)
		return -1;
	if (n->what == TABLE_CREATE)
		return create(s, c, err);
	if (!strcmp(c->word[0], "all")) {
		for (t = s->change->rules.tables; t; t = next) {
			next = t->next;
			if (run_one(s, c, n, t, err))
				return -1;
		}
		return 0;
	}
	t = rules_table_find(&s->change->rules, c->word[0]);
	if (!t && (n->what == TABLE_ADD || n->what == TABLE_ATOMIC)) {
		t = rules_table_add(&s->change->rules, c->word[0], guess(*entries_of(c)), err);
		s->changed = true;
		if (!t)
			return -1;
	}
	if (!t && n->how & ABSENT) {
		if (!c->options.quiet)
			fprintf(stderr, "ipfw: table %s: no such table\n", c->word[0]);
		return 0;
	}
	if (!t)
		return rules_fail(err, EX_UNAVAILABLE, "table %s: no such table", c->word[0]);
	return run_one(s, c, n, t, err);
}
