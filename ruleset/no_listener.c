// SPDX-License-Identifier: BSD-2-Clause
#include "no_listener.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#define NAMED_MOST 8

bool no_listener_rule(const struct rule *r)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (m->type == RULE_BYPASS)
			return false;
	return r->action == RULE_DIVERT && !r->tablearg;
}

static int by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static bool is_heard(const struct engine_port *there, int n, uint16_t port)
{
	int i;

	for (i = 0; i < n; i++)
		if ((there[i].key & 0xffff) == port &&
		    (there[i].alive || there[i].conf.flags & DIVERT_PORT_BYPASS))
			return true;
	return false;
}

int no_listener_ports(struct engine *e, uint16_t *port, int n)
{
	struct divert_settings settings = {};
	struct engine_port *there;
	int i, ports, kept = 0;
	uint32_t zero = 0;

	if (!n || bpf_map_lookup_elem(e->map[ENGINE_SETTINGS], &zero, &settings) ||
	    settings.pass_through)
		return 0;
	ports = engine_ports(e, &there);
	if (ports < 0)
		return 0;
	qsort(port, n, sizeof(*port), by_number);
	for (i = 0; i < n; i++)
		if ((!kept || port[kept - 1] != port[i]) && !is_heard(there, ports, port[i]))
			port[kept++] = port[i];
	free(there);
	return kept;
}

void no_listener_text(const uint16_t *port, int n, char text[NO_LISTENER_TEXT])
{
	int i, len = snprintf(text, NO_LISTENER_TEXT, "port%s ", n > 1 ? "s" : "");

	for (i = 0; i < n && i < NAMED_MOST; i++)
		len += snprintf(text + len, NO_LISTENER_TEXT - len, "%s%u", i ? ", " : "", port[i]);
	if (n > NAMED_MOST)
		snprintf(text + len, NO_LISTENER_TEXT - len, " and %d more", n - NAMED_MOST);
}

bool unseen_interface(const char *name, char text[NO_LISTENER_TEXT])
{
	const uint32_t ifindex = if_nametoindex(name);
	char master[IF_NAMESIZE];

	if (!ifindex)
		snprintf(text, NO_LISTENER_TEXT, "%s: no such interface; 'ip link' lists them",
			 name);
	else if (engine_port_of(ifindex, master))
		snprintf(text, NO_LISTENER_TEXT,
			 "%s: no packet is ever seen on it, as it is a port of %s: name that in "
			 "the "
			 "rule",
			 name, master);
	else
		return false;
	return true;
}
