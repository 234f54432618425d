// SPDX-License-Identifier: BSD-2-Clause
/* Finds the kernel half by its programs on lo, and identifies its version. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "hook.h"
#include "load.h"

static const char *const map_name[ENGINE_MAPS] = {
	[ENGINE_IDENTITY] = "identity",
	[ENGINE_SETTINGS] = "settings",
	[ENGINE_IFACES] = "ifaces",
	[ENGINE_RULES] = "rules",
	[ENGINE_RULE_COUNTERS] = "rule_counters",
	[ENGINE_RULE_BASES] = "rule_bases",
	[ENGINE_PORTS] = "ports",
	[ENGINE_PORT_STATS] = "port_stats",
	[ENGINE_SOCKETS] = "sockets",
	[ENGINE_SOCKET_CONF] = "socket_conf",
	[ENGINE_SENDERS] = "senders",
	[ENGINE_ERRORS] = "errors",
	[ENGINE_TABLE_ADDRS] = "table_addrs",
	[ENGINE_TABLE_HOSTS] = "table_hosts",
	[ENGINE_FLOWS] = "flows",
	[ENGINE_FLOW_INFO] = "flow_info",
	[ENGINE_RELEASED] = "released",
	[ENGINE_RELEASING] = "releasing",
	[ENGINE_VERDICTS] = "verdicts",
	[ENGINE_TABLE_FILTER] = "table_filter",
	[ENGINE_TABLE_KINDS] = "table_kinds",
	[ENGINE_TABLE_KEYS] = "table_keys",
	[ENGINE_TABLE_FLOWS] = "table_flows",
	[ENGINE_LOG_ENTRIES] = "log_entries",
	[ENGINE_LOG_HEAD] = "log_head",
	[ENGINE_LOG_COUNTS] = "log_counts",
	[ENGINE_BULK] = "trains",
};

void engine_clear(struct engine *e)
{
	memset(e, 0, sizeof(*e));
	memset(e->map, 0xff, sizeof(e->map));
	memset(e->identity.sysctl_was, 0xff, sizeof(e->identity.sysctl_was));
	e->prog_in = e->prog_out = e->lock = e->asker = e->hosts = e->filter = -1;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void engine_close(struct engine *e)
{
	int i;

	for (i = 0; i < ENGINE_MAPS; i++)
		shut(&e->map[i]);
	shut(&e->prog_in);
	shut(&e->prog_out);
	shut(&e->asker);
	shut(&e->hosts);
	shut(&e->filter);
	if (e->lock >= 0)
		flock(e->lock, LOCK_UN); /* a child may have the descriptor, too: see ruleset.c */
	shut(&e->lock);			 /* last: the lock protects the rest */
}

/* ---- finding ---- */

int engine_map_of(const char *name)
{
	int i;

	for (i = 0; i < ENGINE_MAPS; i++)
		if (!strcmp(name, map_name[i]))
			return i;
	return -1;
}

void engine_keep_map(struct engine *e, int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int i = -1;

	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		i = engine_map_of(info.name);
	if (i >= 0 && e->map[i] < 0)
		e->map[i] = fd;
	else
		close(fd); /* .rodata, or a map of another layout */
}

static int keep_maps(struct engine *e, int prog_fd)
{
	__u32 ids[64] = {}; /* another layout may have more maps than this one */
	struct bpf_prog_info info = {};
	__u32 i, len = sizeof(info);
	int fd;

	info.nr_map_ids = sizeof(ids) / sizeof(*ids);
	info.map_ids = (uintptr_t)ids;
	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return -errno;
	for (i = 0; i < info.nr_map_ids && i < sizeof(ids) / sizeof(*ids); i++) {
		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			return -errno;
		engine_keep_map(e, fd);
	}
	return 0;
}

/* *fd stays -1 if there is no program. */
static int keep_prog(enum hook_side side, int *fd)
{
	uint32_t id;
	int rc = hook_query(LO_IFINDEX, side, &id);

	if (rc || !id)
		return rc;
	*fd = bpf_prog_get_fd_by_id(id);
	return *fd < 0 ? -errno : 0;
}

static int keep_progs(struct engine *e)
{
	int rc = keep_prog(HOOK_OUT, &e->prog_out);

	if (!rc)
		rc = keep_prog(HOOK_IN, &e->prog_in);
	if (!rc && e->prog_out >= 0)
		rc = keep_maps(e, e->prog_out);
	if (!rc && e->prog_in >= 0)
		rc = keep_maps(e, e->prog_in);
	return rc;
}

