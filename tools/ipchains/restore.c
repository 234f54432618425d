/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains-restore(8): loads the output of ipchains-save, all of it or nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipchains.h"

struct options {
	bool verbose; /* -v */
	bool flush;   /* -f: flush existing user chains */
	bool create;  /* -p: create the user chains that rules lead to */
};

static int fail(struct rules_error *err, int error, const char *what, const char *why)
{
	err->status = error;
	snprintf(err->text, sizeof(err->text), "%.32s: %s", what, why);
	return -1;
}

/* ":user -" */
static int before_head(struct chainset *s, const struct options *o, const char *line,
		       struct rules_error *err)
{
	char name[CHAIN_NAME_MAX + 1];
	struct chain *chain;

	if (sscanf(line, ":%8s", name) != 1)
		return 0;
	if (o->verbose)
		fprintf(stderr, "Restoring `%s'.\n", name);
	chain = chains_find(&s->chains, name, NULL);
	if (!chain || chain->kind != CHAIN_USER)
		return 0;
	if (!o->flush)
		return fail(err, EEXIST, name, "there is such a chain; -f flushes it");
	chain_flush(chain);
	return 0;
}

static int before_rule(struct chainset *s, const struct options *o, const char *line,
		       struct rules_error *err)
{
	const char *at = strstr(line, " -j ");
	char name[CHAIN_NAME_MAX + 1];

	if (!o->create || !at || sscanf(at, " -j %8s", name) != 1 || chain_is_target(name) ||
	    chains_find(&s->chains, name, NULL))
		return 0;
	return chains_new(&s->chains, name, err);
}

static int restore_line(struct chainset *s, const struct options *o, const char *line,
			struct rules_error *err)
{
	if (*line == ':' ? before_head(s, o, line, err) : before_rule(s, o, line, err))
		return -1;
	return chains_read_line(&s->chains, line, err);
}

static int restore(struct chainset *s, const struct options *o, struct rules_error *err)
{
	char *line = NULL, text[sizeof(err->text)];
	unsigned int number = 0;
	size_t room = 0;
	int rc = 0;

	while (!rc && getline(&line, &room, stdin) >= 0) {
		number++;
		rc = restore_line(s, o, line, err);
	}
	free(line);
	if (rc) {
		memcpy(text, err->text, sizeof(text));
		snprintf(err->text, sizeof(err->text), "line %u: %.480s", number, text);
	} else if (ferror(stdin)) {
		rc = fail(err, EIO, "standard input", strerror(errno));
	}
	return rc;
}

int restore_main(int argc, char **argv)
{
	struct rules_error err = {.status = EIO};
	struct options o = {0};
	struct chainset s;
	int i, rc;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v")) {
			o.verbose = true;
		} else if (!strcmp(argv[i], "-f")) {
			o.flush = true;
		} else if (!strcmp(argv[i], "-p")) {
			o.create = true;
		} else {
			fputs("usage: ipchains-restore [-v] [-f] [-p]\n", stderr);
			return STATUS_PARAMETER;
		}
	}
	rc = chainset_open(&s, ENGINE_LOAD | ENGINE_LOCK | TRANSACTION_SOON, &err);
	if (!rc)
		rc = restore(&s, &o, &err);
	if (!rc)
		rc = chainset_commit(&s, warn_interface, &err);
	if (!rc)
		tell_no_listener(&s, 0);
	chainset_close(&s);
	return rc ? complain("ipchains-restore", &err) : STATUS_OK;
}
