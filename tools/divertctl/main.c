// SPDX-License-Identifier: BSD-2-Clause
/* divertctl: shows the engine of this network namespace, changes its settings, removes it. */
#include <stdio.h>
#include <string.h>

#include "divertctl.h"

static const struct {
	const char *name, *words, *what;
	int (*run)(int argc, char **argv);
} command[] = {
	{"status", "", "what is loaded, on which interfaces, who listens", command_status},
	{"stat", "[-a] [-m] [PORT]",
	 "counters by cause, of each port; -a: also those that are 0; -m: for Prometheus",
	 command_stat},
	{"top", "[-d SECONDS] [-n COUNT]",
	 "what the counters of ports and rules gain, once a second; -n: so many times",
	 command_top},
	{"flows", "[-w] [-p PORT]", "the flows that programs have released; -w: follow",
	 command_flows},
	{"attach", "[-l] [INTERFACE]",
	 "hook an interface, or all that are not yet; -l: only if an engine is loaded",
	 command_attach},
	{"set", "SETTING VALUE",
	 "pass-through on: packets of ports where nobody listens pass, instead of being dropped; "
	 "trains off: what is written inbound goes one at a time; 'get' lists the others",
	 command_set},
	{"get", "[SETTING]", "how settings are", command_get},
	{"upgrade", "[-f]",
	 "the engine of this version instead of another's, with its rules; -f: also of a newer",
	 command_upgrade},
	{"unload", "", "remove the engine and every trace of it, rules included", command_unload},
};

#define COMMANDS (sizeof(command) / sizeof(*command))

static void help(FILE *to)
{
	char head[64];
	size_t i;

	fputs("usage: divertctl COMMAND\n\n", to);
	for (i = 0; i < COMMANDS; i++) {
		snprintf(head, sizeof(head), "%s %s", command[i].name, command[i].words);
		fprintf(to, "  %-24s %s\n", head, command[i].what);
	}
	fputs("\nIt acts on the network namespace that it runs in, and needs root. See "
	      "divertctl(8).\n",
	      to);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		help(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("divertctl (ipdivert) " VERSION);
		return EXIT_OK;
	}
	for (i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], command[i].name))
			return command[i].run(argc - 2, argv + 2);
	return usage_error("%s: no such command", argv[1]);
}
