// SPDX-License-Identifier: BSD-2-Clause
/*
 * Removes dead sockets. A socket dies without notice, and its slot keeps its ring: megabytes of
 * memory, with the unread packets. Each command frees that memory and counts the unread packets.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "down.h"
#include "error.h"
#include "flows.h"
#include "port.h"
#include "reinject.h"
#include "sysctl.h"

#define HEADER 8 /* of each record in a ring: length and flags, then the kernel's private part */

/* Emptying a slot makes the kernel wait 10 to 25 ms; many slots can wait at the same time. */
#define ALONE	     4	/* up to this many are emptied one after another */
#define HELPERS	     64 /* for more: processes that wait in parallel */
#define HELPER_STACK 16384u

#define LOCK_TRIES 50
#define LOCK_NS	   20000000

struct dead {
	uint32_t slot;
	uint32_t key;	/* of the port; 0: no port names the slot */
	uint32_t stats; /* the port's counters */
};

struct survey {
	struct dead dead[DIVERT_SOCKETS_MAX];
	uint32_t n, most;
	bool named[DIVERT_SOCKETS_MAX];	   /* slots that ports name */
	uint32_t slot[DIVERT_SOCKETS_MAX]; /* slots that are in use */
};

/* ---- finding dead sockets ---- */

static int look_at_slot(struct engine *e, struct survey *s, const struct dead *d)
{
	int alive = engine_slot_alive(e, d->slot);

	if (!alive && s->n < s->most)
		s->dead[s->n++] = *d;
	return alive < 0 ? alive : 0;
}

static int look_at_port(struct engine *e, struct survey *s, uint32_t key)
{
	struct divert_port port;
	int i, rc = 0;

	if (port_get(e, key, &port))
		return 0;
	for (i = 0; i < DIVERT_GROUP_MAX && !rc; i++) {
		const struct dead d = {.slot = port.slot[i], .key = key, .stats = port.stats};

		if (!(port.members & 1u << i) || d.slot >= DIVERT_SOCKETS_MAX)
			continue;
		s->named[d.slot] = true;
		rc = look_at_slot(e, s, &d);
	}
	return rc;
}

/*
 * A bind or a sweep that was killed midway leaves a socket's slot that no port names. Slots of rule
 * owners have no limit set, and stay: a rule may still name them.
 */
static int look_at_rest(struct engine *e, struct survey *s)
{
	const uint32_t n = port_slots(e, false, s->slot);
	uint32_t i;
	int rc = 0;

	for (i = 0; i < n && !rc; i++) {
		const struct dead d = {.slot = s->slot[i]};

		if (!s->named[d.slot])
			rc = look_at_slot(e, s, &d);
	}
	return rc;
}

/* most: the maximum to list. */
static int find_dead(struct engine *e, struct survey *s, uint32_t most)
{
	uint32_t key, *from = NULL;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->most = most;
	while (!rc && !bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		rc = look_at_port(e, s, key);
	}
	return rc ? rc : look_at_rest(e, s);
}

/* ---- unread packets ---- */

struct view {
	void *consumer;
	const char *producer; /* a page, then the data twice */
	size_t size, page;
};

static void close_view(struct view *v)
{
	if (v->consumer != MAP_FAILED)
		munmap(v->consumer, v->page);
	if (v->producer != MAP_FAILED)
		munmap((void *)v->producer, v->page + 2 * v->size);
}

static int open_view(uint32_t id, struct view *v)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id), rc = 0;

	*v = (struct view){MAP_FAILED, MAP_FAILED, 0, sysconf(_SC_PAGESIZE)};
	if (fd < 0)
		return -errno;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		v->size = info.max_entries;
		v->consumer = mmap(NULL, v->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		v->producer = mmap(NULL, v->page + 2 * v->size, PROT_READ, MAP_SHARED, fd, v->page);
	}
	if (v->consumer == MAP_FAILED || v->producer == MAP_FAILED) {
		rc = -errno;
		close_view(v);
	}
	close(fd);
	return rc;
}

/*
 * Count the unread records; no more packets can arrive. The reader may have written anything to its
 * page, so the result is limited to what a ring can hold.
 */
static uint32_t count_unread(const struct view *v)
{
	const unsigned long end = *(const unsigned long *)v->producer;
	unsigned long at = *read_place(v->consumer);
	const struct divert_record *record;
	uint32_t head, n = 0;

	if (end - at > v->size || at % 8)
		return 0;
	while ((long)(end - at) > 0) {
		record = (const void *)(v->producer + v->page + (at & (v->size - 1)) + HEADER);
		head = ((const uint32_t *)record)[-2];
		if (!(head & BPF_RINGBUF_DISCARD_BIT) && !(record->flags & DIVERT_REC_GIVE_BACK))
			n++;
		head &= ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		at += (head + HEADER + 7) & ~7ul;
	}
	return n;
}

/* Add to the counters through the kernel half, because it updates them concurrently. */
static int add_unread(struct engine *e, int *sock, uint32_t stats, uint32_t n)
{
	struct divert_frame frame;
	int rc;

	if (*sock < 0)
		*sock = reinject_open(e);
	if (*sock < 0)
		return *sock;
	rc = reinject_bind(e, *sock, 0, 0, stats);
	reinject_frame(&frame, ETH_P_IP);
	frame.reinject.flags |= DIVERT_REINJECT_COUNT;
	frame.reinject.ifindex = DIVERT_N_UNREAD;
	frame.reinject.mark = n;
	if (!rc && send(*sock, &frame, sizeof(frame), 0) < 0)
		rc = -errno;
	return rc;
}

