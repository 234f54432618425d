// SPDX-License-Identifier: BSD-2-Clause
/* Commands that change the engine. */
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "divertctl.h"
#include "engine/engine.h"

static void tell(const char *name, const char *why, void *arg)
{
	fprintf(stderr, "divertctl: %s\n", why);
}

/* A name, or ":" and the index, as divert(4) writes an interface whose name is long. 0: there is none. */
static uint32_t find_interface(const char *text)
{
	char name[IF_NAMESIZE], *end;
	unsigned long index;

	if (*text != ':')
		return if_nametoindex(text);
	index = strtoul(text + 1, &end, 10);
	return *end || index > INT32_MAX || !if_indextoname(index, name) ? 0 : index;
}

int command_attach(int argc, char **argv)
{
	unsigned int flags = ENGINE_LOAD | ENGINE_LOCK;
	uint32_t ifindex = 0;
	struct engine e;
	int rc;

	if (argc && !strcmp(argv[0], "-l")) {
		flags &= ~ENGINE_LOAD;
		argc--;
		argv++;
	}
	if (argc > 1)
		return usage_error("%s: one word too many", argv[1]);
	if (argc) {
		ifindex = find_interface(argv[0]);
		if (!ifindex) {
			fprintf(stderr, "divertctl: %s: no such interface; 'ip link' lists them\n",
				argv[0]);
			return EXIT_FAILED;
		}
	}
	rc = engine_open(&e, flags);
	if (rc == -ENOENT && !(flags & ENGINE_LOAD))
		return EXIT_OK;
	if (rc)
		return engine_failed(rc);
	rc = engine_attach(&e, ifindex, tell, NULL);
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

/* ---- settings ---- */

static const struct {
	const char *name;
	size_t offset; /* in struct divert_settings */
	uint32_t on;   /* what stands there when it is */
} setting[] = {
	{"pass-through", offsetof(struct divert_settings, pass_through), 1},
	{"trains", offsetof(struct divert_settings, no_trains), 0},
};

#define SETTINGS      (sizeof(setting) / sizeof(*setting))
#define SETTING_NAMES "pass-through, trains"

/* SETTINGS: there is none. */
static size_t setting_by_name(const char *name)
{
	size_t i = 0;

	while (i < SETTINGS && strcmp(setting[i].name, name))
		i++;
	return i;
}

static uint32_t *setting_in(struct divert_settings *s, size_t i)
{
	return (uint32_t *)((char *)s + setting[i].offset);
}

static int settings_read(const struct engine *e, struct divert_settings *s)
{
	uint32_t zero = 0;

	if (!bpf_map_lookup_elem(e->map[ENGINE_SETTINGS], &zero, s))
		return 0;
	fprintf(stderr, "divertctl: settings: %s\n", strerror(errno));
	return -1;
}

int command_set(int argc, char **argv)
{
	size_t i = argc == 2 ? setting_by_name(argv[0]) : SETTINGS;
	struct divert_settings settings;
	uint32_t zero = 0;
	struct engine e;
	bool on;
	int rc;

	if (i == SETTINGS)
		return usage_error("%s: settings are: " SETTING_NAMES "; each is on or off",
				   argc ? argv[0] : "set");
	on = !strcmp(argv[1], "on");
	if (!on && strcmp(argv[1], "off"))
		return usage_error("%s: %s is on or off", argv[1], argv[0]);
	rc = engine_open(&e, ENGINE_LOAD | ENGINE_LOCK);
	if (rc)
		return engine_failed(rc);
	rc = settings_read(&e, &settings);
	if (!rc) {
		*setting_in(&settings, i) = on ? setting[i].on : !setting[i].on;
		rc = bpf_map_update_elem(e.map[ENGINE_SETTINGS], &zero, &settings, BPF_ANY);
		if (rc)
			fprintf(stderr, "divertctl: %s: %s\n", argv[0], strerror(errno));
	}
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

int command_get(int argc, char **argv)
{
	struct divert_settings settings;
	struct engine e;
	size_t i;
	int rc;

	if (argc > 1 || (argc && setting_by_name(argv[0]) == SETTINGS))
		return usage_error("%s: settings are: " SETTING_NAMES, argv[argc - 1]);
	rc = engine_open(&e, 0);
	if (rc)
		return engine_failed(rc);
	rc = settings_read(&e, &settings);
	for (i = 0; !rc && i < SETTINGS; i++)
		if (!argc || !strcmp(argv[0], setting[i].name))
			printf("%s %s\n", setting[i].name,
			       *setting_in(&settings, i) == setting[i].on ? "on" : "off");
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

/* "2000, 2001", of sockets that are bound; how many ports. */
static int bound_ports(struct engine *e, char *text, size_t size)
{
	struct engine_port *port;
	int i, n = engine_ports(e, &port), found = 0;
	size_t len = 0;

	if (n < 0)
		return 0;
	for (i = 0; i < n; i++)
		if (port[i].alive && len < size)
			len += snprintf(text + len, size - len, "%s%u", found++ ? ", " : "",
					port[i].key & 0xffff);
	free(port);
	return found;
}

int command_unload(int argc, char **argv)
{
	char ports[256], names[1024];
	struct engine e;
	int rc, bound = 0;

	if (argc)
		return usage_error("%s: one word too many", argv[0]);
	if (!engine_open(&e, 0)) {
		bound = bound_ports(&e, ports, sizeof(ports));
		if (bound)
			engine_holders(&e, -1, names, sizeof(names));
		engine_close(&e);
	}
	rc = engine_unload();
	if (rc == -ENOENT)
		return EXIT_OK; /* what was asked for is so already */
	if (rc)
		return engine_failed(rc);
	if (bound)
		fprintf(stderr,
			"divertctl: sockets were bound to port%s %s: whatever receives or sends by "
			"them fails from now on (%s): restart %s\n",
			bound > 1 ? "s" : "", ports, strerror(ENETDOWN),
			*names ? names : "their programs");
	return EXIT_OK;
}
