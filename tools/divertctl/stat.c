// SPDX-License-Identifier: BSD-2-Clause
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "divertctl.h"
#include "engine/engine.h"

static void print_counters(const char *title, const struct divert_port_stats *stats, bool all)
{
	int c;

	puts(title);
	for (c = 0; c < DIVERT_N_CAUSES; c++)
		if (all || stats->n[c])
			printf("  %20llu  %-16s %s\n", (unsigned long long)stats->n[c],
			       engine_cause_name(c), engine_cause_text(c));
}

static int print_port(const struct engine_port *port, bool all)
{
	char title[64], bound[32] = "";

	if (!port->alive)
		snprintf(bound, sizeof(bound), " (nobody listens)");
	else if (port->alive > 1)
		snprintf(bound, sizeof(bound), " (%u sockets)", port->alive);
	snprintf(title, sizeof(title), "port %u%s%s:", port->key & 0xffff,
		 port->key & DIVERT_KEY_V6 ? " (IPv6)" : "", bound);
	print_counters(title, &port->stats, all);
	return 1;
}

/* only: a port, or 0 for all ports. */
static int print_all(struct engine *e, unsigned int only, bool all)
{
	struct divert_port_stats stats;
	struct engine_port *port;
	int i, n = engine_ports(e, &port), shown = 0;

	if (n < 0)
		return engine_failed(n);
	for (i = 0; i < n; i++)
		if (!only || (port[i].key & 0xffff) == only)
			shown += print_port(&port[i], all);
	free(port);
	if (only && !shown)
		return no_port(only);
	if (only)
		return EXIT_OK;
	n = engine_stats(e, &stats);
	if (n)
		return engine_failed(n);
	print_counters("no port:", &stats, all);
	return EXIT_OK;
}

uint32_t port_of(const char *word)
{
	char *end;
	unsigned long port = strtoul(word, &end, 10);

	if (!*end && port && port <= 65535)
		return port;
	usage_error("%s: a port is a number from 1 to 65535", word);
	return 0;
}

int command_stat(int argc, char **argv)
{
	uint32_t only = 0;
	bool all = false, metrics = false;
	struct engine e;
	int rc;

	for (; argc && (!strcmp(argv[0], "-a") || !strcmp(argv[0], "-m")); argc--, argv++) {
		all |= argv[0][1] == 'a';
		metrics |= argv[0][1] == 'm';
	}
	if (argc > 1)
		return usage_error("%s: one word too many", argv[1]);
	if (argc) {
		only = port_of(argv[0]);
		if (!only)
			return EXIT_USAGE;
	}
	if (metrics)
		return metrics_print(only);
	rc = engine_open(&e, 0);
	if (rc)
		return engine_failed(rc);
	rc = print_all(&e, only, all);
	engine_close(&e);
	return rc;
}
