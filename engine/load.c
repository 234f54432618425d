// SPDX-License-Identifier: BSD-2-Clause
/* Load the kernel half, find it again, remove it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "divert.skel.h"
#include "engine.h"
#include "error.h"
#include "hook.h"
#include "sysctl.h"

#define LO_IFINDEX 1
#define NEEDS	   "needs root (CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON)"

static const char *const map_name[ENGINE_MAPS] = {
	[ENGINE_IDENTITY] = "identity",
	[ENGINE_SETTINGS] = "settings",
	[ENGINE_IFACES] = "ifaces",
	[ENGINE_RULES] = "rules",
	[ENGINE_RULE_COUNTERS] = "rule_counters",
	[ENGINE_PORTS] = "ports",
	[ENGINE_PORT_STATS] = "port_stats",
	[ENGINE_SOCKETS] = "sockets",
	[ENGINE_SOCKET_CONF] = "socket_conf",
	[ENGINE_ERRORS] = "errors",
};

/* libbpf's own words go nowhere: the library never prints. */
static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void clear(struct engine *e)
{
	memset(e, 0, sizeof(*e));
	memset(e->map, 0xff, sizeof(e->map));
	e->prog_in = e->prog_out = e->lock = -1;
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
	shut(&e->lock); /* last: it guards the rest */
}

/* ---- finding ---- */

static int keep_map(struct engine *e, int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int i;

	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		for (i = 0; i < ENGINE_MAPS; i++) {
			if (!strcmp(info.name, map_name[i]) && e->map[i] < 0) {
				e->map[i] = fd;
				return 0;
			}
		}
	}
	close(fd); /* .rodata */
	return 0;
}

static int keep_maps(struct engine *e, int prog_fd)
{
	__u32 ids[2 * ENGINE_MAPS] = {};
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
		keep_map(e, fd);
	}
	return 0;
}

static int keep_prog(uint32_t ifindex, enum hook_side side, int *fd)
{
	uint32_t id;
	int rc = hook_query(ifindex, side, &id);

	if (rc)
		return rc;
	if (!id)
		return -ENOENT;
	*fd = bpf_prog_get_fd_by_id(id);
	return *fd < 0 ? -errno : 0;
}

/* Both programs hang on lo, and the maps on them. */
static int find(struct engine *e)
{
	__u32 zero = 0;
	int i, rc;

	rc = keep_prog(LO_IFINDEX, HOOK_OUT, &e->prog_out);
	if (!rc)
		rc = keep_prog(LO_IFINDEX, HOOK_IN, &e->prog_in);
	if (rc == -ENOENT)
		return engine_fail(-ENOENT, "no engine is loaded in this network namespace");
	if (rc == -EPERM || rc == -EACCES)
		return engine_fail(-EPERM, NEEDS);
	if (!rc)
		rc = keep_maps(e, e->prog_out);
	if (!rc)
		rc = keep_maps(e, e->prog_in);
	if (rc)
		return engine_fail(rc, "the engine's maps: %s", strerror(-rc));
	for (i = 0; i < ENGINE_MAPS; i++)
		if (e->map[i] < 0)
			return engine_fail(-EPROTO,
					   "the filter on lo is no engine of this version: "
					   "'divertctl unload' removes it");
	if (bpf_map_lookup_elem(e->map[ENGINE_IDENTITY], &zero, &e->identity))
		return engine_fail(-errno, "the engine's identity: %s", strerror(errno));
	if (e->identity.layout != DIVERT_LAYOUT)
		return engine_fail(-EPROTO,
				   "the engine loaded here is of ipdivert %.32s, this is " VERSION
				   ": 'divertctl unload' removes it, with its rules",
				   e->identity.version);
	return 0;
}

/* ---- loading ---- */

/* bpf_fib_lookup() refuses flags that it does not know. */
static uint32_t fib_flags(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	return (major * 1000 + minor >= 6003 ? 4u : 0) | (major * 1000 + minor >= 6010 ? 32u : 0);
}

static int make_secrets(struct divert_bpf *skel, struct divert_identity *id)
{
	uint32_t random[3];

	do {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return engine_fail(-EIO, "no random numbers to be had");
	} while (!random[0] || !random[1]);
	skel->rodata->back_mark = id->mark = random[0];
	skel->rodata->entry_key[0] = random[1];
	skel->rodata->entry_key[1] = random[2];
	return 0;
}

/* A map is held by the programs that look into it; those that none does are bound to one. */
static int hold_maps(struct divert_bpf *skel)
{
	int prog = bpf_program__fd(skel->progs.divert_out);
	const struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (bpf_prog_bind_map(prog, bpf_map__fd(map), NULL) && errno != EEXIST)
			return engine_fail(-errno, "holding map %s: %s", bpf_map__name(map),
					   strerror(errno));
	}
	return 0;
}

static int keep_skeleton(struct engine *e, struct divert_bpf *skel)
{
	const struct bpf_map *map;
	int fd;

	bpf_object__for_each_map(map, skel->obj)
	{
		fd = dup(bpf_map__fd(map));
		if (fd < 0)
			return -errno;
		keep_map(e, fd);
	}
	e->prog_in = dup(bpf_program__fd(skel->progs.divert_in));
	e->prog_out = dup(bpf_program__fd(skel->progs.divert_out));
	return e->prog_in < 0 || e->prog_out < 0 ? -errno : 0;
}

