/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains-save(8): prints the chains in the format of ipchains-restore. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipchains.h"

static int put(char *line)
{
	if (!line)
		return -1;
	puts(line);
	free(line);
	return 0;
}

static int put_rules(const struct chain *chain)
{
	unsigned int i;

	fprintf(stderr, "Saving `%s'.\n", chain->name);
	for (i = 0; i < chain->n; i++)
		if (put(chain_rule_text(chain, &chain->rule[i]->spec)))
			return -1;
	return 0;
}

static int save(const struct chainset *s, const char *name, struct rules_error *err)
{
	const struct chain *chain;
	int rc = 0;

	if (name && !chains_find(&s->chains, name, err))
		return -1;
	for (chain = s->chains.first; chain && !rc; chain = chain->next)
		if (!name || !strcmp(chain->name, name))
			rc = put(chain_head_text(chain));
	for (chain = s->chains.first; chain && !rc; chain = chain->next)
		if (!name || !strcmp(chain->name, name))
			rc = put_rules(chain);
	if (!rc && fflush(stdout)) {
		err->status = EIO;
		strcpy(err->text, "writing the output failed");
		return -1;
	}
	if (rc) {
		err->status = ENOMEM;
		strcpy(err->text, "out of memory");
	}
	return rc;
}

int save_main(int argc, char **argv)
{
	struct rules_error err = {.status = EIO};
	const char *name = NULL;
	struct chainset s;
	int i, rc;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v"))
			continue;
		if (*argv[i] == '-' || name) {
			fputs("usage: ipchains-save [-v] [chain]\n", stderr);
			return STATUS_PARAMETER;
		}
		name = argv[i];
	}
	rc = chainset_open(&s, 0, &err);
	if (!rc)
		rc = save(&s, name, &err);
	chainset_close(&s);
	return rc ? complain("ipchains-save", &err) : STATUS_OK;
}
