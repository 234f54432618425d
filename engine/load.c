// SPDX-License-Identifier: BSD-2-Clause
/* Loads the kernel half, opens and removes it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "divert.skel.h"
#include "error.h"
#include "hook.h"
#include "load.h"
#include "port.h"
#include "sysctl.h"

#define BTF_FILE "/sys/kernel/btf/vmlinux"

#ifndef SO_NETNS_COOKIE /* musl lacks it */
#define SO_NETNS_COOKIE 71
#endif

int engine_silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* ---- loading ---- */

/* bpf_fib_lookup() refuses flags that the kernel does not know. */
static uint32_t fib_flags(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	return major * 1000 + minor >= 6010 ? 32u : 0;
}

/*
 * The cookie of this network namespace, which is never reused; 0: unsupported, which no kernel with
 * TCX is.
 */
static uint64_t net_cookie(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		cookie = 0;
	if (fd >= 0)
		close(fd);
	return cookie;
}

static int make_secrets(struct divert_identity *id)
{
	uint32_t random[3];

	do {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return engine_fail(-EIO, "no random numbers to be had");
	} while (!random[0] || !random[1]);
	if (!id->id)
		id->id = random[0];
	if (!id->entry_key[0]) {
		id->entry_key[0] = random[1];
		id->entry_key[1] = random[2];
	}
	return 0;
}

static int reuse_maps(struct divert_bpf *skel, const struct engine *old)
{
	struct bpf_map *map;
	int i, rc;

	bpf_object__for_each_map(map, skel->obj)
	{
		i = engine_map_of(bpf_map__name(map));
		rc = i < 0 ? 0 : bpf_map__reuse_fd(map, old->map[i]);
		if (rc)
			return engine_fail_errno(rc, "taking over map %s", bpf_map__name(map));
	}
	return 0;
}

/*
 * A map lives as long as a program that uses it. Maps that neither program uses are bound to one.
 */
static int hold_maps(struct divert_bpf *skel)
{
	int prog = bpf_program__fd(skel->progs.divert_out);
	const struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (bpf_prog_bind_map(prog, bpf_map__fd(map), NULL) && errno != EEXIST)
			return engine_fail_errno(-errno, "holding map %s", bpf_map__name(map));
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
			return engine_fail_errno(-errno, "loading the engine");
		engine_keep_map(e, fd);
	}
	e->prog_in = dup(bpf_program__fd(skel->progs.divert_in));
	e->prog_out = dup(bpf_program__fd(skel->progs.divert_out));
	return e->prog_in < 0 || e->prog_out < 0 ? engine_fail_errno(-errno, "loading the engine")
						 : 0;
}

/*
 * Are there enough descriptors for loading? libbpf takes a lack of them for a missing kernel
 * feature.
 */
static int try_files(void)
{
	int fd[2 * ENGINE_MAPS + 8], n = 0, rc = 0;

	while (!rc && n < (int)(sizeof(fd) / sizeof(*fd))) {
		fd[n] = eventfd(0, EFD_CLOEXEC);
		if (fd[n] < 0)
			rc = -errno;
		else
			n++;
	}
	while (n)
		close(fd[--n]);
	return rc;
}

static int load_failed(int rc)
{
	const int files = try_files();

	if (rc == -EPERM)
		return engine_fail_privilege();
	if (rc == -ENOSYS)
		return engine_fail(-EPROTONOSUPPORT,
				   "this kernel lacks CONFIG_BPF_SYSCALL: take another kernel");
	if (files)
		rc = files;
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
		return engine_fail_errno(rc, "loading the engine");
	if (access(BTF_FILE, R_OK))
		return engine_fail(-EPROTONOSUPPORT,
				   "%s: %s: the engine needs this kernel's types (BTF): a kernel "
				   "with CONFIG_DEBUG_INFO_BTF=y, and /sys mounted",
				   BTF_FILE, strerror(errno));
	return engine_fail(-EPROTONOSUPPORT,
			   "this kernel does not take the engine (%s): Linux 6.1 or later with BTF "
			   "and CONFIG_NET_CLS_BPF is needed",
			   strerror(-rc));
}

/* Set constants and map sizes before the programs are loaded. */
static int prepare(struct divert_bpf *skel, struct engine *e, const struct engine *old)
{
	int rc;

	if (old)
		e->identity = old->identity;
	rc = make_secrets(&e->identity);
	if (rc)
		return rc;
	skel->rodata->entry_key[0] = e->identity.entry_key[0];
	skel->rodata->entry_key[1] = e->identity.entry_key[1];
	skel->rodata->fib_flags = fib_flags();
	e->identity.chain = hook_has_chain();
	if (e->identity.chain) {
		skel->rodata->chain_net = net_cookie();
		if (!skel->rodata->chain_net)
			return engine_fail(-EPROTONOSUPPORT,
					   "this kernel tells no cookie of its network namespace");
	}
	rc = bpf_map__set_max_entries(skel->maps.batches, libbpf_num_possible_cpus());
	if (rc)
		return engine_fail_errno(rc, "the number of CPUs");
	return old && old->identity.layout == DIVERT_LAYOUT ? reuse_maps(skel, old) : 0;
}

