/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule set as bytes, kept beside its compiled form: each rule's number and
 * counter, and its text, so that another version reads what this one wrote.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define STORE_MAGIC   0x69706477u
#define STORE_VERSION 1

struct store_head {
	uint32_t magic;
	uint32_t version;
	uint32_t rules;
	uint32_t chains; /* bytes of the text of ipchains' chains, behind the rules */
};

struct store_rule {
	uint32_t counter;
	uint16_t number;
	uint16_t len;  /* of the text that follows, without a NUL */
	uint8_t set;   /* 0, for later */
	uint8_t flags; /* enum store_flags */
	uint16_t owner;
};

enum store_flags {
	STORE_CHAIN = 1 << 0,
};

int rules_save(const struct rules *s, char **blob, uint32_t *len)
{
	size_t text = s->chains ? strlen(s->chains) : 0;
	struct store_head head = {STORE_MAGIC, STORE_VERSION, s->n, text};
	size_t room = sizeof(head) + text, at = sizeof(head);
	unsigned int i;

	*blob = NULL;
	*len = 0;
	if (!s->n && !s->chains)
		return 0;
	for (i = 0; i < s->n; i++)
		room += sizeof(struct store_rule) + strlen(s->rule[i]->text);
	*blob = malloc(room);
	if (!*blob)
		return -ENOMEM;
	memcpy(*blob, &head, sizeof(head));
	for (i = 0; i < s->n; i++) {
		struct store_rule r = {.counter = s->rule[i]->counter,
				       .number = s->rule[i]->number,
				       .flags = s->rule[i]->chain ? STORE_CHAIN : 0,
				       .owner = s->rule[i]->owner};

		text = strlen(s->rule[i]->text);
		r.len = text;
		memcpy(*blob + at, &r, sizeof(r));
		memcpy(*blob + at + sizeof(r), s->rule[i]->text, text);
		at += sizeof(r) + text;
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

/* What is left is the text of the chains. */
static int load_chains(struct rules *s, const char *text, uint32_t len, struct rules_error *err)
{
	if (!len)
		return 0;
	if (memchr(text, 0, len))
		return damaged(err, s->n);
	s->chains = strndup(text, len);
	return s->chains ? 0 : rules_fail(err, EX_OSERR, "out of memory");
}

/* Take one rule with the counter that it has. */
static int load_rule(struct rules *s, const struct store_rule *r, const char *bytes,
		     struct rules_error *err)
{
	char text[RULES_TEXT_MAX + 1];
	struct rules_error why;
	struct rule *rule;

	if (!r->number || r->number == RULES_DEFAULT || !r->counter ||
	    r->counter >= DIVERT_RULES_MAX || s->slot[r->counter] ||
	    (s->n && s->rule[s->n - 1]->number > r->number) || memchr(bytes, 0, r->len))
		return damaged(err, s->n);
	memcpy(text, bytes, r->len);
	text[r->len] = 0;
	if (rule_parse(text, &rule, &why))
		return rules_fail(err, why.status, "rule %u of the set in place: %s", r->number,
				  why.text);
	if (rule->number) {
		rule_free(rule);
		return damaged(err, s->n);
	}
	rule->number = r->number;
	rule->chain = r->flags & STORE_CHAIN;
	rule->owner = r->owner;
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
	struct store_rule r;
	uint32_t at = sizeof(head), i;

	if (!len)
		return 0;
	if (len < sizeof(head))
		return damaged(err, 0);
	memcpy(&head, blob, sizeof(head));
	if (head.magic != STORE_MAGIC)
		return damaged(err, 0);
	if (head.version != STORE_VERSION)
		return rules_fail(err, EX_UNAVAILABLE,
				  "the rule set in place is in form %u; this ipfw knows %u",
				  head.version, STORE_VERSION);
	for (i = 0; i < head.rules; i++) {
		if (len - at < sizeof(r))
			goto bad;
		memcpy(&r, blob + at, sizeof(r));
		at += sizeof(r);
		if (r.len > RULES_TEXT_MAX || len - at < r.len)
			goto bad;
		if (load_rule(s, &r, blob + at, err))
			goto fail;
		at += r.len;
	}
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
