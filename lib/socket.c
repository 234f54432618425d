// SPDX-License-Identifier: BSD-2-Clause
/* Making, binding, copying and closing divert sockets. */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bias.h"
#include "defer.h"
#include "divert.h"
#include "engine/back.h"
#include "engine/engine.h"
#include "error.h"
#include "forks.h"
#include "loans.h"
#include "owner.h"
#include "single.h"
#include "table.h"
#include "train.h"
#include "wait.h"
#include "whole.h"

#define RING_DEFAULT   (8u << 20) /* bytes */
#define SNDBUF_DEFAULT 65636	  /* bytes: any packet; FreeBSD's figure */
#define SCRATCH	       (64u << 10)

/*
 * Freed sockets are kept for the next ones: a thread that comes late finds a
 * socket with no users, never memory of something else.
 */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct dsock *pool;

int fail(int error)
{
	errno = error;
	return -1;
}

/* ---- life ---- */

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
	sh->busy_poll = SPIN_DEFAULT;
	sh->on = SOCKET_REASSEMBLE;
	sh->conf.flags = DIVERT_SOCK_REASSEMBLE;
	return sh;
}

static void release(struct dsock *s)
{
	bias_flush(s);
	ring_unmap(&s->ring);
	recall_free(&s->recall);
	loans_free(s);
	whole_free(s);
	defer_free(s);
	table_close_inner(&s->back);
	table_close_inner(&s->back_gso);
	table_close_inner(&s->errors);
	table_close_inner(&s->shut);
	free(s->scratch);
	s->scratch = NULL;
	if (s->shared)
		munmap(s->shared, sizeof(*s->shared));
	s->shared = NULL;
	if (table_next(0) < 0)
		train_end();
	pthread_mutex_lock(&pool_lock);
	s->next_free = pool;
	pool = s;
	pthread_mutex_unlock(&pool_lock);
}

/* Counting costs as much as a small packet's copy where a processor has to be asked for the line. */
static uint32_t count_users(struct dsock *s, uint32_t by)
{
	if (is_single_threaded())
		return s->users += by;
	return __atomic_add_fetch(&s->users, by, __ATOMIC_ACQ_REL);
}

static struct dsock *socket_new(int domain)
{
	struct dsock *s;

	pthread_mutex_lock(&pool_lock);
	s = pool;
	if (s)
		pool = s->next_free;
	pthread_mutex_unlock(&pool_lock);
	if (!s)
		s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	/* users stays: a late thread may be counting itself out */
	memset((char *)s + sizeof(s->users), 0, sizeof(*s) - sizeof(s->users));
	count_users(s, 1);
	s->domain = domain;
	s->back = s->back_gso = s->errors = s->shut = -1;
	s->shared = shared_new();
	s->scratch = malloc(SCRATCH);
	return s;
}

struct dsock *socket_get(int fd)
{
	struct dsock *s = table_get(fd);

	if (s) {
		count_users(s, 1);
		if (is_single_threaded() || table_get(fd) == s)
			return s;
		socket_put(s);
	}
	errno = ENOTSOCK;
	return NULL;
}

void socket_put(struct dsock *s)
{
	if (!count_users(s, -1u))
		release(s);
}

/* ---- calls ---- */

/* Remember that fd is this socket, which has one use more for it. */
static int enter(int fd, struct dsock *s)
{
	struct dsock *was;
	int rc = table_set(fd, s, &was);

	if (!rc && was)
		socket_put(was);
	return rc;
}

/* Takes fd, also a -errno. */
static int take_inner(int fd, int *inner)
{
	fd = fd < 0 ? fd : table_take_inner(fd);
	if (fd < 0)
		return fd;
	table_close_inner(inner);
	*inner = fd;
	return 0;
}

/* The sending half, and what tells why a frame was refused. */
static int open_back(struct dsock *s, const struct engine *e)
{
	int rc = take_inner(back_open(e->identity.mark), &s->back), copy;

	if (!rc)
		rc = take_inner(back_open_large(e->identity.mark), &s->back_gso);
	if (rc)
		return rc;
	copy = fcntl(e->map[ENGINE_ERRORS], F_DUPFD_CLOEXEC, 0);
	rc = take_inner(copy < 0 ? -errno : copy, &s->errors);
	if (rc)
		return rc;
	s->mark = e->identity.mark;
	return socket_send_timeout(s);
}

int socket_send_timeout(const struct dsock *s)
{
	const int64_t ns = s->shared->send_timeout;
	struct timeval t = {.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000};

	if (setsockopt(s->back, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) ||
	    setsockopt(s->back_gso, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)))
		return -errno;
	return 0;
}

/* Made now, so that all processes that will share the socket have it. */
static int open_shut(struct dsock *s)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	s->shut = fd < 0 ? -errno : table_take_inner(fd);
	return s->shut < 0 ? s->shut : 0;
}

