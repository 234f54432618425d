/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw(8): rules that divert packets, in FreeBSD's grammar. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipfw.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static void usage(FILE *f)
{
	fputs("usage: ipfw [-nq] [-p preprocessor [words]] file\n", f);
	print_commands(f);
	fputs("       ipfw --help | --version\n"
	      "\n"
	      "  -a  list counters too           -n  check only, change nothing\n"
	      "  -b  action and comment only     -q  say nothing, do not ask\n"
	      "  -c  without what says nothing   -S  list sets, and rules of disabled ones\n"
	      "  -f  do not ask                  -t, -T  when a rule last matched\n"
	      "  -d, -D  list states too, alone  -e  with -d, -D: and those whose time is over\n"
	      "  -i  table values as addresses   -N  names of hosts, services and users\n"
	      "actions: allow, deny, unreach CODE, unreach6 CODE, reset, reset6, count, divert "
	      "PORT, tee PORT,\n"
	      "         skipto NUMBER, call NUMBER, return, reass, check-state\n"
	      "body: proto from ADDRESS [ports] to ADDRESS [ports] [options]\n"
	      "for example: ipfw add 100 divert 8668 ip from any to any via eth0\n"
	      "The manual page ipfw(8) has the rest.\n",
	      f);
}

/* ---- the command line ---- */

static int parse_options(int argc, char **argv, struct options *o, struct rules_error *err)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	char flag[2] = "";
	int c;

	opterr = 0;
	while (!o->preprocessor &&
	       (c = getopt_long(argc, argv, "+afhnqbcdDeiNp:s:StTv", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->check = true;
			break;
		case 'p': /* all further words but the last are its command line */
			if (optind >= argc)
				return rules_fail(err, EX_USAGE, "missing file after -p %s",
						  optarg);
			o->preprocessor = argv + optind - 1;
			*o->preprocessor = optarg;
			break;
		case 's': /* sorts what ipdivert does not have */
			break;
		case 'h':
			usage(stdout);
			exit(EX_OK);
		case 'V':
			puts("ipfw (ipdivert) " VERSION);
			exit(EX_OK);
		case '?':
			if (optopt)
				return rules_fail(err, EX_USAGE,
						  "-%c: unknown flag; --help lists them", optopt);
			return rules_fail(err, EX_USAGE, "%s: unknown flag; --help lists them",
					  argv[optind - 1]);
		default:
			flag[0] = c;
			if (read_flags(flag, o, err))
				return -1;
		}
	}
	if (o->preprocessor)
		optind = argc - 1;
	return 0;
}

static bool is_file(const char *word)
{
	return !strcmp(word, "-") || (strchr(word, '/') && !strpbrk(word, " \t\n"));
}

static char *join(char **word)
{
	char *line = NULL;
	size_t len;
	FILE *f = open_memstream(&line, &len);

	if (!f)
		return NULL;
	for (; *word; word++)
		fprintf(f, "%s%s", *word, word[1] ? " " : "");
	if (fclose(f)) {
		free(line);
		return NULL;
	}
	return line;
}

static int read_arguments(struct script *s, char **word, struct options o, unsigned int *line,
			  struct rules_error *err)
{
	char *text;
	int rc;

	if (!word[1] && (o.preprocessor || is_file(word[0]))) {
		s->file = word[0];
		*word = NULL; /* the end of the preprocessor's words */
		return script_read(s, o, line, err);
	}
	text = join(word);
	if (!text)
		return rules_fail(err, EX_OSERR, "out of memory");
	rc = script_add(s, text, 0, o, err);
	free(text);
	return rc;
}

/* 1: continue. 0: the user said no. */
static int confirm(const struct script *s)
{
	const struct command *c;
	char answer[16];

	for (c = s->first; c; c = c->next)
		if (c->op == CMD_FLUSH && !c->options.force && !c->options.check)
			break;
	if (!c)
		return 1;
	if (!isatty(STDIN_FILENO))
		return 1; /* ipfw(8): without a terminal, -f is implied */
	for (;;) {
		fputs("Are you sure? [yn] ", stdout);
		fflush(stdout);
		if (!fgets(answer, sizeof(answer), stdin))
			return 0;
		if (answer[0] == 'y' || answer[0] == 'Y')
			return 1;
		if (answer[0] == 'n' || answer[0] == 'N')
			return 0;
	}
}

static int complain(const struct script *s, unsigned int line, const struct rules_error *err)
{
	const char *file = script_name(s);

	if (line)
		fprintf(stderr, "ipfw: %s:%u: %s\n", file, line, err->text);
	else if (file && err->status == EX_UNAVAILABLE && !s->first)
		fprintf(stderr, "ipfw: %s: %s\n", file, err->text);
	else
		fprintf(stderr, "ipfw: %s\n", err->text);
	return err->status;
}

int main(int argc, char **argv)
{
	struct rules_error err = {.status = EX_SOFTWARE};
	struct options options = {0};
	unsigned int line = 0;
	struct script script;
	int rc, refused;

	script_init(&script, NULL);
	if (parse_options(argc, argv, &options, &err))
		return complain(&script, 0, &err);
	if (optind == argc) {
		usage(stderr);
		return EX_USAGE;
	}
	rc = read_arguments(&script, argv + optind, options, &line, &err);
	if (!rc) {
		rc = confirm(&script);
		if (rc > 0)
			rc = script_run(&script, options, &line, &err);
	}
	if (rc)
		rc = complain(&script, line, &err);
	refused = tell_refused(&script);
	script_free(&script);
	return rc ? rc : refused;
}
