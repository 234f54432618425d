// SPDX-License-Identifier: BSD-2-Clause
#include "fdtable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "divert-interposer.h"
#include "divert.h"
#include "single.h"

#define CHUNK  1024u
#define CHUNKS 1024u

/* An entry is a socket, INNER, or NULL. */
#define INNER ((struct dsock *)1)

static struct dsock **chunk[CHUNKS];

static struct dsock *peek(int fd)
{
	struct dsock **c;

	if ((unsigned int)fd >= CHUNK * CHUNKS)
		return NULL;
	c = __atomic_load_n(&chunk[fd / CHUNK], __ATOMIC_ACQUIRE);
	return c ? __atomic_load_n(&c[fd % CHUNK], __ATOMIC_ACQUIRE) : NULL;
}

/* was: the previous entry. */
static int put(int fd, struct dsock *s, struct dsock **was)
{
	struct dsock **fresh, **none = NULL;

	if ((unsigned int)fd >= CHUNK * CHUNKS)
		return -EMFILE;
	if (!__atomic_load_n(&chunk[fd / CHUNK], __ATOMIC_ACQUIRE)) {
		fresh = calloc(CHUNK, sizeof(*fresh));
		if (!fresh)
			return -ENOMEM;
		if (!__atomic_compare_exchange_n(&chunk[fd / CHUNK], &none, fresh, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			free(fresh); /* another thread was faster */
	}
	*was = __atomic_exchange_n(&chunk[fd / CHUNK][fd % CHUNK], s, __ATOMIC_ACQ_REL);
	return 0;
}

struct dsock *fdtable_get(int fd)
{
	struct dsock *s = peek(fd);

	return s == INNER ? NULL : s;
}

int fdtable_set(int fd, struct dsock *s, struct dsock **was)
{
	int rc = put(fd, s, was);

	if (rc || *was == INNER)
		*was = NULL;
	return rc;
}

struct dsock *fdtable_clear(int fd)
{
	struct dsock *s = fdtable_get(fd), *was;

	/* if several threads close fd, only one gets the socket */
	return s && !fdtable_set(fd, NULL, &was) ? was : NULL;
}

static int next(int fd, bool inner)
{
	struct dsock *s;

	for (; (unsigned int)fd < CHUNK * CHUNKS; fd++) {
		if (!__atomic_load_n(&chunk[fd / CHUNK], __ATOMIC_ACQUIRE)) {
			fd |= CHUNK - 1; /* this whole chunk is empty */
			continue;
		}
		s = peek(fd);
		if (s && (s != INNER || inner))
			return fd;
	}
	return -1;
}

int fdtable_next(int fd)
{
	return next(fd, false);
}

int divert_next(int fd)
{
	return next(fd, true);
}

bool fdtable_is_inner(int fd)
{
	return peek(fd) == INNER;
}

/*
 * Where to put inner descriptors: high up, so that the program's own keep their low numbers in
 * order.
 */
static int place(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 64)
		return 0;
	return limit.rlim_cur < 4096 ? limit.rlim_cur - 32 : 4096 - 32;
}

int fdtable_take_inner(int fd)
{
	int high, rc, at = place();
	struct dsock *was;

	high = fcntl(fd, F_DUPFD_CLOEXEC, at);
	if (high < 0) {
		high = fd; /* no free number up there */
	} else {
		syscall(SYS_close, fd);
	}
	rc = put(high, INNER, &was);
	if (rc) {
		syscall(SYS_close, high);
		return rc;
	}
	return high;
}

void fdtable_close_inner(int *fd)
{
	struct dsock *was;

	if (*fd < 0)
		return;
	put(*fd, NULL, &was);
	syscall(SYS_close, *fd);
	*fd = -1;
}

int divert_is(int fd)
{
	return fdtable_get(fd) != NULL;
}

int divert_keep_inner(int fd)
{
	struct dsock *was;
	const int rc = put(fd, INNER, &was);

	if (!rc)
		return 0;
	errno = -rc;
	return -1;
}

int divert_is_inner(int fd)
{
	return fdtable_is_inner(fd);
}

/* ---- references to sockets ---- */

/*
 * Take a reference, unless there is none left: then another thread has just closed the socket and
 * is releasing it. The atomic operation costs as much as copying a small packet if another CPU has
 * the cache line.
 */
static bool add_user(struct dsock *s)
{
	uint32_t n;

	if (is_single_threaded())
		return s->users++;
	n = __atomic_load_n(&s->users, __ATOMIC_RELAXED);
	while (n && !__atomic_compare_exchange_n(&s->users, &n, n + 1, true, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
		;
	return n;
}

struct dsock *socket_get(int fd)
{
	struct dsock *s = fdtable_get(fd);

	if (s && add_user(s)) {
		if (is_single_threaded() || fdtable_get(fd) == s)
			return s;
		socket_put(s);
	}
	errno = ENOTSOCK;
	return NULL;
}

void socket_put(struct dsock *s)
{
	const uint32_t left = is_single_threaded()
				      ? --s->users
				      : __atomic_sub_fetch(&s->users, 1, __ATOMIC_ACQ_REL);

	if (!left)
		s->release(s);
}
