// SPDX-License-Identifier: BSD-2-Clause
/* Create, bind, duplicate and close divert sockets. */
#include "lib/core/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "divert-interposer.h"
#include "divert.h"
#include "engine/engine.h"
#include "engine/reinject.h"
#include "error.h"
#include "forks.h"
#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/core/flow.h"
#include "lib/core/kernel.h"
#include "lib/core/wait.h"
#include "lib/inject/bulk.h"
#include "lib/inject/coalesce.h"
#include "loans.h"
#include "next_packet.h"
#include "rule_owner.h"

#define RING_DEFAULT   (8u << 20) /* bytes */
#define SNDBUF_DEFAULT 65636	  /* bytes: fits any packet; FreeBSD's value */
#define SCRATCH	       (64u << 10)

/*
 * Freed sockets are kept in a pool: a late thread finds a socket without references, never memory
 * of something else.
 */
static struct dsock *pool;

/* Lock-free, so that neither fork() nor a signal handler finds a lock held. */
static void put_into_pool(struct dsock *first)
{
	struct dsock *last = first;

	while (last->next_free)
		last = last->next_free;
	last->next_free = __atomic_load_n(&pool, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&pool, &last->next_free, first, 0, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

/*
 * Take the whole pool for a moment: a pop of its first could meet the same one with another next.
 */
static struct dsock *take_from_pool(void)
{
	struct dsock *s = __atomic_exchange_n(&pool, NULL, __ATOMIC_ACQUIRE);

	if (s && s->next_free)
		put_into_pool(s->next_free);
	return s;
}

/* ---- lifetime ---- */

static struct shared *shared_new(void)
{
	struct shared *sh =
		mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;

	if (sh == MAP_FAILED)
		return NULL;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&sh->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	sh->sndbuf = SNDBUF_DEFAULT;
	sh->busy_poll = BUSYPOLL_DEFAULT;
	sh->on = SOCKET_REASSEMBLE;
	sh->conf.flags = DIVERT_SOCK_REASSEMBLE;
	return sh;
}

static void release(struct dsock *s)
{
	biased_lock_flush(s);
	ring_unmap(&s->ring);
	pktcache_free(&s->pktcache);
	metacache_free(&s->metacache);
	loans_free(s);
	next_packet_free(s);
	coalesce_free(s);
	fdtable_close_inner(&s->reinject);
	fdtable_close_inner(&s->reinject_gso);
	fdtable_close_inner(&s->errors);
	fdtable_close_inner(&s->shut);
	free(s->scratch);
	s->scratch = NULL;
	if (s->shared)
		munmap(s->shared, sizeof(*s->shared));
	s->shared = NULL;
	if (fdtable_next(0) < 0)
		bulk_end();
	s->next_free = NULL;
	put_into_pool(s);
}

static struct dsock *socket_new(int domain)
{
	struct dsock *s = take_from_pool();

	if (!s)
		s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	flow_begin();
	s->release = release;
	/* users and release stay: a late thread may be dropping its reference */
	memset((char *)s + offsetof(struct dsock, next_free), 0,
	       sizeof(*s) - offsetof(struct dsock, next_free));
	__atomic_add_fetch(&s->users, 1, __ATOMIC_ACQ_REL);
	s->domain = domain;
	s->reinject = s->reinject_gso = s->errors = s->shut = -1;
	s->shared = shared_new();
	if (s->shared)
		s->metacache.reads = &s->shared->reads;
	s->scratch = malloc(SCRATCH);
	return s;
}

/* ---- calls ---- */

/* Enter fd into the descriptor table as a reference to the socket. */
static int enter(int fd, struct dsock *s)
{
	struct dsock *was;
	int rc = fdtable_set(fd, s, &was);

	if (!rc && was)
		socket_put(was);
	return rc;
}

/* Consumes fd, which may be -errno. */
static int take_inner(int fd, int *inner)
{
	fd = fd < 0 ? fd : fdtable_take_inner(fd);
	if (fd < 0)
		return fd;
	fdtable_close_inner(inner);
	*inner = fd;
	return 0;
}

/* Open the sending half, and the map that tells why a frame was refused. */
static int open_reinject(struct dsock *s, const struct engine *e)
{
	int rc = take_inner(reinject_open(e), &s->reinject), copy;

	if (!rc)
		rc = take_inner(reinject_open_large(e), &s->reinject_gso);
	if (rc)
		return rc;
	copy = fcntl(e->map[ENGINE_ERRORS], F_DUPFD_CLOEXEC, 0);
	rc = take_inner(copy < 0 ? -errno : copy, &s->errors);
	if (rc)
		return rc;
	s->engine_id = e->identity.id;
	return socket_send_timeout(s);
}

/* Created early, so that all processes that will share the socket have it. */
static int open_shut(struct dsock *s)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	s->shut = fd < 0 ? -errno : fdtable_take_inner(fd);
	return s->shut < 0 ? s->shut : 0;
}

static int set_flags(int fd, int flags)
{
	if (flags & SOCK_NONBLOCK && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -errno;
	/* BPF maps are close-on-exec when created, but programs rely on sockets not to be */
	if (!(flags & SOCK_CLOEXEC) && fcntl(fd, F_SETFD, 0))
		return -errno;
	return 0;
}

/* Programs rely on the lowest free number, which was in use a moment ago. Consumes fd. */
static int lowest(int fd)
{
	int low = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (low < 0)
		return fd;
	syscall(SYS_close, low < fd ? fd : low);
	return low < fd ? low : fd;
}

/* Create all parts of a socket: the ring, the sending half, and the eventfd that wakes readers. */
static int furnish(struct dsock *s, const struct engine *e, int *fd)
{
	int rc = s->shared && s->scratch ? 0 : -ENOMEM;

	if (!rc)
		rc = *fd = ring_create(RING_DEFAULT);
	if (rc >= 0)
		rc = ring_map(&s->ring, *fd);
	if (!rc)
		s->shared->conf.limit = s->ring.size;
	if (!rc)
		rc = open_reinject(s, e);
	if (!rc)
		rc = open_shut(s);
	return rc;
}

int divert_socket(int domain, int flags)
{
	struct engine e;
	struct dsock *s;
	int fd = -1, rc;

	if (domain != AF_INET && domain != AF_INET6)
		return refuse(EAFNOSUPPORT,
			      "address family %d: a divert socket has AF_INET or AF_INET6", domain);
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return refuse(EINVAL, "flags %#x: there are SOCK_NONBLOCK and SOCK_CLOEXEC", flags);
	forks_watch();
	rc = engine_open(&e, ENGINE_LOAD | ENGINE_SOCKET);
	if (rc)
		return refuse_engine(-rc);
	s = socket_new(domain);
	if (!s) {
		engine_close(&e);
		return refuse_errno(ENOMEM, "a divert socket");
	}
	rc = furnish(s, &e, &fd);
	if (!rc)
		bulk_begin(&e, s);
	engine_close(&e);
	if (!rc) {
		fd = lowest(fd);
		rc = set_flags(fd, flags);
	}
	if (!rc)
		rc = enter(fd, s);
	if (rc) {
		socket_put(s);
		if (fd >= 0)
			syscall(SYS_close, fd);
		return refuse_errno(-rc, "a divert socket");
	}
	return fd;
}

/* 0, or -1 and errno. */
static int port_of(const struct dsock *s, const struct sockaddr *addr, socklen_t len, uint32_t *key)
{
	const struct sockaddr_in6 *in6 = (const void *)addr;
	const struct sockaddr_in *in = (const void *)addr;
	socklen_t wanted;

	if (!addr || len < sizeof(addr->sa_family))
		return refuse(!addr && len ? EFAULT : EINVAL, "bind: no address");
	/* either family will do, since the address itself means nothing */
	if (addr->sa_family == AF_INET || (addr->sa_family == AF_INET6 && s->domain == AF_INET6)) {
		wanted = addr->sa_family == AF_INET ? sizeof(*in) : sizeof(*in6);
		if (len != wanted)
			return refuse(EINVAL,
				      "bind: an address of %u bytes, of family %d it has %u", len,
				      addr->sa_family, wanted);
		*key = ntohs(addr->sa_family == AF_INET ? in->sin_port : in6->sin6_port);
	} else {
		return refuse(EAFNOSUPPORT, "bind: address family %d, the socket's is %d",
			      addr->sa_family, s->domain);
	}
	if (!*key)
		return refuse(EINVAL,
			      "port 0: a divert port is a number from 1 to 65535 (sin_port, in "
			      "network byte order)");
	if (s->domain == AF_INET6)
		*key |= DIVERT_KEY_V6;
	return 0;
}

/* The port keeps the last setting, made by this socket or an earlier one. */
static int bind_bypass(struct dsock *s, struct engine *e)
{
	struct shared *sh = s->shared;
	struct divert_port port;

	if (sh->on & SOCKET_BYPASS_SAID)
		return socket_set(s, DIVERT_SET_BYPASS, !!(sh->on & SOCKET_BYPASS));
	if (bpf_map_lookup_elem(e->map[ENGINE_PORTS], &sh->key, &port))
		return -errno;
	sh->on &= ~SOCKET_BYPASS;
	if (port.flags & DIVERT_PORT_BYPASS)
		sh->on |= SOCKET_BYPASS;
	return 0;
}

/* Is the socket bound in an engine that still exists? */
static bool is_bound(const struct dsock *s)
{
	return s->shared->bound && !ring_is_down(&s->ring);
}

/* The ring is bound in a new engine, after the old one was removed. */
static void begin_again(struct dsock *s)
{
	s->shared->down = false;
	ring_set_up(&s->ring);
	loans_settle(s);
}

/* 0, or -1 and errno. */
static int bind_port(struct dsock *s, int fd, uint32_t key)
{
	struct shared *sh = s->shared;
	struct engine e;
	uint32_t slot, stats;
	int rc = engine_open(&e, ENGINE_LOAD | ENGINE_LOCK | ENGINE_SOCKET);

	if (rc)
		return refuse_engine(-rc);
	if (s->engine_id != e.identity.id) /* the engine was unloaded and loaded since socket() */
		rc = open_reinject(s, &e);
	if (!rc)
		bulk_begin(&e, s);
	/* a copy, because opening and closing another packet socket takes 10 ms */
	e.asker = fcntl(s->reinject, F_DUPFD_CLOEXEC, 0);
	if (rc) {
		engine_close(&e);
		return refuse_errno(-rc, "bind");
	}
	if (sh->down)
		ring_restart(&s->ring);
	rc = engine_port_bind(&e, key, fd, sh->on & SOCKET_REUSEPORT, &sh->conf, &slot, &stats);
	if (rc) {
		if (sh->down)
			ring_end(&s->ring);
		engine_close(&e);
		return refuse_engine(-rc);
	}
	if (is_bound(s))
		engine_port_leave(&e, sh->key, sh->slot);
	else
		begin_again(s);
	rc = reinject_bind(&e, s->reinject, key, slot, stats);
	if (!rc)
		rc = reinject_bind(&e, s->reinject_gso, key, slot, stats);
	s->stats = stats;
	sh->key = key;
	sh->slot = slot;
	sh->engine_id = s->engine_id;
	sh->bound = true;
	if (!rc)
		rc = bind_bypass(s, &e);
	/* hook the interfaces that have appeared since the engine was loaded */
	engine_attach_ahead(&e, NULL, NULL, NULL);
	engine_close(&e);
	return rc ? refuse_errno(-rc, "bind: the socket that reinjects") : 0;
}

int divert_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct dsock *s = socket_get(fd);
	uint32_t key;
	bool locked;
	int rc, saved;

	if (!s)
		return refuse(ENOTSOCK, "descriptor %d is no divert socket", fd);
	rc = port_of(s, addr, len, &key);
	locked = socket_lock(s);
	if (!rc && !(is_bound(s) && s->shared->key == key))
		rc = bind_port(s, fd, key);
	saved = errno;
	socket_unlock(s, locked);
	socket_put(s);
	errno = saved;
	return rc;
}

int divert_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct dsock *s = socket_get(fd);
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} name = {};
	socklen_t size;

	if (!s)
		return -1;
	if (s->domain == AF_INET) {
		name.in.sin_family = AF_INET;
		name.in.sin_port = s->shared->bound ? htons(s->shared->key & 0xffff) : 0;
		size = sizeof(name.in);
	} else {
		name.in6.sin6_family = AF_INET6;
		name.in6.sin6_port = s->shared->bound ? htons(s->shared->key & 0xffff) : 0;
		size = sizeof(name.in6);
	}
	socket_put(s);
	if (!addr || !len)
		return fail(EFAULT);
	if (*len > INT_MAX)
		return fail(EINVAL);
	memcpy(addr, &name, *len < size ? *len : size);
	*len = size;
	return 0;
}

