// SPDX-License-Identifier: BSD-2-Clause
/* Which processes hold the engine's sockets: the kernel says so in /proc/PID/fdinfo. */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "divertctl.h"
#include "engine/engine.h"

struct rings {
	uint32_t id[DIVERT_SOCKETS_MAX];
	bool held[DIVERT_SOCKETS_MAX];
	int n;
};

static void list_rings(const struct engine *e, struct rings *rings)
{
	uint32_t slot, id;

	for (slot = 0; slot < DIVERT_SOCKETS_MAX; slot++)
		if (!bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &slot, &id))
			rings->id[rings->n++] = id;
}

/* Is it the descriptor of a ring? */
static bool look_at(const char *path, struct rings *rings)
{
	FILE *f = fopen(path, "re");
	bool found = false;
	char line[128];
	uint32_t id;
	int i;

	if (!f)
		return false; /* closed meanwhile */
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "map_id: %u", &id) != 1)
			continue;
		for (i = 0; i < rings->n; i++) {
			if (rings->id[i] == id)
				found = rings->held[i] = true;
		}
	}
	fclose(f);
	return found;
}

static bool holds(const char *pid, struct rings *rings)
{
	const struct dirent *entry;
	bool found = false;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%s", pid, entry->d_name);
		if (isdigit((unsigned char)*entry->d_name) && look_at(path, rings))
			found = true;
	}
	closedir(dir);
	return found;
}

static void print_program(const char *pid, bool first, FILE *to)
{
	char path[64], name[64] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		fclose(f);
	}
	fprintf(to, "%s%s (%s)", first ? "" : ", ", name, pid);
}

int print_holders(const struct engine *e, FILE *to)
{
	struct rings *rings = calloc(1, sizeof(*rings));
	const struct dirent *entry;
	bool first = true;
	int i, n = 0;
	DIR *proc;

	proc = rings ? opendir("/proc") : NULL;
	if (proc) {
		list_rings(e, rings);
		while (rings->n && (entry = readdir(proc))) {
			if (!isdigit((unsigned char)*entry->d_name) || !holds(entry->d_name, rings))
				continue;
			print_program(entry->d_name, first, to);
			first = false;
		}
		closedir(proc);
		for (i = 0; i < rings->n; i++)
			n += rings->held[i];
	}
	free(rings);
	return n;
}
