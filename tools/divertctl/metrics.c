// SPDX-License-Identifier: BSD-2-Clause
/* divertctl stat -m: the counters in the text format of Prometheus. */
#include <stdio.h>

#include "counters.h"
#include "divertctl.h"

static void metric(const char *name, const char *type, const char *help)
{
	printf("# HELP ipdivert_%s %s\n# TYPE ipdivert_%s %s\n", name, help, name, type);
}

static void print_label(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", stdout);
		else
			printf("%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
	}
}

/* The labels of a port; NULL: of no port. */
static void print_port(const char *name, const struct engine_port *port)
{
	printf("ipdivert_%s{port=\"", name);
	if (port)
		printf("%u", port->key & 0xffff);
	else
		fputs("none", stdout);
	printf("\",family=\"%s\"", port && port->key & DIVERT_KEY_V6 ? "inet6" : "inet");
}

/* lost-on-entry, a difference, can go down: it is no counter. */
static void print_causes(const struct engine_port *port, const struct divert_port_stats *stats)
{
	int c;

	for (c = 0; c < DIVERT_N_CAUSES; c++) {
		if (c == DIVERT_N_LOST)
			continue;
		print_port("packets_total", port);
		printf(",cause=\"%s\"} %llu\n", engine_cause_name(c),
		       (unsigned long long)stats->n[c]);
	}
}

static bool is_asked(const struct engine_port *port, uint32_t only)
{
	return !only || (port->key & 0xffff) == only;
}

static void print_ports(const struct counters *c, uint32_t only)
{
	int i;

	metric("packets_total", "counter",
	       "Packets by port and by what became of them, see divertctl(8), Counters.");
	for (i = 0; i < c->ports; i++)
		if (is_asked(&c->port[i], only))
			print_causes(&c->port[i], &c->port[i].stats);
	if (!only)
		print_causes(NULL, &c->none);
	metric("lost_on_entry_packets", "gauge",
	       "Packets that were written and have not entered: lost in the stack, or waiting.");
	for (i = 0; i < c->ports; i++)
		if (is_asked(&c->port[i], only)) {
			print_port("lost_on_entry_packets", &c->port[i]);
			printf("} %llu\n", (unsigned long long)c->port[i].stats.n[DIVERT_N_LOST]);
		}
	metric("port_sockets", "gauge", "Divert sockets that are bound to the port.");
	for (i = 0; i < c->ports; i++)
		if (is_asked(&c->port[i], only)) {
			print_port("port_sockets", &c->port[i]);
			printf("} %u\n", c->port[i].alive);
		}
}

/* place: the first, second and so on of those that have its number */
static void print_rules(const struct counters *c, const char *name, const char *help, bool bytes)
{
	unsigned int i, number, last = 0, place = 0;

	metric(name, "counter", help);
	for (i = 0; i <= c->t->rules.n; i++) {
		number = counters_number(c, i);
		place = number == last ? place + 1 : 1;
		last = number;
		printf("ipdivert_%s{rule=\"%u\",place=\"%u\",text=\"", name, number, place);
		print_label(counters_text(c, i));
		printf("\"} %llu\n",
		       (unsigned long long)(bytes ? c->rule[i].bytes : c->rule[i].packets));
	}
}

static bool has_port(const struct counters *c, uint32_t port)
{
	int i = 0;

	while (i < c->ports && !is_asked(&c->port[i], port))
		i++;
	return i < c->ports;
}

int metrics_print(uint32_t only)
{
	struct counters c;
	int rc = counters_read(&c, false);

	if (!rc && only && !has_port(&c, only)) {
		counters_free(&c);
		return no_port(only);
	}

	if (rc && rc != EXIT_NO_ENGINE)
		return rc;
	metric("engine_loaded", "gauge", "1 if an engine is loaded in this network namespace.");
	printf("ipdivert_engine_loaded %d\n", !rc);
	if (rc)
		return rc;
	metric("engine_info", "gauge", "The engine's version, as labels; 1.");
	fputs("ipdivert_engine_info{version=\"", stdout);
	print_label(c.t->engine.identity.version);
	printf("\",layout=\"%u\"} 1\n", c.t->engine.identity.layout);
	metric("engine_load_time_seconds", "gauge", "When the engine was loaded, since 1970.");
	printf("ipdivert_engine_load_time_seconds %llu\n",
	       (unsigned long long)c.t->engine.identity.loaded);
	print_ports(&c, only);
	if (!only) {
		print_rules(&c, "rule_packets_total", "Packets that matched the rule.", false);
		print_rules(&c, "rule_bytes_total", "Bytes of packets that matched the rule.",
			    true);
	}
	counters_free(&c);
	return EXIT_OK;
}
