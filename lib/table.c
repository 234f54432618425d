// SPDX-License-Identifier: BSD-2-Clause
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "divert.h"

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

/* was: what stood there. */
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

struct dsock *table_get(int fd)
{
	struct dsock *s = peek(fd);

	return s == INNER ? NULL : s;
}

int table_set(int fd, struct dsock *s, struct dsock **was)
{
	int rc = put(fd, s, was);

	if (rc || *was == INNER)
		*was = NULL;
	return rc;
}

struct dsock *table_clear(int fd)
{
	struct dsock *s = table_get(fd), *was;

	/* of several threads that close it one gets it */
	return s && !table_set(fd, NULL, &was) ? was : NULL;
}

static int next(int fd, bool inner)
{
	struct dsock *s;

	for (; (unsigned int)fd < CHUNK * CHUNKS; fd++) {
		if (!__atomic_load_n(&chunk[fd / CHUNK], __ATOMIC_ACQUIRE)) {
			fd |= CHUNK - 1; /* none in all of these */
			continue;
		}
		s = peek(fd);
		if (s && (s != INNER || inner))
			return fd;
	}
	return -1;
}

int table_next(int fd)
{
	return next(fd, false);
}

int divert_next(int fd)
{
	return next(fd, true);
}

bool table_is_inner(int fd)
{
	return peek(fd) == INNER;
}

/* Far up, so that a program's own descriptors stay small and in their order. */
static int place(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 64)
		return 0;
	return limit.rlim_cur < 4096 ? limit.rlim_cur - 32 : 4096 - 32;
}

int table_take_inner(int fd)
{
	int high, rc, at = place();
	struct dsock *was;

	high = fcntl(fd, F_DUPFD_CLOEXEC, at);
	if (high < 0) {
		high = fd; /* no room up there */
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

void table_close_inner(int *fd)
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
	return table_get(fd) != NULL;
}

int divert_is_inner(int fd)
{
	return table_is_inner(fd);
}
