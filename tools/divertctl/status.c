// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "divertctl.h"
#include "engine/engine.h"

static void print_loaded(const struct engine *e)
{
	time_t when = e->identity.loaded;
	char text[64] = "?";
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	printf("engine: ipdivert %.32s, layout %u, loaded %s\n", e->identity.version,
	       e->identity.layout, text);
	if (engine_age(e))
		puts("  this is divertctl " VERSION
		     ": 'divertctl upgrade' makes the engine the same");
}

static const char *hooked(const struct engine_iface *i)
{
	if (i->in && i->out)
		return "in, out";
	if (i->in)
		return i->need_out ? "in only" : "in";
	if (i->out)
		return i->need_in ? "out only" : "out";
	return i->need_in || i->need_out ? "not hooked" : "";
}

static const char *not_needed(const struct engine_iface *i)
{
	if (i->need_in && i->need_out)
		return "";
	if (!i->need_in && !i->need_out)
		return "no rule needs it";
	return i->need_in ? "no rule needs out" : "no rule needs in";
}

static void print_iface(const struct engine_iface *i, void *arg)
{
	const char *there = hooked(i), *spare = not_needed(i);

	printf("  %-15s %s%s%s\n", i->name, there, *there && *spare ? "; " : "", spare);
	if (*i->warning)
		printf("    warning: %s\n", i->warning);
}

static int print_ports(struct engine *e)
{
	struct engine_port *port;
	int i, n = engine_ports(e, &port);

	if (n < 0)
		return n;
	puts(n ? "ports:" : "ports: none");
	for (i = 0; i < n; i++) {
		printf("  %-6u%s ", port[i].key & 0xffff,
		       port[i].key & DIVERT_KEY_V6 ? " (IPv6)" : "");
		if (port[i].alive > 1)
			printf("%u sockets are bound\n", port[i].alive);
		else
			puts(port[i].alive ? "a socket is bound" : "nobody listens");
	}
	free(port);
	return 0;
}

/* Try the bulk path: the kernel may refuse its program. */
static void print_trains(const struct engine *e, const struct divert_settings *settings)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct engine_bulk t;
	int rc;

	if (settings->no_bulk || sock < 0) {
		puts(settings->no_bulk ? "trains: off" : "trains: on");
	} else {
		rc = engine_bulk_open(e, sock, &t);
		if (rc)
			printf("trains: on, but their program cannot be loaded (%s): packets are "
			       "written back one at a time\n",
			       strerror(-rc));
		else
			puts("trains: on");
		engine_bulk_close(&t);
	}
	if (sock >= 0)
		close(sock);
}

/* Such sockets receive no packets, and their programs got no error. */
static void print_raw(void)
{
	char names[512];

	if (engine_raw_sockets(names, sizeof(names)))
		printf("ordinary raw sockets of protocol 258 or 254: %s\n  nothing is diverted to "
		       "them: start the program with 'divert-run'\n",
		       *names ? names : "of programs that /proc does not show");
}

int command_status(int argc, char **argv)
{
	struct divert_settings settings = {};
	uint32_t zero = 0;
	struct engine e;
	int rc;

	if (argc)
		return usage_error("%s: one word too many", argv[0]);
	rc = engine_open(&e, 0);
	if (rc == -ENOENT) {
		puts("engine: not loaded");
		print_raw();
		return EXIT_NO_ENGINE;
	}
	if (rc)
		return engine_failed(rc);
	print_loaded(&e);
	bpf_map_lookup_elem(e.map[ENGINE_SETTINGS], &zero, &settings);
	printf("pass-through: %s\n", settings.pass_through ? "on" : "off");
	print_trains(&e, &settings);
	puts("interfaces:");
	rc = engine_look(&e, print_iface, NULL);
	if (!rc)
		rc = print_ports(&e);
	print_raw();
	engine_close(&e);
	return rc ? engine_failed(rc) : EXIT_OK;
}
