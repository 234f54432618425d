/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serializes the rule set, to be kept beside its compiled form: the number, counter and text of
 * each rule, so that other versions can read it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define STORE_MAGIC   0x69706477u
#define STORE_VERSION 4

struct store_head {
	uint32_t magic;
	uint32_t version;
	uint32_t rules;
	uint32_t chains; /* bytes of the ipchains chains' text, behind the tables */
	uint32_t disabled;
	uint32_t off;	 /* 0 or 1 */
	uint32_t tables; /* number of tables, behind the rules */
	uint32_t last_table;
	uint32_t last_state;
};

#define STORE_HEAD_1 16 /* size in version 1, which ends with `chains` */
#define STORE_HEAD_3 32 /* size in versions 2 and 3 */

struct store_table {
	uint32_t id;
	uint16_t type;
	uint16_t len; /* length of the name that follows, without a NUL */
	uint32_t limit;
	uint8_t fields, values, locked, reserved;
};

#define STORE_TABLE_2 8 /* size in version 2 */

struct store_rule {
	uint32_t counter;
	uint16_t number;
	uint16_t len; /* length of the text that follows, without a NUL */
	uint8_t set;
	uint8_t flags; /* enum store_flags */
	uint16_t owner;
	uint32_t state_id;
};

#define STORE_RULE_3 12 /* size in versions 1 to 3 */

enum store_flags {
	STORE_CHAIN = 1 << 0,
};

bool rules_empty(const struct rules *s)
{
	return !s->n && !s->chains && !s->tables && !s->disabled && !s->off;
}

int rules_save(const struct rules *s, char **blob, uint32_t *len)
{
	size_t text = s->chains ? strlen(s->chains) : 0;
	struct store_head head = {.magic = STORE_MAGIC,
				  .version = STORE_VERSION,
				  .rules = s->n,
				  .chains = text,
				  .disabled = s->disabled,
				  .off = s->off,
				  .last_table = s->last_table,
				  .last_state = s->last_state};
	size_t room = sizeof(head) + text, at = sizeof(head);
	const struct rules_table *t;
	unsigned int i;

	*blob = NULL;
	*len = 0;
	if (rules_empty(s))
		return 0;
	for (t = s->tables; t; t = t->next) {
		head.tables++;
		room += sizeof(struct store_table) + strlen(t->name);
	}
	for (i = 0; i < s->n; i++)
		room += sizeof(struct store_rule) + strlen(s->rule[i]->text);
	*blob = malloc(room);
	if (!*blob)
		return -ENOMEM;
	memcpy(*blob, &head, sizeof(head));
	for (i = 0; i < s->n; i++) {
		struct store_rule r = {.counter = s->rule[i]->counter,
				       .number = s->rule[i]->number,
				       .set = s->rule[i]->set,
				       .flags = s->rule[i]->chain ? STORE_CHAIN : 0,
				       .owner = s->rule[i]->owner,
				       .state_id = s->rule[i]->state_id};

		text = strlen(s->rule[i]->text);
		r.len = text;
		memcpy(*blob + at, &r, sizeof(r));
		memcpy(*blob + at + sizeof(r), s->rule[i]->text, text);
		at += sizeof(r) + text;
	}
	for (t = s->tables; t; t = t->next) {
		struct store_table st = {.id = t->id,
					 .type = t->type,
					 .len = strlen(t->name),
					 .limit = t->limit,
					 .fields = t->fields,
					 .values = t->values,
					 .locked = t->locked};

		memcpy(*blob + at, &st, sizeof(st));
		memcpy(*blob + at + sizeof(st), t->name, st.len);
		at += sizeof(st) + st.len;
	}
	if (head.chains)
		memcpy(*blob + at, s->chains, head.chains);
	*len = room;
	return 0;
}

static int damaged(struct rules_error *err, unsigned int i)
{
	return rules_fail(err, EX_DATAERR,
			  "the rule set in place is damaged at its rule %u; flush it", i + 1);
}

/* Is the table's type valid? Only flow tables have fields, at least one. Version 2 had neither. */
static bool is_form(const struct store_table *st)
{
	return st->type < RULES_TABLE_TYPES && st->fields <= DIVERT_FLOW_ALL &&
	       !st->fields == (st->type != RULES_TABLE_FLOW) && st->values < RULES_VALUES &&
	       st->locked <= 1;
}

