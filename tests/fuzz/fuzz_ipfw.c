// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules, one a line. A rule that is understood is printed so that it is understood the same again.
 * A compiled rule set only goes forward. A stored rule set can be loaded. A line "table TYPE ENTRY"
 * is an entry of a table: printed and read, it is the same entry. Input that starts with a NUL is
 * the bytes of a stored rule set instead.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
	if (!truth)
		abort();
}

static void check_line(struct rules *s, const char *line)
{
	struct rule *r, *again;
	struct rules_error err;

	if (rule_parse(line, &r, &err)) {
		must(*err.text && err.status);
		return;
	}
	must(!rule_parse(r->text, &again, &err));
	must(!strcmp(r->text, again->text) && r->action == again->action && r->arg == again->arg &&
	     r->mtu == again->mtu);
	rule_free(again);
	if (rules_add(s, r, &err))
		rule_free(r);
}

static void check_entry(char *line)
{
	char *type = strsep(&line, " "), text[RULES_ENTRY_TEXT];
	struct rules_table t = {.id = 1};
	struct rules_entry e, again;
	struct rules_error err;

	if (!line || rules_table_type_parse(&t, type, &err) ||
	    rules_entry_parse(&t, line, &err, &e))
		return;
	rules_entry_print(&t, &e, text);
	must(!rules_entry_parse(&t, text, &err, &again));
	must(!memcmp(&e.flow, &again.flow, sizeof(e.flow)));
}

static void check_compiled(const struct rules *s)
{
	struct rules_compiled c;
	uint32_t i;

	must(!rules_compile(s, &c));
	must(!c.insns == (rules_empty(s) || s->off) && !c.entries == !c.insns);
	for (i = 0; i + 1 < c.insns; i++) {
		must(c.insn[i].yes < c.insns);
		must(c.insn[i].yes > i || c.insn[i].op == DIVERT_OP_CALL);
		must(c.insn[i].no > i && c.insn[i].no < c.insns);
	}
	for (i = 1; i < c.entries; i++)
		must(c.entry[i].rule > c.entry[i - 1].rule &&
		     c.entry[i].insn > c.entry[i - 1].insn);
	rules_compiled_free(&c);
}

static void check_stored(const struct rules *s)
{
	struct rules_error err;
	uint32_t len, twin_len;
	char *blob, *twin;
	struct rules t;

	must(!rules_save(s, &blob, &len));
	rules_init(&t);
	must(!rules_load(&t, blob, len, &err));
	must(!rules_save(&t, &twin, &twin_len));
	must(len == twin_len && (!len || !memcmp(blob, twin, len)));
	rules_free(&t);
	free(blob);
	free(twin);
}

static void check_lines(struct rules *s, const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *line;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = 0;
	while ((line = strsep(&rest, "\n")))
		if (!strncmp(line, "table ", 6))
			check_entry(line + 6);
		else
			check_line(s, line);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_error err;
	struct rules s;

	rules_init(&s);
	if (size && !*data)
		rules_load(&s, (const char *)data + 1, size - 1, &err);
	else
		check_lines(&s, data, size);
	check_compiled(&s);
	if (!size || *data)
		check_stored(&s);
	rules_free(&s);
	return 0;
}