static int unfinished(void)
{
	return engine_fail(-EINPROGRESS,
			   "the engine is being loaded or removed, or was left behind "
			   "by a process that was killed at that");
}

/*
 * No program was found. Is there still our qdisc on lo, which loading adds first and removing takes
 * away last?
 */
static int find_nothing(void)
{
	int rc = hook_has_chain() ? 0 : hook_qdisc_is_ours(LO_IFINDEX);

	if (rc)
		return rc < 0 ? engine_fail_errno(rc, "lo's qdisc") : unfinished();
	return engine_fail(-ENOENT, "no engine is loaded in this network namespace");
}

/*
 * Read the identity. It only grows at its end: another build's may be shorter or longer. Missing
 * members are 0.
 */
static int read_identity(struct engine *e)
{
	size_t size = sizeof(e->identity);
	struct bpf_map_info info = {};
	__u32 zero = 0, len = sizeof(info);
	void *value;
	int rc = 0;

	if (bpf_obj_get_info_by_fd(e->map[ENGINE_IDENTITY], &info, &len))
		return -errno;
	value = calloc(1, info.value_size);
	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(e->map[ENGINE_IDENTITY], &zero, value))
		rc = -errno;
	else
		memcpy(&e->identity, value, info.value_size < size ? info.value_size : size);
	free(value);
	return rc;
}

int engine_age(const struct engine *e)
{
	char version[sizeof(e->identity.version) + 1];

	if (e->identity.layout != DIVERT_LAYOUT)
		return e->identity.layout < DIVERT_LAYOUT ? -1 : 1;
	snprintf(version, sizeof(version), "%.32s", e->identity.version);
	return strverscmp(version, VERSION);
}

int engine_unfinish(struct engine *e)
{
	struct bpf_map_info info = {};
	__u32 zero = 0, len = sizeof(info);
	struct divert_identity *value;
	int rc = 0;

	if (bpf_obj_get_info_by_fd(e->map[ENGINE_IDENTITY], &info, &len))
		return -errno;
	value = calloc(1, info.value_size + sizeof(*value));
	if (!value)
		return -ENOMEM;
	if (!bpf_map_lookup_elem(e->map[ENGINE_IDENTITY], &zero, value))
		value->loaded = 0;
	else
		rc = -errno;
	if (!rc && bpf_map_update_elem(e->map[ENGINE_IDENTITY], &zero, value, BPF_ANY))
		rc = -errno;
	free(value);
	return rc;
}

static int other_layout(const struct engine *e)
{
	const char *what = engine_age(e) < 0 ? "older than this" : "newer than this",
		   *how = engine_age(e) < 0 ? "'divertctl upgrade' replaces it and keeps its rules"
					    : "use the programs of that version";

	return engine_fail(-EPROTO,
			   "the engine loaded here is of ipdivert %.32s (layout %u), %s, which is "
			   "%s (layout %u): %s",
			   e->identity.version, e->identity.layout, what, VERSION, DIVERT_LAYOUT,
			   how);
}

/* Both programs are attached to lo, and the maps belong to the programs. */
int engine_find(struct engine *e)
{
	int i, rc = keep_progs(e);

	if (rc == -EPERM || rc == -EACCES)
		return engine_fail_privilege();
	if (!rc && e->prog_out < 0 && e->prog_in < 0)
		return find_nothing();
	if (rc)
		return engine_fail_errno(rc, "the engine's maps");
	if (e->map[ENGINE_IDENTITY] < 0)
		return engine_fail(-EPROTO, "the filter on lo is no engine of ipdivert: "
					    "'divertctl unload' removes it");
	rc = read_identity(e);
	if (rc)
		return engine_fail_errno(rc, "the engine's identity");
	if (!e->identity.loaded || e->prog_out < 0 || e->prog_in < 0)
		return unfinished();
	if (e->identity.layout != DIVERT_LAYOUT)
		return other_layout(e);
	for (i = 0; i < ENGINE_MAPS; i++)
		if (e->map[i] < 0)
			return engine_fail(-EPROTO,
					   "the engine loaded here has no map %s: "
					   "'divertctl unload' removes it, with its rules",
					   map_name[i]);
	return 0;
}
