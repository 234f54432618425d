/* SPDX-License-Identifier: BSD-2-Clause */
/* A file of commands, one a line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"

int script_read(struct script *s, struct options options, unsigned int *line,
		struct rules_error *err)
{
	FILE *f = strcmp(s->file, "-") ? fopen(s->file, "re") : stdin;
	unsigned int number = 0;
	char *text = NULL;
	size_t room = 0;
	ssize_t len;
	int rc = 0;

	*line = 0;
	if (!f)
		return fail(err, EX_UNAVAILABLE, "%s", strerror(errno));
	options.force = true; /* nobody to be asked */
	while (!rc && (len = getline(&text, &room, f)) >= 0) {
		number++;
		if (strlen(text) != (size_t)len)
			rc = fail(err, EX_DATAERR, "a NUL character in the line");
		else
			rc = script_add(s, text, number, options, err);
	}
	if (rc)
		*line = number;
	else if (ferror(f))
		rc = fail(err, EX_UNAVAILABLE, "%s", strerror(errno));
	free(text);
	if (f != stdin)
		fclose(f);
	return rc;
}
