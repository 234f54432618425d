// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables: what they are, stored and loaded; entries as words; two tables that change places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/rules.h"

/* A table's properties are stored. In version 2 they were a type and a name. */
static void test_store_tables(void **state)
{
	const uint32_t head = 36, end = head + 16;
	uint32_t len, version = 2;
	struct rules_error err;
	struct rules_table *n;
	struct rules s, t;
	char *blob;

	rules_init(&s);
	rules_init(&t);
	n = rules_table_add(&s, "n", RULES_TABLE_NUMBER, &err);
	assert_non_null(n);
	assert_int_equal(rules_table_type_parse(n, "flow:dst-port,proto", &err), 0);
	assert_int_equal(rules_table_values_parse(n, "ipv4", &err), 0);
	n->locked = true;
	n->limit = 70000;
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	assert_int_equal(len, end + 1);
	assert_int_equal(rules_load(&t, blob, len, &err), 0);
	n = rules_table_find(&t, "n");
	assert_non_null(n);
	assert_int_equal(n->type, RULES_TABLE_FLOW);
	assert_int_equal(n->fields, DIVERT_FLOW_PROTO | DIVERT_FLOW_DPORT);
	assert_int_equal(n->values, RULES_VALUES_IPV4);
	assert_int_equal(n->limit, 70000);
	assert_true(n->locked);
	rules_free(&t);
	/* fields on a table that has no flows, and a flow table without fields */
	blob[head + 4] = RULES_TABLE_NUMBER;
	assert_int_equal(rules_load(&t, blob, len, &err), -1);
	blob[head + 12] = 0;
	assert_int_equal(rules_load(&t, blob, len, &err), 0);
	rules_free(&t);
	blob[head + 4] = RULES_TABLE_FLOW;
	assert_int_equal(rules_load(&t, blob, len, &err), -1);

	/* its head had 32 bytes, and its tables 8 */
	memmove(blob + 32, blob + head, 8);
	blob[32 + 4] = RULES_TABLE_IFACE;
	memcpy(blob + 4, &version, sizeof(version));
	blob[32 + 8] = blob[end];
	assert_int_equal(rules_load(&t, blob, 32 + 8 + 1, &err), 0);
	n = rules_table_find(&t, "n");
	assert_non_null(n);
	assert_int_equal(n->type, RULES_TABLE_IFACE);
	assert_int_equal(n->limit, 0);
	rules_free(&t);
	rules_free(&s);
	free(blob);
}

static void swapped(const char *a, const char *b, int rc, const char *why)
{
	struct rules_error err = {0};
	struct rules_table *x, *y;
	struct rule *r;
	struct rules s;
	uint32_t id;

	rules_init(&s);
	assert_int_equal(rule_parse("5 allow ip from table(y) to any", &r, &err), 0);
	assert_int_equal(rules_add(&s, r, &err), 0);
	x = rules_table_add(&s, "x", RULES_TABLE_ADDR, &err);
	y = rules_table_find(&s, "y");
	assert_int_equal(rules_table_type_parse(x, a, &err), 0);
	assert_int_equal(rules_table_values_parse(x, b, &err), 0);
	id = x->id;
	assert_int_equal(rules_table_swap(x, y, &err), rc);
	assert_string_equal(err.text, why);
	assert_int_equal(x->id == id, rc != 0);
	assert_int_equal(y->id == id, rc == 0);
	assert_int_equal(rules_table_uses(&s, "y"), 1);
	assert_int_equal(rules_table_uses(&s, "x"), 0);
	rules_free(&s);
}

static void test_table_swap(void **state)
{
	const char *why = "table y: of another type, or with other values, than x";

	swapped("addr", "legacy", 0, "");
	swapped("number", "legacy", -1, why);
	swapped("flow", "legacy", -1, why);
	swapped("addr", "ipv4", -1, why);
}

/* "type entry": how it is printed, or the error. */
static void test_entries(void **state)
{
	static const struct {
		const char *type, *entry, *text;
	} cases[] = {
		{"addr", "10.1.2.3/8", "10.0.0.0/8"},
		{"addr", "fd00::1", "fd00::1/128"},
		{"addr", "10.0.0.0:255.0.255.0", NULL},
		{"number", "4294967295", "4294967295"},
		{"number", "1-2", NULL},
		{"iface", "eth0", "eth0"},
		{"iface", "eth*", NULL},
		{"flow", "10.0.0.1,tcp,1024,10.0.0.2,80", "10.0.0.1,tcp,1024,10.0.0.2,80"},
		{"flow", "fd00::1,17,0,fd00:0::2,65535", "fd00::1,udp,0,fd00::2,65535"},
		{"flow", "10.0.0.1,255,1,10.0.0.2,2", "10.0.0.1,255,1,10.0.0.2,2"},
		{"flow", "10.0.0.1,tcp,1024,10.0.0.2", NULL},
		{"flow", "10.0.0.1,tcp,1024,10.0.0.2,80,1", NULL},
		{"flow", "10.0.0.1,tcp,,10.0.0.2,80", NULL},
		{"flow", "10.0.0.1,tcp,65536,10.0.0.2,80", NULL},
		{"flow", "10.0.0.1,nothing,1,10.0.0.2,80", NULL},
		{"flow", "10.0.0.1,tcp,1,fd00::1,80", NULL},
		{"flow", "10.0.0.1/8,tcp,1,10.0.0.2,80", NULL},
		{"flow", "", NULL},
		{"flow:dst-port,src-ip", "10.0.0.1,80", "10.0.0.1,80"},
		{"flow:src-port", "80", "80"},
		{"flow:src-port", "80,", NULL},
		{"flow:dst-ip,src-ip", "::1,::2", "::1,::2"},
		{"flow:dst-ip,src-ip", "::1,1.2.3.4", NULL},
	};
	char text[RULES_ENTRY_TEXT];
	struct rules_table t;
	struct rules_entry e;
	struct rules_error err;
	unsigned int i;
	int rc;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(&t, 0, sizeof(t));
		assert_int_equal(rules_table_type_parse(&t, cases[i].type, &err), 0);
		rc = rules_entry_parse(&t, cases[i].entry, &err, &e);
		if (!rc)
			rules_entry_print(&t, &e, text);
		if (rc ? cases[i].text != NULL : !cases[i].text || strcmp(text, cases[i].text))
			fail_msg("%s %s: %s", cases[i].type, cases[i].entry, rc ? err.text : text);
	}
	assert_int_equal(rules_table_type_parse(&t, "flow:", &err), -1);
	assert_int_equal(rules_table_type_parse(&t, "flow:proto,", &err), -1);
	assert_int_equal(rules_table_type_parse(&t, "flow:proto,proto", &err), -1);
	assert_int_equal(rules_table_type_parse(&t, "mac", &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store_tables),
		cmocka_unit_test(test_table_swap),
		cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
