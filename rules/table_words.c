/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses tables in rules: "table(name)", "table(name,value)". */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* A number or, as in FreeBSD, an IPv4 address as a number. */
int rules_value_parse(const char *word, uint32_t *value, struct rules_error *err)
{
	struct in_addr a;

	if (parse_number(word, ~0u, value))
		return 0;
	if (inet_pton(AF_INET, word, &a) == 1) {
		*value = ntohl(a.s_addr);
		return 0;
	}
	return rules_fail(err, EX_DATAERR, "%s: not a value: expected 0 to 4294967295", word);
}

bool is_table(const char *word)
{
	return !strncmp(word, "table(", 6);
}

bool rules_table_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			    *c))
			return false;
	return *name && strlen(name) <= RULES_TABLE_NAME_MAX && strcmp(name, "all");
}

/* "table(name)", "table(name,value)", or only "name" behind lookup. */
int parse_table(struct parser *p, struct rule_table **to, const char *word)
{
	struct rule_table *t = calloc(1, sizeof(*t));
	char name[RULES_TABLE_NAME_MAX + 16], *comma;
	size_t len = strlen(word);

	*to = t;
	if (!t)
		return rules_fail(p->err, EX_OSERR, "out of memory");
	if (len >= sizeof(name))
		goto bad;
	if (is_table(word)) {
		if (word[len - 1] != ')')
			goto bad;
		memcpy(name, word + 6, len - 7);
		name[len - 7] = 0;
	} else {
		strcpy(name, word);
	}
	comma = strchr(name, ',');
	if (comma) {
		*comma++ = 0;
		t->has_value = true;
		if (rules_value_parse(comma, &t->value, p->err))
			return -1;
	}
	if (!rules_table_name(name))
		goto bad;
	strcpy(t->name, name);
	return 0;
bad:
	return rules_fail(p->err, EX_DATAERR,
			  "%s: not a table: expected table(NAME) or table(NAME,VALUE), the name of "
			  "letters, digits, '.', '_' and '-'",
			  word);
}
