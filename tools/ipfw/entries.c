/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw table: applies the changes to entries, in order. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

static enum engine_map map_of(const struct rules_table *t)
{
	if (t->type == RULES_TABLE_ADDR)
		return ENGINE_TABLE_ADDRS;
	return t->type == RULES_TABLE_FLOW ? ENGINE_TABLE_FLOWS : ENGINE_TABLE_KEYS;
}

/* Get all entries, sorted; none without an engine. Returns their number, or -1. */
static int all_of(struct session *s, const struct table_op *op, struct engine_entry **all,
		  struct rules_error *err)
{
	int n = 0;

	*all = NULL;
	if (s->change->open)
		n = engine_table_entries(&s->change->engine, map_of(&op->table), op->table.id, all);
	return n < 0 ? rules_fail(err, EX_OSERR, "%s", engine_error()) : n;
}

static bool same(const struct table_op *op, const struct engine_entry *a,
		 const struct engine_entry *b)
{
	return !memcmp(&a->addr, &b->addr, engine_table_key(map_of(&op->table)));
}

/* ---- showing ---- */

static void print_entry(struct session *s, const struct table_op *op, const struct engine_entry *e)
{
	struct rules_entry entry = {.flow = e->flow, .value = e->value};
	struct in_addr a = {htonl(e->value)};
	char text[RULES_ENTRY_TEXT], value[INET_ADDRSTRLEN];

	rules_entry_print(&op->table, &entry, text);
	if (op->command->options.addrs || op->table.values == RULES_VALUES_IPV4)
		fprintf(s->out, "%s %s\n", text, inet_ntop(AF_INET, &a, value, sizeof(value)));
	else
		fprintf(s->out, "%s %u\n", text, e->value);
}

static void print_info(struct session *s, const struct table_op *op, int n)
{
	const struct rules_table *t = &op->table;
	enum engine_map map = map_of(t);
	char type[RULES_TYPE_TEXT];

	rules_table_type_print(t, type);
	fprintf(s->out, " kindex: %u, type: %s%s\n", t->id, type, t->locked ? ", locked" : "");
	fprintf(s->out, " references: %u, valtype: %s\n", op->uses, rules_table_values_name(t));
	fprintf(s->out, " algorithm: %.*s:%s\n", (int)strcspn(type, ":"), type,
		map == ENGINE_TABLE_ADDRS ? "trie" : "hash");
	fprintf(s->out, " items: %d, size: %zu\n", n,
		n * (engine_table_key(map) + sizeof(((struct engine_entry *)0)->value)));
	if (t->limit)
		fprintf(s->out, " limit: %u\n", t->limit);
}

static bool covers(const struct engine_entry *prefix, const struct engine_entry *e)
{
	unsigned int bits = prefix->addr.bits;
	const unsigned char *x = (const void *)&prefix->addr.table;
	const unsigned char *y = (const void *)&e->addr.table;

	return bits <= e->addr.bits && !memcmp(x, y, bits / 8) &&
	       !((x[bits / 8] ^ y[bits / 8]) & ~(0xff >> bits % 8) & 0xff);
}

static int not_there(const struct table_op *op, struct rules_error *err)
{
	return rules_fail(err, EX_UNAVAILABLE, "%s: not in table %s", op->word, op->table.name);
}

/* Show the entry that a packet with this key would find. */
static int look_up(struct session *s, const struct table_op *op, const struct engine_entry *all,
		   int n, struct rules_error *err)
{
	bool addrs = op->table.type == RULES_TABLE_ADDR;
	const struct engine_entry *best = NULL;
	int i;

	for (i = 0; i < n; i++) {
		if (addrs ? !covers(&all[i], &op->entry) : !same(op, &all[i], &op->entry))
			continue;
		if (!best || all[i].addr.bits > best->addr.bits)
			best = &all[i];
	}
	if (!best)
		return not_there(op, err);
	print_entry(s, op, best);
	return 0;
}

