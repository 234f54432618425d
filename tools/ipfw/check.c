/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw -n FILE: a line that is refused does not end it; all of them are told at the end. */
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"

struct refused {
	struct refused *next;
	unsigned int line;
	struct rules_error why;
};

/* Keep the error, in the order of the lines. Where nothing can go on it is returned: -1. */
int script_refuse(struct script *s, unsigned int line, struct rules_error *err)
{
	struct refused **at = &s->refused, *r;

	if (err->status == EX_OSERR)
		return -1;
	r = malloc(sizeof(*r));
	if (!r)
		return rules_fail(err, EX_OSERR, "out of memory");
	r->line = line;
	r->why = *err;
	while (*at && (*at)->line <= line)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	return 0;
}

const char *script_name(const struct script *s)
{
	return s->file && !strcmp(s->file, "-") ? "standard input" : s->file;
}

/* Returns the status of the first one, or 0. */
int tell_refused(const struct script *s)
{
	const struct refused *r;
	unsigned int n = 0;

	if (!s->refused)
		return 0;
	for (r = s->refused; r; r = r->next, n++)
		fprintf(stderr, "ipfw: %s:%u: %s\n", script_name(s), r->line, r->why.text);
	fprintf(stderr, "ipfw: %s: %u line%s refused\n", script_name(s), n, n > 1 ? "s" : "");
	return s->refused->why.status;
}

void refused_free(struct script *s)
{
	struct refused *r;

	while ((r = s->refused)) {
		s->refused = r->next;
		free(r);
	}
}