int engine_load_programs(struct engine *e, const struct engine *old)
{
	libbpf_print_fn_t print = libbpf_set_print(engine_silent);
	struct divert_bpf *skel = divert_bpf__open();
	int rc;

	if (!skel) {
		rc = load_failed(-errno);
		goto out;
	}
	rc = prepare(skel, e, old);
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
	e->identity.layout = DIVERT_LAYOUT;
	e->identity.loaded = time(NULL);
	snprintf(e->identity.version, sizeof(e->identity.version), "%s", VERSION);
out:
	divert_bpf__destroy(skel);
	libbpf_set_print(print);
	return rc;
}

int engine_write_identity(struct engine *e)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(e->map[ENGINE_IDENTITY], &zero, &e->identity, BPF_ANY))
		return engine_fail_errno(-errno, "the engine's identity");
	return 0;
}

/*
 * Load in steps; the process may be killed after each one. The next command then finds the first
 * hook, and an identity that contains the previous settings and says that loading is incomplete,
 * and undoes it.
 */
static int load_in_steps(struct engine *e)
{
	const uint64_t now = e->identity.loaded;
	int rc = sysctl_look(e->identity.sysctl_was);

	if (rc)
		return rc;
	e->identity.loaded = 0;
	rc = engine_write_identity(e);
	if (!rc)
		rc = engine_attach_first(e);
	if (!rc)
		rc = sysctl_set(e->identity.sysctl_was);
	if (!rc)
		rc = engine_attach(e, LO_IFINDEX, NULL, NULL);
	if (rc)
		return rc;
	/* divertctl reports an interface that cannot be hooked; the others are still hooked */
	rc = engine_attach(e, 0, NULL, NULL);
	if (rc == -ENOMEM)
		return rc;
	e->identity.loaded = now;
	return engine_write_identity(e);
}

static int load(struct engine *e)
{
	int rc = engine_load_programs(e, NULL);
	char why[ENGINE_ERROR_MAX];

	if (rc)
		return rc;
	rc = load_in_steps(e);
	if (!rc)
		return 0;
	snprintf(why, sizeof(why), "%s", engine_error());
	engine_detach(e);
	if (rc == -ENOENT) /* the kernel lacks the qdisc or the filter */
		rc = -EPROTONOSUPPORT;
	return engine_fail(rc, "%s", why);
}

/*
 * Remove what a killed process left while it loaded or removed the engine. -ENOENT: there is none
 * now.
 */
static int undo(struct engine *e)
{
	int rc = engine_detach(e);

	engine_close(e);
	engine_clear(e);
	return rc ? rc : engine_find(e);
}

int engine_find_or_undo(struct engine *e)
{
	int rc = engine_find(e);

	return rc == -EINPROGRESS ? undo(e) : rc;
}

int engine_open(struct engine *e, unsigned int flags)
{
	int rc, lock = -1;

	engine_clear(e);
	rc = engine_find(e);
	if (rc && rc != -EINPROGRESS && (rc != -ENOENT || !(flags & ENGINE_LOAD))) {
		engine_close(e);
		return rc;
	}
	if (!rc && !(flags & ENGINE_LOCK)) {
		/*
		 * a process that may not load it gets no socket of a loaded one either: bind(2)
		 * would refuse it
		 */
		rc = flags & ENGINE_LOAD ? sysctl_may_lock() : 0;
		if (rc)
			engine_close(e);
		else if (!(flags & ENGINE_SOCKET))
			engine_sweep(e);
		return rc;
	}
	/*
	 * wait for the lock, then look again: the engine may have been loaded or removed meanwhile
	 */
	engine_close(e);
	engine_clear(e);
	lock = sysctl_lock();
	if (lock < 0)
		return lock;
	rc = engine_find_or_undo(e);
	if (rc == -ENOENT && flags & ENGINE_LOAD) {
		engine_close(e);
		engine_clear(e);
		rc = load(e);
	}
	if (rc) {
		engine_close(e);
		close(lock);
		return rc;
	}
	e->lock = lock;
	if (!(flags & ENGINE_SOCKET))
		engine_sweep(e);
	if (!(flags & ENGINE_LOCK)) {
		close(lock);
		e->lock = -1;
	}
	return 0;
}

/* ---- removing ---- */

int engine_unload(void)
{
	struct engine e;
	int rc;

	engine_clear(&e);
	rc = sysctl_lock();
	if (rc < 0)
		return rc;
	e.lock = rc;
	rc = engine_find(&e);
	if (rc == -ENOENT) {
		/* an interface may still have brought a program from another namespace */
		engine_detach(&e);
		goto out;
	}
	if (rc && rc != -EPROTO && rc != -EINPROGRESS)
		goto out;
	if (rc != -EINPROGRESS && e.map[ENGINE_IDENTITY] >= 0) {
		rc = engine_unfinish(&e);
		if (rc) {
			engine_fail_errno(rc, "the engine's identity");
			goto out;
		}
	}
	rc = engine_detach(&e);
out:
	engine_close(&e);
	return rc;
}