int divert_dup(int oldfd, int newfd)
{
	struct dsock *s = socket_get(oldfd);
	int rc;

	if (!s)
		return -1;
	rc = enter(newfd, s);
	if (rc) {
		socket_put(s);
		return fail(-rc);
	}
	return 0; /* the reference from socket_get() is now the new descriptor's */
}

int divert_writer(int fd)
{
	struct dsock *s = socket_get(fd);
	bool locked;
	int reinject;

	if (!s)
		return -1;
	locked = socket_lock(s);
	s->watched = true;
	ring_wakeups_on(&s->ring);
	socket_unlock(s, locked);
	reinject = s->reinject;
	socket_put(s);
	return reinject;
}

int divert_close(int fd)
{
	struct dsock *s = fdtable_clear(fd);
	int rc;

	if (!s)
		return fail(ENOTSOCK);
	wait_closed(s, fd);
	biased_lock_flush(s);
	rc = syscall(SYS_close, fd);
	socket_put(s);
	return rc;
}

/* Wake all sleepers and make the descriptor readable for good, like that of a socket at its end. */
static int shut_read(struct dsock *s)
{
	const uint64_t one = 1;
	bool locked = socket_lock(s);

	s->shared->shut_read = true;
	if (s->shared->bound) /* sleepers in poll(2) and the like: only the kernel can wake them */
		socket_set(s, DIVERT_SET_WAKE, 0);
	ring_end(&s->ring);
	socket_unlock(s, locked);
	/* EAGAIN: already readable */
	return syscall(SYS_write, s->shut, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

int divert_shutdown(int fd, int how)
{
	struct dsock *s = socket_get(fd);
	int rc = 0;

	if (!s)
		return -1;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
		socket_put(s);
		return fail(EINVAL);
	}
	if (how != SHUT_WR)
		rc = shut_read(s);
	if (how != SHUT_RD)
		s->shared->shut_write = true;
	socket_put(s);
	return rc ? fail(-rc) : 0;
}

/* Send the waiting packets before the process ends. */
__attribute__((destructor)) static void flush(void)
{
	divert_flush();
}

void divert_flush(void)
{
	int fd;

	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1))
		biased_lock_flush(fdtable_get(fd));
}

void divert_rest(void)
{
	coalesce_rest();
}

void divert_at_once(void)
{
	coalesce_never();
	bulk_never();
	divert_flush();
}

/* The program is about to use this number itself: move the inner descriptor to another one. */
int divert_move_inner(int fd)
{
	struct dsock *s;
	int copy, i;

	if (!fdtable_is_inner(fd))
		return 0;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -1;
	copy = fdtable_take_inner(copy);
	if (copy < 0)
		return fail(-copy);
	for (i = fdtable_next(0); i >= 0; i = fdtable_next(i + 1)) {
		s = fdtable_get(i);
		if (s && s->reinject == fd)
			s->reinject = copy;
		if (s)
			coalesce_move(s, fd, copy);
		if (s && s->reinject_gso == fd)
			s->reinject_gso = copy;
		if (s && s->errors == fd)
			s->errors = copy;
		if (s && s->shut == fd)
			s->shut = copy;
	}
	wait_moved(fd, copy);
	rule_owner_moved(fd, copy);
	bulk_moved(fd, copy);
	fdtable_close_inner(&fd);
	return 0;
}
