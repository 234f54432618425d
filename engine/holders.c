// SPDX-License-Identifier: BSD-2-Clause
/* Which processes hold the engine's rings, from /proc/PID/fdinfo. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "engine.h"

struct rings {
	uint32_t id[DIVERT_SOCKETS_MAX];
	bool held[DIVERT_SOCKETS_MAX];
	int n;
};

static void list_rings(const struct engine *e, int only, struct rings *rings)
{
	uint32_t slot, id;

	for (slot = 0; slot < DIVERT_SOCKETS_MAX; slot++)
		if ((only < 0 || slot == (uint32_t)only) &&
		    !bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &slot, &id))
			rings->id[rings->n++] = id;
}

/* Reading fdinfo takes ten times as long, so only do it for maps. */
static bool is_map(const char *pid, const char *fd)
{
	char path[300], to[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%.16s/fd/%s", pid, fd);
	len = readlink(path, to, sizeof(to) - 1);
	if (len < 0)
		return false;
	to[len] = '\0';
	return !strcmp(to, "anon_inode:bpf-map");
}

/* Is this the descriptor of a ring? */
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

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name) || !is_map(pid, entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%s", pid, entry->d_name);
		if (look_at(path, rings))
			found = true;
	}
	closedir(dir);
	return found;
}

void engine_program(const char *pid, char *text, size_t size)
{
	char path[64], name[64] = "?";
	size_t len = strlen(text);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		fclose(f);
	}
	snprintf(text + len, size - len, "%s%s (%.16s)", len ? ", " : "", name, pid);
}

int engine_holders(const struct engine *e, int slot, char *text, size_t size)
{
	struct rings *rings = calloc(1, sizeof(*rings));
	DIR *proc = rings ? opendir("/proc") : NULL;
	const struct dirent *entry;
	int i, n = 0;

	*text = '\0';
	if (proc) {
		list_rings(e, slot, rings);
		while (rings->n && (entry = readdir(proc)))
			if (isdigit((unsigned char)*entry->d_name) && holds(entry->d_name, rings))
				engine_program(entry->d_name, text, size);
		closedir(proc);
		for (i = 0; i < rings->n; i++)
			n += rings->held[i];
	}
	free(rings);
	return n;
}
