// SPDX-License-Identifier: BSD-2-Clause
/* divert-run(1): starts a program with libdivert-socket preloaded. */
#include "tools/divert-run/hold.h"
#include "tools/divert-run/program.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libdivert-socket.so.0"

/* as env(1) */
#define EXIT_OWN	125
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND	127

static void usage(FILE *to)
{
	fputs("usage: divert-run [-v] [-r RULE] ... program [argument ...]\n"
	      "       divert-run --help | --version\n",
	      to);
}

/*
 * The library that was installed with this executable, in LIBRARY_DIR relative to it. Otherwise
 * only the name: under /usr, the dynamic loader then finds the one that fits the program.
 */
static const char *find_library(char path[PATH_MAX])
{
	char exe[PATH_MAX], beside[PATH_MAX];
	ssize_t len;
	char *slash;

	if (!*LIBRARY_DIR)
		return LIBRARY;
	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0)
		return LIBRARY;
	exe[len] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return LIBRARY;
	*slash = '\0';
	len = snprintf(beside, sizeof(beside), "%s/" LIBRARY_DIR "/" LIBRARY, exe);
	if (len >= (ssize_t)sizeof(beside) || !realpath(beside, path) || access(path, R_OK))
		return LIBRARY;
	return path;
}

static int preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *list;
	int ret;

	if (!others || !*others)
		return setenv("LD_PRELOAD", library, 1);
	if (asprintf(&list, "%s:%s", library, others) < 0)
		return -1;
	ret = setenv("LD_PRELOAD", list, 1);
	free(list);
	return ret;
}

static void warn_about(const char *name, const char *path)
{
	const char *why = why_not_preloadable(path);

	if (why)
		fprintf(stderr,
			"divert-run: %s: %s, so divert sockets will not work in it;"
			" see divert-run(1)\n",
			name, why);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"rule", required_argument, NULL, 'r'},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	char library_path[PATH_MAX], program_path[PATH_MAX];
	const char *library, *program;
	bool verbose = false, found;
	int option;

	/* "+": arguments behind the program's name belong to the program */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:r:v", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			if (hold_rule(optarg))
				return EXIT_OWN;
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("divert-run (ipdivert) " VERSION);
			return 0;
		case ':':
			fprintf(stderr, "divert-run: %s: which rule?\n", argv[optind - 1]);
			usage(stderr);
			return EXIT_OWN;
		default:
			if (optopt)
				fprintf(stderr, "divert-run: unknown option -%c\n", optopt);
			else
				fprintf(stderr, "divert-run: unknown option %s\n",
					argv[optind - 1]);
			usage(stderr);
			return EXIT_OWN;
		}
	}
	if (optind == argc) {
		fputs("divert-run: no program given\n", stderr);
		usage(stderr);
		return EXIT_OWN;
	}
	program = argv[optind];

	library = find_library(library_path);
	if (strpbrk(library, " \t\n:")) {
		fprintf(stderr,
			"divert-run: %s: LD_PRELOAD cannot name a file with a space or a colon in"
			" its path; install ipdivert elsewhere\n",
			library);
		return EXIT_OWN;
	}
	if (preload(library)) {
		fprintf(stderr, "divert-run: cannot set LD_PRELOAD to %s: %s\n", library,
			strerror(errno));
		return EXIT_OWN;
	}

	found = find_program(program, program_path);
	if (found)
		warn_about(program, program_path);
	if (verbose && setenv("DIVERT_VERBOSE", "1", 1)) {
		fprintf(stderr, "divert-run: cannot set DIVERT_VERBOSE: %s\n", strerror(errno));
		return EXIT_OWN;
	}
	if (verbose)
		fprintf(stderr, "divert-run: LD_PRELOAD=%s %s\n", getenv("LD_PRELOAD"),
			found ? program_path : program);

	if (hold_rules())
		return EXIT_OWN;
	execvp(program, argv + optind);
	option = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	fprintf(stderr, "divert-run: %s: %s\n", program, strerror(errno));
	return option;
}
