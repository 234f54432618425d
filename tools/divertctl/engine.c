// SPDX-License-Identifier: BSD-2-Clause
/* Commands that change the engine. */
#include <errno.h>
#include <net/if.h>
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

int command_set(int argc, char **argv)
{
	struct divert_settings settings = {};
	uint32_t zero = 0;
	struct engine e;
	int rc;

	if (argc != 2 || strcmp(argv[0], "pass-through"))
		return usage_error("%s: settings are: pass-through on|off", argc ? argv[0] : "set");
	if (!strcmp(argv[1], "on"))
		settings.pass_through = 1;
	else if (strcmp(argv[1], "off"))
		return usage_error("%s: pass-through is on or off", argv[1]);
	rc = engine_open(&e, ENGINE_LOAD | ENGINE_LOCK);
	if (rc)
		return engine_failed(rc);
	rc = bpf_map_update_elem(e.map[ENGINE_SETTINGS], &zero, &settings, BPF_ANY);
	if (rc)
		fprintf(stderr, "divertctl: pass-through: %s\n", strerror(errno));
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

int command_get(int argc, char **argv)
{
	struct divert_settings settings = {};
	uint32_t zero = 0;
	struct engine e;
	int rc;

	if (argc > 1 || (argc && strcmp(argv[0], "pass-through")))
		return usage_error("%s: settings are: pass-through", argv[argc - 1]);
	rc = engine_open(&e, 0);
	if (rc)
		return engine_failed(rc);
	rc = bpf_map_lookup_elem(e.map[ENGINE_SETTINGS], &zero, &settings);
	if (rc)
		fprintf(stderr, "divertctl: pass-through: %s\n", strerror(errno));
	else
		printf("pass-through %s\n", settings.pass_through ? "on" : "off");
	engine_close(&e);
	return rc ? EXIT_FAILED : EXIT_OK;
}

int command_unload(int argc, char **argv)
{
	int rc;

	if (argc)
		return usage_error("%s: one word too many", argv[0]);
	rc = engine_unload();
	if (rc == -ENOENT)
		return EXIT_OK; /* what was asked for is so already */
	return rc ? engine_failed(rc) : EXIT_OK;
}