static int set_flags(int fd, int flags)
{
	if (flags & SOCK_NONBLOCK && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -errno;
	/* maps are close-on-exec from birth; that socket(2)s are not is what programs rely on */
	if (!(flags & SOCK_CLOEXEC) && fcntl(fd, F_SETFD, 0))
		return -errno;
	return 0;
}

/* Programs count on the lowest free number, which was in use a moment ago. Takes fd. */
static int lowest(int fd)
{
	int low = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (low < 0)
		return fd;
	syscall(SYS_close, low < fd ? fd : low);
	return low < fd ? low : fd;
}

/* The ring, what writes, and what wakes: all that the descriptor stands for. */
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
		rc = open_back(s, e);
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
	rc = engine_open(&e, ENGINE_LOAD);
	if (rc)
		return refuse_engine(-rc);
	s = socket_new(domain);
	if (!s) {
		engine_close(&e);
		return refuse_errno(ENOMEM, "a divert socket");
	}
	rc = furnish(s, &e, &fd);
	if (!rc)
		train_begin(&e, s);
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
	/* either family does, as its address means nothing */
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

/* The port keeps what was said of it last, by this socket or by one before. */
static int bind_bypass(struct dsock *s, struct engine *e)
{
	struct shared *sh = s->shared;
	struct divert_port port;

	if (sh->on & SOCKET_BYPASS_SAID)
		return socket_set(s, DIVERT_SET_BYPASS, sh->key, !!(sh->on & SOCKET_BYPASS));
	if (bpf_map_lookup_elem(e->map[ENGINE_PORTS], &sh->key, &port))
		return -errno;
	sh->on &= ~SOCKET_BYPASS;
	if (port.flags & DIVERT_PORT_BYPASS)
		sh->on |= SOCKET_BYPASS;
	return 0;
}

/* To a port of an engine that is there. */
static bool is_bound(const struct dsock *s)
{
	return s->shared->bound && !ring_is_down(&s->ring);
}

/* The ring is bound to another engine than the one that was removed. */
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
	int rc = engine_open(&e, ENGINE_LOAD | ENGINE_LOCK);

	if (rc)
		return refuse_engine(-rc);
	if (s->mark != e.identity.mark) /* unloaded and loaded since socket() */
		rc = open_back(s, &e);
	if (!rc)
		train_begin(&e, s);
	e.asker = fcntl(s->back, F_DUPFD_CLOEXEC, 0); /* to open and close another takes 10 ms */
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
		engine_port_release(&e, sh->key, sh->slot);
	else
		begin_again(s);
	back_account(s->back, stats);
	back_account(s->back_gso, stats);
	s->stats = stats;
	sh->key = key;
	sh->slot = slot;
	sh->mark = s->mark;
	sh->bound = true;
	rc = bind_bypass(s, &e);
	/* interfaces that have appeared since the engine was loaded */
	engine_attach(&e, 0, NULL, NULL);
	engine_close(&e);
	return rc ? refuse_errno(-rc, "bind: DIVERT_BYPASS") : 0;
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
	return 0; /* the use that socket_get() counted is the new descriptor's */
}

int divert_writer(int fd)
{
	struct dsock *s = socket_get(fd);
	bool locked;
	int back;

	if (!s)
		return -1;
	locked = socket_lock(s);
	s->watched = true;
	ring_sleep(&s->ring);
	socket_unlock(s, locked);
	back = s->back;
	socket_put(s);
	return back;
}

int divert_close(int fd)
{
	struct dsock *s = table_clear(fd);
	int rc;

	if (!s)
		return fail(ENOTSOCK);
	wait_closed(s, fd);
	bias_flush(s);
	rc = syscall(SYS_close, fd);
	socket_put(s);
	return rc;
}

/* What waits, anywhere, wakes; and the descriptor is readable from now on, as one at its end is. */
static int shut_read(struct dsock *s)
{
	const uint64_t one = 1;
	bool locked = socket_lock(s);

	s->shared->shut_read = true;
	if (s->shared->bound) /* those in poll(2) and the like; nobody else than the kernel can */
		socket_set(s, DIVERT_SET_WAKE, s->shared->slot, 0);
	ring_end(&s->ring);
	socket_unlock(s, locked);
	/* EAGAIN: it was readable */
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

/* Before the process ends, what it has written goes. */
__attribute__((destructor)) static void flush(void)
{
	divert_flush();
}

void divert_flush(void)
{
	int fd;

	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1))
		bias_flush(table_get(fd));
}

void divert_rest(void)
{
	defer_rest();
}

void divert_at_once(void)
{
	defer_never();
	train_never();
	divert_flush();
}

/* Somebody is about to put a file on this number: the socket that uses it goes on with another. */
int divert_move_inner(int fd)
{
	struct dsock *s;
	int copy, i;

	if (!table_is_inner(fd))
		return 0;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -1;
	copy = table_take_inner(copy);
	if (copy < 0)
		return fail(-copy);
	for (i = table_next(0); i >= 0; i = table_next(i + 1)) {
		s = table_get(i);
		if (s && s->back == fd)
			s->back = copy;
		if (s)
			defer_move(s, fd, copy);
		if (s && s->back_gso == fd)
			s->back_gso = copy;
		if (s && s->errors == fd)
			s->errors = copy;
		if (s && s->shut == fd)
			s->shut = copy;
	}
	wait_moved(fd, copy);
	owner_moved(fd, copy);
	train_moved(fd, copy);
	table_close_inner(&fd);
	return 0;
}