/*
 * Count the unread packets, then mark the ring as read: a process that is killed before the slot is
 * emptied does not make them count twice.
 */
static int tell_unread(struct engine *e, const struct dead *d, int *sock)
{
	struct view v;
	uint32_t id, n;
	int rc;

	if (bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &d->slot, &id))
		return errno == ENOENT ? 0 : -errno;
	rc = open_view(id, &v);
	if (rc)
		return rc;
	n = count_unread(&v);
	if (n)
		rc = add_unread(e, sock, d->stats, n);
	if (!rc)
		*read_place(v.consumer) = *(const unsigned long *)v.producer;
	close_view(&v);
	return rc;
}

/* ---- their memory ---- */

struct removal {
	int sockets, conf;
	const struct dead *dead;
	uint32_t n, next;
};

static int remove_slots(void *arg)
{
	const struct divert_socket none = {};
	struct removal *r = arg;
	uint32_t i;

	while ((i = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED)) < r->n) {
		bpf_map_delete_elem(r->sockets, &r->dead[i].slot);
		bpf_map_update_elem(r->conf, &r->dead[i].slot, &none, BPF_ANY);
	}
	return 0;
}

/*
 * Empty the slots in parallel. Not by threads, for the reasons given at pin() in bulk.c; nor by
 * fork(3), because the helpers share this memory. Signals are blocked so that no helper runs a
 * handler of the program's.
 */
static void remove_together(struct removal *r)
{
	char *stack = mmap(NULL, HELPERS * HELPER_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid[HELPERS];
	sigset_t all, was;
	uint32_t i;

	if (stack == MAP_FAILED)
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &was);
	for (i = 0; i < HELPERS && i < r->n; i++)
		pid[i] = clone(remove_slots, stack + (i + 1) * HELPER_STACK, CLONE_VM | CLONE_FILES,
			       r);
	while (i--)
		while (pid[i] > 0 && waitpid(pid[i], NULL, __WALL) < 0 && errno == EINTR)
			;
	sigprocmask(SIG_SETMASK, &was, NULL);
	munmap(stack, HELPERS * HELPER_STACK);
}

static void remove_all(struct engine *e, const struct dead *dead, uint32_t n)
{
	struct removal r = {.sockets = e->map[ENGINE_SOCKETS],
			    .conf = e->map[ENGINE_SOCKET_CONF],
			    .dead = dead,
			    .n = n};

	if (n > ALONE)
		remove_together(&r);
	remove_slots(&r); /* those that are left */
}

/* ---- all of it ---- */

static int unbind(struct engine *e, const struct dead *d)
{
	struct divert_port port;
	int i;

	if (!d->key || port_get(e, d->key, &port))
		return 0;
	for (i = 0; i < DIVERT_GROUP_MAX; i++)
		if (port.members & 1u << i && port.slot[i] == d->slot)
			port.members &= ~(1u << i);
	return port_put(e, d->key, &port);
}

/*
 * Reading a ring holds it, and a held ring counts as a live listener's. So first remove it from its
 * port, and wait until no packet is on its way to it.
 */
static int bury(struct engine *e, const struct dead *dead, uint32_t n)
{
	int rc = 0, settled, sock = -1, map = port_settle_begin(e);
	uint32_t i;

	if (map < 0)
		return map;
	for (i = 0; i < n && !rc; i++)
		rc = unbind(e, &dead[i]);
	settled = port_settle(e, map);
	close(map);
	if (rc || settled)
		return rc ? rc : settled;
	for (i = 0; i < n && !rc; i++)
		rc = tell_unread(e, &dead[i], &sock);
	if (sock >= 0)
		close(sock);
	if (rc)
		return engine_fail_errno(rc, "counting what a socket has not read");
	remove_all(e, dead, n);
	return 0;
}

int port_bury(struct engine *e, uint32_t key, uint32_t slot)
{
	struct dead d = {.slot = slot, .key = key};
	struct divert_port port;

	if (!port_get(e, key, &port))
		d.stats = port.stats;
	return bury(e, &d, 1);
}

int port_sweep(struct engine *e)
{
	struct survey *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return engine_fail(-ENOMEM, "no memory for the list of sockets");
	rc = find_dead(e, s, DIVERT_SOCKETS_MAX);
	if (!rc && s->n)
		rc = bury(e, s->dead, s->n);
	if (!rc && !port_slots(e, false, s->slot))
		flows_end(e, FLOWS_RELEASED);
	rc = rc < 0 ? rc : (int)s->n;
	free(s);
	return rc;
}

static bool any_dead(struct engine *e)
{
	struct survey *s = malloc(sizeof(*s));
	bool any = s && !find_dead(e, s, 1) && s->n;

	free(s);
	return any;
}

/*
 * Try for a limited time: a command that only reads shall not wait for a process that holds the
 * lock for long.
 */
static int try_lock(void)
{
	const struct timespec moment = {.tv_nsec = LOCK_NS};
	int i, fd = -EAGAIN;

	for (i = 0; i < LOCK_TRIES && fd == -EAGAIN; i++) {
		if (i)
			nanosleep(&moment, NULL);
		fd = sysctl_try_lock();
	}
	return fd;
}

void engine_sweep(struct engine *e)
{
	int lock;

	if (e->lock >= 0) {
		port_sweep(e);
		return;
	}
	if (!any_dead(e))
		return;
	lock = try_lock();
	if (lock < 0)
		return;
	port_sweep(e);
	close(lock);
}
