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

/* A name, or ":" and the index, as divert(4) writes an interface with a long name. 0: not found. */
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

static const uint32_t states_standard = DIVERT_STATES_DEFAULT;
static const uint32_t released_standard = DIVERT_RELEASED_LIFE;

/* A switch, or a number from 1 to most. */
static const struct {
	const char *name;
	size_t offset;		  /* in struct divert_settings */
	uint32_t on;		  /* of a switch: value that means "on" */
	uint32_t most;		  /* 0: a switch */
	const uint32_t *standard; /* what 0 in struct divert_settings means, of a number */
} setting[] = {
	{"pass-through", offsetof(struct divert_settings, pass_through), 1, 0, NULL},
	{"trains", offsetof(struct divert_settings, no_bulk), 0, 0, NULL},
#define LIFE(name, kind)                                                                           \
	{                                                                                          \
		name, offsetof(struct divert_settings, life[kind]), 0, 1000000, &divert_life[kind] \
	}
	LIFE("dyn_ack_lifetime", DIVERT_LIFE_ACK),
	LIFE("dyn_syn_lifetime", DIVERT_LIFE_SYN),
	LIFE("dyn_fin_lifetime", DIVERT_LIFE_FIN),
	LIFE("dyn_rst_lifetime", DIVERT_LIFE_RST),
	LIFE("dyn_udp_lifetime", DIVERT_LIFE_UDP),
	LIFE("dyn_short_lifetime", DIVERT_LIFE_SHORT),
	{"dyn_max", offsetof(struct divert_settings, states), 0, DIVERT_STATES_MAX,
	 &states_standard},
	{"released_lifetime", offsetof(struct divert_settings, released), 0, 1000000,
	 &released_standard},
};

#define SETTINGS (sizeof(setting) / sizeof(*setting))

/* SETTINGS: no such setting. */
static size_t setting_by_name(const char *name)
{
	size_t i = 0;

	while (i < SETTINGS && strcmp(setting[i].name, name))
		i++;
	return i;
}

static int no_setting(const char *name)
{
	char names[256];
	size_t i, at = 0;

	for (i = 0; i < SETTINGS && at < sizeof(names); i++)
		at += snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "",
			       setting[i].name);
	return usage_error("%s: settings are: %s; the first two are on or off, the others numbers",
			   name, names);
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

/* "on", "off" or the number as the settings have it. */
static int setting_value(size_t i, const char *word, uint32_t *value)
{
	unsigned long number;
	char *end;

	if (!setting[i].most) {
		*value = !strcmp(word, "on") ? setting[i].on : !setting[i].on;
		return !strcmp(word, "on") || !strcmp(word, "off")
			       ? 0
			       : usage_error("%s: %s is on or off", word, setting[i].name);
	}
	number = strtoul(word, &end, 10);
	if (strspn(word, "0123456789") != strlen(word) || !number || number > setting[i].most)
		return usage_error("%s: %s is a number from 1 to %u", word, setting[i].name,
				   setting[i].most);
	*value = number;
	return 0;
}

/* Write them, and have room for as many states. On failure nothing has changed. */
static int settings_write(struct engine *e, const struct divert_settings *was,
			  const struct divert_settings *settings)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(e->map[ENGINE_SETTINGS], &zero, settings, BPF_ANY)) {
		fprintf(stderr, "divertctl: settings: %s\n", strerror(errno));
		return -1;
	}
	if (was->states == settings->states || !engine_flows_resize(e))
		return 0;
	fprintf(stderr, "divertctl: %s\n", engine_error());
	bpf_map_update_elem(e->map[ENGINE_SETTINGS], &zero, was, BPF_ANY);
	return -1;
}

int command_set(int argc, char **argv)
{
	size_t i = argc == 2 ? setting_by_name(argv[0]) : SETTINGS;
	struct divert_settings was, settings;
	struct engine e;
	uint32_t value = 0;
	int rc;

	if (i == SETTINGS)
		return no_setting(argc ? argv[0] : "set");
	rc = setting_value(i, argv[1], &value);
	if (rc)
		return rc;
	rc = engine_open(&e, ENGINE_LOAD | ENGINE_LOCK);
	if (rc)
		return engine_failed(rc);
	rc = settings_read(&e, &was);
	if (!rc) {
		settings = was;
		*setting_in(&settings, i) = value;
		rc = settings_write(&e, &was, &settings);
	}
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

static void print_setting(struct divert_settings *s, size_t i)
{
	const uint32_t value = *setting_in(s, i);

	if (setting[i].most)
		printf("%s %u\n", setting[i].name, value ? value : *setting[i].standard);
	else
		printf("%s %s\n", setting[i].name, value == setting[i].on ? "on" : "off");
}

int command_get(int argc, char **argv)
{
	struct divert_settings settings;
	struct engine e;
	size_t i;
	int rc;

	if (argc > 1 || (argc && setting_by_name(argv[0]) == SETTINGS))
		return no_setting(argv[argc - 1]);
	rc = engine_open(&e, 0);
	if (rc)
		return engine_failed(rc);
	rc = settings_read(&e, &settings);
	for (i = 0; !rc && i < SETTINGS; i++)
		if (!argc || !strcmp(argv[0], setting[i].name))
			print_setting(&settings, i);
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

/* List ports with bound sockets: "2000, 2001". Returns how many. */
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
		return EXIT_OK; /* nothing to remove */
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
