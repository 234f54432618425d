/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses and prints the type of a table's keys and of its values. */
#include <stdio.h>
#include <string.h>

#include "parse.h"

static const char *const types[RULES_TABLE_TYPES] = {
	[RULES_TABLE_ADDR] = "addr",
	[RULES_TABLE_NUMBER] = "number",
	[RULES_TABLE_IFACE] = "iface",
	[RULES_TABLE_FLOW] = "flow",
};

static const char *const values[RULES_VALUES] = {
	[RULES_VALUES_LEGACY] = "legacy",
	[RULES_VALUES_SKIPTO] = "skipto",
	[RULES_VALUES_DIVERT] = "divert",
	[RULES_VALUES_IPV4] = "ipv4",
};

static const char *const fields[] = {"src-ip", "proto", "src-port", "dst-ip", "dst-port"};

#define N_FIELDS (sizeof(fields) / sizeof(*fields))

const char *table_type_name(enum rules_table_type type)
{
	return types[type];
}

/* "src-ip,proto", the part behind "flow:" */
static int parse_fields(struct rules_table *t, const char *word, struct rules_error *err)
{
	size_t len, i;

	t->fields = 0;
	for (;; word += len + 1) {
		len = strcspn(word, ",");
		for (i = 0; i < N_FIELDS; i++)
			if (strlen(fields[i]) == len && !strncmp(word, fields[i], len))
				break;
		if (i == N_FIELDS)
			return rules_fail(err, EX_DATAERR,
					  "%.*s: not a field of flows: expected src-ip, proto, "
					  "src-port, dst-ip or dst-port",
					  (int)len, word);
		if (t->fields >> i & 1)
			return rules_fail(err, EX_DATAERR, "%s: twice", fields[i]);
		t->fields |= 1 << i;
		if (!word[len])
			return 0;
	}
}

int rules_table_type_parse(struct rules_table *t, const char *word, struct rules_error *err)
{
	unsigned int type;

	for (type = 0; type < RULES_TABLE_TYPES; type++)
		if (!strcmp(word, types[type]))
			break;
	if (!strncmp(word, "flow:", 5)) {
		t->type = RULES_TABLE_FLOW;
		return parse_fields(t, word + 5, err);
	}
	if (!strcmp(word, "mac")) {
		absent_option(word, err);
		return -1;
	}
	if (type == RULES_TABLE_TYPES)
		return rules_fail(err, EX_DATAERR,
				  "%s: not a table's type: expected addr, number, iface or flow",
				  word);
	t->type = type;
	t->fields = type == RULES_TABLE_FLOW ? DIVERT_FLOW_ALL : 0;
	return 0;
}

int rules_table_values_parse(struct rules_table *t, const char *word, struct rules_error *err)
{
	unsigned int i;

	for (i = 0; i < RULES_VALUES; i++)
		if (!strcmp(word, values[i])) {
			t->values = i;
			return 0;
		}
	if (!strcmp(word, "number")) {
		t->values = RULES_VALUES_LEGACY;
		return 0;
	}
	return rules_fail(err, EX_DATAERR,
			  "%s: not a type of values: expected one of legacy, skipto, divert and "
			  "ipv4",
			  word);
}

bool rules_table_same_form(const struct rules_table *a, const struct rules_table *b)
{
	return a->type == b->type && a->fields == b->fields && a->values == b->values;
}

void rules_table_type_print(const struct rules_table *t, char text[RULES_TYPE_TEXT])
{
	int at = snprintf(text, RULES_TYPE_TEXT, "%s", types[t->type]);
	char sign = ':';
	unsigned int i;

	for (i = 0; i < N_FIELDS; i++)
		if (t->fields >> i & 1) {
			at += snprintf(text + at, RULES_TYPE_TEXT - at, "%c%s", sign, fields[i]);
			sign = ',';
		}
}

const char *rules_table_values_name(const struct rules_table *t)
{
	return values[t->values];
}