/* Load the tables, before the rules that name them. Returns the offset of their end; 0: damaged. */
static uint32_t load_tables(struct rules *s, const struct store_head *head, const char *blob,
			    uint32_t len, uint32_t at, struct rules_error *err)
{
	size_t size = head->version == 2 ? STORE_TABLE_2 : sizeof(struct store_table);
	char name[RULES_TABLE_NAME_MAX + 1];
	struct rules_table *t;
	uint32_t i;

	for (i = 0; i < head->tables; i++) {
		struct store_table st = {0};

		if (len - at < size)
			return 0;
		memcpy(&st, blob + at, size);
		at += size;
		if (st.len > RULES_TABLE_NAME_MAX || len - at < st.len || !st.id ||
		    st.id > head->last_table || !is_form(&st))
			return 0;
		memcpy(name, blob + at, st.len);
		name[st.len] = 0;
		at += st.len;
		if (strlen(name) != st.len || !rules_table_name(name) || rules_table_find(s, name))
			return 0;
		t = rules_table_add(s, name, st.type, err);
		if (!t)
			return 0;
		t->id = st.id;
		t->fields = st.fields;
		t->values = st.values;
		t->locked = st.locked;
		t->limit = st.limit;
	}
	return at;
}

/* Bytes of a rule without its text. */
static size_t rule_size(const struct store_head *head)
{
	return head->version < 4 ? STORE_RULE_3 : sizeof(struct store_rule);
}

/* The offset of the end of the rules; 0: damaged. */
static uint32_t skip_rules(const struct store_head *head, const char *blob, uint32_t len,
			   uint32_t at)
{
	const size_t size = rule_size(head);
	uint32_t i;
	struct store_rule r;

	for (i = 0; i < head->rules; i++) {
		if (len - at < size)
			return 0;
		memcpy(&r, blob + at, size);
		at += size;
		if (r.len > RULES_TEXT_MAX || len - at < r.len)
			return 0;
		at += r.len;
	}
	return at;
}

/* The rest is the text of the chains. */
static int load_chains(struct rules *s, const char *text, uint32_t len, struct rules_error *err)
{
	if (!len)
		return 0;
	if (memchr(text, 0, len))
		return damaged(err, s->n);
	s->chains = strndup(text, len);
	return s->chains ? 0 : rules_fail(err, EX_OSERR, "out of memory");
}

/* Load one rule, and keep its counter. */
static int load_rule(struct rules *s, const struct store_rule *r, const char *bytes,
		     struct rules_error *err)
{
	char text[RULES_TEXT_MAX + 1];
	struct rules_error why;
	struct rule *rule;

	if (!r->number || r->number == RULES_DEFAULT || !r->counter ||
	    r->counter >= DIVERT_RULES_MAX || s->slot[r->counter] || r->set >= RULES_SETS ||
	    (s->n && s->rule[s->n - 1]->number > r->number) || memchr(bytes, 0, r->len))
		return damaged(err, s->n);
	memcpy(text, bytes, r->len);
	text[r->len] = 0;
	if (rule_parse(text, &rule, &why))
		return rules_fail(err, why.status, "rule %u of the set in place: %s", r->number,
				  why.text);
	if (rule->number || rule->set || !r->state_id == rule_keeps(rule)) {
		rule_free(rule);
		return damaged(err, s->n);
	}
	rule->number = r->number;
	rule->set = r->set;
	rule->chain = r->flags & STORE_CHAIN;
	rule->owner = r->owner;
	rule->state_id = r->state_id;
	if (rules_add(s, rule, err)) {
		rule_free(rule);
		return -1;
	}
	s->slot[rule->counter] = 0;
	rule->counter = r->counter;
	s->slot[rule->counter] = RULES_SLOT_USED | RULES_SLOT_WAS;
	return 0;
}

int rules_load(struct rules *s, const char *blob, uint32_t len, struct rules_error *err)
{
	struct store_head head;
	struct store_rule r = {0};
	uint32_t at = sizeof(head), i, end;

	if (!len)
		return 0;
	if (len < STORE_HEAD_1)
		return damaged(err, 0);
	memset(&head, 0, sizeof(head));
	memcpy(&head, blob, STORE_HEAD_1);
	if (head.magic != STORE_MAGIC)
		return damaged(err, 0);
	if (head.version == 1)
		at = STORE_HEAD_1;
	else if (!head.version || head.version > STORE_VERSION)
		return rules_fail(err, EX_UNAVAILABLE,
				  "the rule set in place is in form %u; this ipfw knows %u",
				  head.version, STORE_VERSION);
	else if (head.version < 4)
		at = STORE_HEAD_3;
	if (len < at)
		return damaged(err, 0);
	memcpy(&head, blob, at);
	if (head.off > 1 || head.last_table > 0x7fffffff)
		goto bad;
	end = skip_rules(&head, blob, len, at);
	if (end)
		end = load_tables(s, &head, blob, len, end, err);
	if (!end)
		goto bad;
	for (i = 0; i < head.rules; i++) {
		memcpy(&r, blob + at, rule_size(&head));
		at += rule_size(&head);
		if (load_rule(s, &r, blob + at, err))
			goto fail;
		at += r.len;
	}
	s->disabled = head.disabled;
	s->off = head.off;
	s->last_table = head.last_table;
	s->last_state = head.last_state;
	at = end;
	if (len - at != head.chains)
		goto bad;
	if (load_chains(s, blob + at, head.chains, err))
		goto fail;
	return 0;
bad:
	damaged(err, s->n);
fail:
	rules_free(s);
	return -1;
}
