// SPDX-License-Identifier: BSD-2-Clause
#include "tools/divert-run/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ruleset/held.h"

static struct rule **rules;
static unsigned int n;

int hold_rule(const char *words)
{
	struct rule **more = realloc(rules, (n + 1) * sizeof(*rules));
	struct rules_error err;

	if (!more) {
		fputs("divert-run: out of memory\n", stderr);
		return -1;
	}
	rules = more;
	if (held_rule_parse(words, &rules[n], &err)) {
		fprintf(stderr, "divert-run: -r '%s': %s\n", words, err.text);
		return -1;
	}
	n++;
	return 0;
}

static void tell(const char *name, const char *why, void *arg)
{
	fprintf(stderr, "divert-run: %s\n", why);
}

/* A number high up: programs expect their own descriptors to have low ones. */
static int move_up(int fd)
{
	struct rlimit limit;
	int high = -1;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur >= 64)
		high = fcntl(fd, F_DUPFD, limit.rlim_cur < 4096 ? limit.rlim_cur - 8 : 4096 - 8);
	if (high < 0)
		high = fcntl(fd, F_DUPFD, 3);
	close(fd);
	return high;
}

/* libdivert-socket keeps it open, though the program closes all that it does not know. */
static int name_descriptor(int fd)
{
	const char *others = getenv("DIVERT_RUN_RULES"); /* of a divert-run that has run this one */
	char path[64], line[64], *text;
	unsigned int map = 0;
	FILE *f;
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "map_id: %u", &map);
	if (f)
		fclose(f);
	if (asprintf(&text, "%s%d:%u ", others ? others : "", fd, map) < 0)
		return -1;
	rc = setenv("DIVERT_RUN_RULES", text, 1);
	free(text);
	return rc;
}

int hold_rules(void)
{
	struct rules_error err;
	unsigned int i;
	int fd;

	if (!n)
		return 0;
	fd = held_rules_add(rules, n, NULL, tell, &err);
	for (i = 0; i < n; i++)
		rule_free(rules[i]);
	free(rules);
	if (fd < 0) {
		fprintf(stderr, "divert-run: %s\n", err.text);
		return -1;
	}
	fd = move_up(fd);
	if (fd >= 0 && !name_descriptor(fd))
		return 0;
	fprintf(stderr, "divert-run: a descriptor for the rules: %s\n", strerror(errno));
	return -1;
}
