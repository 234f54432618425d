/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of ipfw(8): "[-flags] command arguments". */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"

static const struct name {
	const char *name;
	enum command_op op;
	bool writes;
	const char *usage; /* NULL: a synonym */
} names[] = {
	{"add", CMD_ADD, true, "add [number] action body"},
	{"delete", CMD_DELETE, true, "delete number ..."},
	{"list", CMD_LIST, false, "list [number ...]"},
	{"print", CMD_LIST, false, NULL},
	{"show", CMD_SHOW, false, "show [number ...]"},
	{"zero", CMD_ZERO, true, "zero [number ...]"},
	{"flush", CMD_FLUSH, true, "flush"},
};

#define N_NAMES (sizeof(names) / sizeof(*names))

/* ipfw(8) of FreeBSD has them. */
static const char *const absent[] = {
	"resetlog", "enable",	"disable",  "set",	"table",     "nat",   "pipe",	   "queue",
	"sched",    "internal", "nat64lsn", "nat64stl", "nat64clat", "nptv6", "savestate",
};

void print_commands(FILE *f)
{
	unsigned int i;

	for (i = 0; i < N_NAMES; i++)
		if (names[i].usage)
			fprintf(f, "       ipfw [-anqf] %s\n", names[i].usage);
}

void script_init(struct script *s, const char *file)
{
	memset(s, 0, sizeof(*s));
	s->tail = &s->first;
	s->file = file;
}

void script_free(struct script *s)
{
	struct command *c, *next;

	for (c = s->first; c; c = next) {
		next = c->next;
		rule_free(c->rule);
		free(c->span);
		free(c);
	}
	script_init(s, NULL);
}

/* The next word of a line, cut off. NULL: there is none. */
static char *next_word(char **line)
{
	char *word;

	while (isspace((unsigned char)**line))
		++*line;
	if (!**line || **line == '#')
		return NULL;
	word = *line;
	while (**line && !isspace((unsigned char)**line))
		++*line;
	if (**line)
		*(*line)++ = 0;
	return word;
}

static const struct name *find_name(const char *word, struct rules_error *err)
{
	const struct name *found = NULL;
	unsigned int i, n = 0;

	for (i = 0; i < N_NAMES; i++) {
		if (!strcmp(word, names[i].name))
			return &names[i];
		if (!strncmp(word, names[i].name, strlen(word))) {
			found = &names[i];
			n++;
		}
	}
	if (n == 1)
		return found;
	for (i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (!strcmp(word, absent[i])) {
			fail(err, EX_USAGE, "%s: ipdivert does not have this command", word);
			return NULL;
		}
	fail(err, EX_USAGE, "%s: unknown command; expected add, delete, list, show, zero or flush",
	     word);
	return NULL;
}

static int parse_flags(const char *word, struct options *o, struct rules_error *err)
{
	for (word++; *word; word++) {
		switch (*word) {
		case 'q':
			o->quiet = o->force = true;
			break;
		case 'f':
			o->force = true;
			break;
		case 'a':
			o->counters = true;
			break;
		default:
			return fail(err, EX_USAGE, "-%c: unknown flag; expected -a, -f or -q",
				    *word);
		}
	}
	return 0;
}

static bool parse_rule_number(const char *s, char **end, uint32_t *v)
{
	unsigned long n;

	if (!isdigit((unsigned char)*s))
		return false;
	n = strtoul(s, end, 10);
	*v = n;
	return n > 0 && n <= RULES_DEFAULT;
}

/* "100", or "100-200" */
static int parse_span(struct command *c, const char *word, struct rules_error *err)
{
	struct span *span = reallocarray(c->span, c->n + 1, sizeof(*span));
	char *end;

	if (!span)
		return fail(err, EX_OSERR, "out of memory");
	c->span = span;
	span += c->n;
	if (!parse_rule_number(word, &end, &span->first))
		goto bad;
	span->last = span->first;
	if (*end == '-' && !parse_rule_number(end + 1, &end, &span->last))
		goto bad;
	if (*end || span->last < span->first)
		goto bad;
	c->n++;
	return 0;
bad:
	return fail(err, EX_DATAERR, "%s: not a rule number: expected 1 to 65535, or a range",
		    word);
}

static int parse_arguments(struct command *c, char *line, struct rules_error *err)
{
	char *word;

	if (c->op == CMD_ADD)
		return rule_parse(line, &c->rule, err);
	while ((word = next_word(&line))) {
		if (c->op == CMD_FLUSH)
			return fail(err, EX_USAGE, "%s: flush takes no argument", word);
		if (parse_span(c, word, err))
			return -1;
	}
	if (c->op == CMD_DELETE && !c->n)
		return fail(err, EX_USAGE, "missing rule number after delete");
	return 0;
}

/* An empty line is no command, and no error. */
int script_add(struct script *s, const char *line, unsigned int number, struct options options,
	       struct rules_error *err)
{
	char *copy = strdup(line), *rest = copy, *word;
	const struct name *name;
	struct command *c;
	int rc = -1;

	if (!copy)
		return fail(err, EX_OSERR, "out of memory");
	word = next_word(&rest);
	while (word && *word == '-' && !(rc = parse_flags(word, &options, err)))
		word = next_word(&rest);
	if (!word)
		rc = 0;
	if (!word || *word == '-')
		goto out;
	rc = -1;
	name = find_name(word, err);
	if (!name)
		goto out;
	c = calloc(1, sizeof(*c));
	if (!c) {
		fail(err, EX_OSERR, "out of memory");
		goto out;
	}
	*s->tail = c;
	s->tail = &c->next;
	c->op = name->op;
	c->options = options;
	c->line = number;
	s->adds |= c->op == CMD_ADD;
	s->writes |= name->writes;
	rc = parse_arguments(c, rest, err);
out:
	free(copy);
	return rc;
}
