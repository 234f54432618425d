// SPDX-License-Identifier: BSD-2-Clause
/* divertctl flows: the flows that programs have released. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "divertctl.h"
#include "engine/engine.h"

#define EACH_NS 200000000 /* -w: how often it looks */

struct flows {
	struct engine_released *list;
	int n;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void print(const struct engine_released *r, const char *state)
{
	const uint64_t at = now(), since = r->released.since;
	char text[ENGINE_FLOW_TEXT];

	engine_flow_text(&r->key, false, text);
	printf("%5u %-7s %10llu %6llus %s\n", r->port, state,
	       (unsigned long long)r->released.packets,
	       (unsigned long long)(at > since ? (at - since) / 1000000000 : 0), text);
}

static const char *state_of(const struct engine_released *r)
{
	return r->released.how == DIVERT_RELEASE_DROPS ? "dropped" : "passes";
}

static int compare(const struct engine_released *a, const struct engine_released *b)
{
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

static bool is_same(const struct engine_released *a, const struct engine_released *b)
{
	return a->released.since == b->released.since && a->released.how == b->released.how;
}

/* Print what the second list, which is newer, has more than the first, or less. */
static void print_changes(const struct flows *was, const struct flows *is, uint32_t port)
{
	const struct engine_released *a = was->list, *b = is->list;
	const struct engine_released *a_end = a + was->n, *b_end = b + is->n;
	int order;

	while (a < a_end || b < b_end) {
		order = a == a_end ? 1 : b == b_end ? -1 : compare(a, b);
		if (order < 0 && (!port || a->port == port))
			print(a, "ended");
		if ((order > 0 || (!order && !is_same(a, b))) && (!port || b->port == port))
			print(b, state_of(b));
		a += order <= 0;
		b += order >= 0;
	}
	fflush(stdout);
}

/* Each time anew: the engine may be another one, or gone. */
static int read_flows(struct flows *f)
{
	struct engine e;
	int rc = engine_open(&e, 0);

	if (rc)
		return rc;
	f->n = engine_released(&e, &f->list);
	engine_close(&e);
	return f->n < 0 ? f->n : 0;
}

static int list(uint32_t port, bool follow)
{
	const struct timespec moment = {.tv_nsec = EACH_NS};
	struct flows was = {}, is = {};
	int rc;

	while (!(rc = read_flows(&is))) {
		print_changes(&was, &is, port);
		free(was.list);
		was = is;
		if (!follow)
			break;
		nanosleep(&moment, NULL);
	}
	free(was.list);
	return rc ? engine_failed(rc) : EXIT_OK;
}

int command_flows(int argc, char **argv)
{
	uint32_t port = 0;
	bool follow = false;
	int i;

	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-w")) {
			follow = true;
		} else if (!strcmp(argv[i], "-p")) {
			if (++i == argc)
				return usage_error("-p: which port?");
			port = port_of(argv[i]);
			if (!port)
				return EXIT_USAGE;
		} else {
			return usage_error("%s: flows takes -w and -p PORT", argv[i]);
		}
	}
	return list(port, follow);
}