static int with_all(struct session *s, const struct table_op *op, struct rules_error *err)
{
	struct engine_entry *all;
	int i, rc = 0, n = all_of(s, op, &all, err);

	if (n < 0)
		return -1;
	if (op->what == TABLE_INFO || (op->what == TABLE_LIST && op->all))
		fprintf(s->out, "--- table(%s), set(0) ---\n", op->table.name);
	if (op->what == TABLE_INFO)
		print_info(s, op, n);
	if (op->what == TABLE_LOOKUP)
		rc = look_up(s, op, all, n, err);
	for (i = 0; i < n && op->what == TABLE_LIST; i++)
		print_entry(s, op, &all[i]);
	free(all);
	return rc;
}

/* ---- changing ---- */

static int put(struct session *s, const struct table_op *op, struct rules_error *err)
{
	if (engine_table_put(&s->change->engine, map_of(&op->table), &op->entry) < 0)
		return rules_fail(err, EX_OSERR, "%s", engine_error());
	return 0;
}

static int take(struct session *s, const struct table_op *op, struct rules_error *err)
{
	int rc = engine_table_remove(&s->change->engine, map_of(&op->table), &op->entry);

	if (rc == -ENOENT)
		return op->command->options.quiet ? 0 : not_there(op, err);
	return rc < 0 ? rules_fail(err, EX_OSERR, "%s", engine_error()) : 0;
}

/*
 * Is the operation in the same group, which is applied as a whole? A table with a limit forms one,
 * and so does an "atomic add".
 */
static bool goes_with(const struct table_op *op, const struct table_op *first)
{
	return op && op->what == TABLE_ADD && op->table.id == first->table.id &&
	       op->atomic == first->atomic && (!op->atomic || op->command == first->command);
}

/* Restore the previous n entries. One that cannot be restored is lost. */
static void undo(struct session *s, const struct table_op *first, const struct table_op *end,
		 const struct engine_entry *was, int n)
{
	enum engine_map map = map_of(&first->table);
	const struct table_op *op;
	int i;

	for (op = first; op != end; op = op->next) {
		for (i = 0; i < n && !same(op, &was[i], &op->entry); i++)
			;
		if (i < n)
			engine_table_put(&s->change->engine, map, &was[i]);
		else
			engine_table_remove(&s->change->engine, map, &op->entry);
	}
}

/* Apply the whole group of the first operation, or nothing. *at is moved behind it. */
static int put_together(struct session *s, const struct table_op **at, struct rules_error *err)
{
	const struct table_op *first = *at, *op;
	uint32_t limit = first->table.limit;
	struct engine_entry *was, *is = NULL;
	int rc = 0, n = all_of(s, first, &was, err), now;

	if (n < 0)
		return -1;
	for (op = first; !rc && goes_with(op, first); op = op->next)
		rc = put(s, op, err);
	if (!rc && limit) {
		now = all_of(s, first, &is, err);
		rc = now < 0 ? -1 : 0;
		if (now > n && (uint32_t)now > limit)
			rc = rules_fail(err, EX_UNAVAILABLE,
					"table %s: its limit is %u entries, these would make %d",
					first->table.name, limit, now);
	}
	if (rc)
		undo(s, first, op, was, n);
	*at = op;
	free(was);
	free(is);
	return rc;
}

static int commit(struct session *s, const struct table_op **at, struct rules_error *err)
{
	const struct table_op *op = *at;

	if (op->what == TABLE_ADD && (op->atomic || op->table.limit))
		return put_together(s, at, err);
	*at = op->next;
	switch (op->what) {
	case TABLE_ADD:
		return put(s, op, err);
	case TABLE_DELETE:
		return take(s, op, err);
	default:
		return with_all(s, op, err);
	}
}

int tables_commit(struct session *s, struct rules_error *err)
{
	const struct table_op *op = s->first;

	while (op)
		if (commit(s, &op, err))
			return -1;
	return 0;
}

/* ---- entries of deleted tables ---- */

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
	static const enum engine_map maps[] = {ENGINE_TABLE_ADDRS, ENGINE_TABLE_KEYS,
					       ENGINE_TABLE_FLOWS};
	bool (*keep)(uint32_t id, void *arg) = done ? is_known : was_there;
	unsigned int i;

	if (!s->sweep || !s->change->open)
		return 0;
	for (i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		if (engine_table_sweep(&s->change->engine, maps[i], keep, s) < 0)
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