static int load_failed(int rc)
{
	switch (rc) {
	case -EPERM:
		return engine_fail(-EPERM, NEEDS);
	case -ENOMEM:
		return engine_fail(-ENOMEM, "no memory for the engine");
	}
	return engine_fail(-EPROTONOSUPPORT,
			   "this kernel does not take the engine (%s): Linux 6.1 or later with BTF "
			   "and CONFIG_NET_CLS_BPF is needed",
			   strerror(-rc));
}

static int load_programs(struct engine *e)
{
	struct divert_bpf *skel = divert_bpf__open();
	uint32_t zero = 0;
	int rc;

	if (!skel)
		return load_failed(-errno);
	skel->rodata->fib_flags = fib_flags();
	rc = make_secrets(skel, &e->identity);
	if (rc)
		goto out;
	rc = divert_bpf__load(skel);
	if (rc) {
		rc = load_failed(rc);
		goto out;
	}
	rc = hold_maps(skel);
	if (!rc)
		rc = keep_skeleton(e, skel);
	if (rc)
		goto out;
	e->identity.layout = DIVERT_LAYOUT;
	e->identity.loaded = time(NULL);
	snprintf(e->identity.version, sizeof(e->identity.version), "%s", VERSION);
	rc = sysctl_set(e->identity.sysctl_was);
	if (rc)
		goto out;
	if (bpf_map_update_elem(e->map[ENGINE_IDENTITY], &zero, &e->identity, BPF_ANY)) {
		rc = engine_fail(-errno, "the engine's identity: %s", strerror(errno));
		sysctl_restore(e->identity.sysctl_was);
	}
out:
	divert_bpf__destroy(skel);
	return rc;
}

static int unhook(uint32_t ifindex, uint32_t flags)
{
	if (flags & DIVERT_IFACE_INGRESS)
		hook_detach(ifindex, HOOK_IN);
	if (flags & DIVERT_IFACE_EGRESS)
		hook_detach(ifindex, HOOK_OUT);
	return flags & DIVERT_IFACE_QDISC ? hook_qdisc_remove(ifindex) : 0;
}

static int load(struct engine *e)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	uint32_t lo = LO_IFINDEX, flags = 0;
	int rc = load_programs(e);

	libbpf_set_print(print);
	if (rc)
		return rc;
	rc = engine_attach(e, LO_IFINDEX, NULL, NULL);
	if (rc) {
		bpf_map_lookup_elem(e->map[ENGINE_IFACES], &lo, &flags);
		unhook(lo, flags);
		sysctl_restore(e->identity.sysctl_was);
		return rc;
	}
	/* an interface that cannot be hooked is for divertctl to tell of, not to stop the others */
	engine_attach(e, 0, NULL, NULL);
	return 0;
}

int engine_open(struct engine *e, unsigned int flags)
{
	int rc, lock = -1;

	clear(e);
	rc = find(e);
	if (rc && (rc != -ENOENT || !(flags & ENGINE_LOAD))) {
		engine_close(e);
		return rc;
	}
	if (!rc && !(flags & ENGINE_LOCK))
		return 0;
	/* wait for the lock, then look again: somebody may have come or gone meanwhile */
	engine_close(e);
	lock = sysctl_lock();
	if (lock == -EACCES || lock == -EPERM)
		return engine_fail(-EPERM, NEEDS);
	if (lock < 0)
		return lock;
	rc = find(e);
	if (rc == -ENOENT && flags & ENGINE_LOAD) {
		engine_close(e);
		rc = load(e);
	}
	if (rc) {
		engine_close(e);
		close(lock);
		return rc;
	}
	if (flags & ENGINE_LOCK)
		e->lock = lock;
	else
		close(lock);
	return 0;
}

/* ---- removing ---- */

int engine_unload(void)
{
	uint32_t key, next, flags, *from = NULL;
	struct engine e;
	int rc;

	clear(&e);
	rc = sysctl_lock();
	if (rc == -EACCES || rc == -EPERM)
		return engine_fail(-EPERM, NEEDS);
	if (rc < 0)
		return rc;
	e.lock = rc;
	rc = find(&e);
	if (rc == -EPROTO && e.map[ENGINE_IFACES] < 0) {
		/* nothing of it can be understood: its hooks on lo at least */
		unhook(LO_IFINDEX, DIVERT_IFACE_INGRESS | DIVERT_IFACE_EGRESS);
		goto out;
	}
	if (rc && rc != -EPROTO)
		goto out;
	rc = 0;
	while (!bpf_map_get_next_key(e.map[ENGINE_IFACES], from, &next)) {
		key = next;
		from = &key;
		if (key != LO_IFINDEX && !bpf_map_lookup_elem(e.map[ENGINE_IFACES], &key, &flags))
			unhook(key, flags);
	}
	/* lo last: as long as it has its hooks, the engine can be found */
	key = LO_IFINDEX;
	if (!bpf_map_lookup_elem(e.map[ENGINE_IFACES], &key, &flags))
		rc = unhook(key, flags);
	sysctl_restore(e.identity.sysctl_was);
	if (rc)
		engine_fail(rc, "lo: removing the hooks: %s", strerror(-rc));
out:
	engine_close(&e);
	return rc;
}
