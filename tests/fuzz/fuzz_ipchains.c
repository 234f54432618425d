// sources: rules/*.c ruleset/chainset.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines of ipchains, one a line. Or, after a NUL, setsockopt(2) calls of Linux 2.2: a byte
 * with the option's number, a byte with the length, and that many bytes. A command that is refused
 * changes nothing. The others become numbered rules that compile, and text that says the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/socket/firewall.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
	if (!truth)
		abort();
}

/* ---- in the place of the engine ---- */

static struct rules in_place;

struct transaction *transaction_open(unsigned int flags, struct rules_error *err)
{
	struct transaction *c = calloc(1, sizeof(*c));
	uint32_t len;
	char *blob;

	must(c != NULL);
	rules_init(&c->rules);
	must(!rules_save(&in_place, &blob, &len) && !rules_load(&c->rules, blob, len, err));
	free(blob);
	c->open = true;
	return c;
}

int transaction_commit(struct transaction *c,
		       void (*tell)(const char *name, const char *why, void *arg),
		       struct rules_error *err)
{
	struct rules_compiled code;

	must(!rules_compile(&c->rules, &code));
	rules_compiled_free(&code);
	rules_free(&in_place);
	in_place = c->rules;
	rules_init(&c->rules);
	return 0;
}

void transaction_close(struct transaction *c)
{
	rules_free(&c->rules);
	free(c);
}

int engine_counter_zero(struct engine *e, uint32_t counter, struct divert_rule_counter *sum)
{
	must(counter > 0 && counter < DIVERT_RULES_MAX);
	return 0;
}

const char *engine_error(void)
{
	return "";
}

/* ---- lines ---- */

static int look_up(const char *name, struct in_addr *addr, int max)
{
	int i, n = strlen(name) % 4;

	for (i = 0; i < n; i++)
		addr[i].s_addr = htonl(0x0a000001 + i);
	return n;
}

static void run_line(struct chains *c, char *line)
{
	static const struct chain_names names = {.host = look_up};
	struct rules_error err = {.status = 0};
	const char *word[256];
	struct chain_command cmd;
	char *before, *after, *w;
	unsigned int n = 0;

	while (n < 256 && (w = strsep(&line, " ")))
		if (*w)
			word[n++] = w;
	must(!chains_text(c, &before));
	if (chain_command_read(&cmd, n, word, &names, &err)) {
		must(*err.text && err.status && !cmd.spec);
	} else if (cmd.n < 2 && chain_command_run(c, &cmd, &err)) {
		must(*err.text && err.status);
		must(!chains_text(c, &after));
		/*
		 * the tool throws a set away if one of several commands failed, so X may be half
		 * done here
		 */
		must(cmd.op == 'X' || !before == !after);
		must(cmd.op == 'X' || !before || !strcmp(before, after));
		free(after);
	}
	chain_command_free(&cmd);
	free(before);
}

/* Checks the rules. In the place of the engine they are read from what was stored. */
static void check(struct chains *c)
{
	struct transaction *change = transaction_open(0, NULL);
	struct chains again;
	struct rules_error err;
	char *one = NULL, *two = NULL;

	if (!chains_apply(c, &change->rules, NULL, &err)) {
		must(!chains_load(&again, &change->rules, &err));
		must(!chains_text(c, &one) && !chains_text(&again, &two));
		must(!one == !two && (!one || !strcmp(one, two)));
		free(one);
		free(two);
		chains_free(&again);
		transaction_commit(change, NULL, &err);
	}
	transaction_close(change);
}

static void run_lines(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *line;
	struct rules_error err;
	struct chains c;

	must(text != NULL && !chains_init(&c, &err));
	memcpy(text, data, size);
	text[size] = 0;
	while ((line = strsep(&rest, "\n")))
		run_line(&c, line);
	check(&c);
	chains_free(&c);
	free(text);
}

static void run_options(const uint8_t *data, size_t size)
{
	uint8_t name, len;
	void *value;
	int rc;

	while (size >= 2) {
		name = data[0];
		len = data[1] < size - 2 ? data[1] : size - 2;
		value = malloc(len); /* so that a read beyond it is caught */
		memcpy(value, data + 2, len);
		errno = 0;
		rc = divert_firewall(name, value, len);
		must(!rc || (rc == -1 && errno > 0));
		free(value);
		data += 2 + len;
		size -= 2 + len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rules_init(&in_place);
	if (size && !*data)
		run_options(data + 1, size - 1);
	else
		run_lines(data, size);
	rules_free(&in_place);
	return 0;
}
