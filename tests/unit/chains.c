/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs command lines of ipchains. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chains.h"

static int look_up(const char *name, struct in_addr *addr, int max)
{
	if (!strcmp(name, "two")) {
		addr[0].s_addr = inet_addr("10.0.0.1");
		addr[1].s_addr = inet_addr("10.0.0.2");
		return 2;
	}
	addr[0].s_addr = inet_addr("10.9.9.9");
	return strcmp(name, "one") ? 0 : 1;
}

static const struct chain_names names = {.host = look_up};

int command(struct chains *c, const char *line, struct chain_command *cmd, struct rules_error *err)
{
	char *copy = strdup(line), *rest = copy, *w;
	const char *word[64];
	unsigned int n = 0;
	int rc;

	while ((w = strsep(&rest, " ")))
		if (*w)
			word[n++] = w;
	err->text[0] = 0;
	rc = chain_command_read(cmd, n, word, &names, err);
	if (!rc && c)
		rc = chain_command_run(c, cmd, err);
	if (rc)
		assert_true(*err->text && err->status);
	free(copy);
	return rc;
}

void script(struct chains *c, const char *lines)
{
	char *copy = strdup(lines), *rest = copy, *line;
	struct chain_command cmd;
	struct rules_error err;

	while ((line = strsep(&rest, "\n"))) {
		if (command(c, line, &cmd, &err))
			fail_msg("%s: %s", line, err.text);
		chain_command_free(&cmd);
	}
	free(copy);
}
