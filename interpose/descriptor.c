// SPDX-License-Identifier: BSD-2-Clause
/*
 * Close and copy descriptors. libdivert must learn of each copy and each close of a divert socket,
 * and its inner descriptors must survive programs that close everything.
 */
#include "interpose/next.h"

#include "interpose/child.h"

#include <divert-interposer.h>
#include <divert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>

/* A child of vfork(2) may do with its own descriptors what it likes. */
static bool is_socket(int fd)
{
	return divert_is(fd) && !in_vfork_child();
}

static bool is_inner(int fd)
{
	return divert_is_inner(fd) && !in_vfork_child();
}

PUBLIC int close(int fd)
{
	if (is_socket(fd))
		return divert_close(fd);
	if (is_inner(fd)) {
		errno = EBADF;
		return -1;
	}
	return NEXT(close)(fd);
}

/* Our first descriptor from fd to last; -1: none. */
static int next_ours(unsigned int fd, unsigned int last)
{
	const int found = fd <= INT_MAX ? divert_next((int)fd) : -1;

	return found >= 0 && (unsigned int)found <= last ? found : -1;
}

static int close_around_inner(unsigned int first, unsigned int last)
{
	unsigned int start = first;
	int ret = 0, fd;

	/* Sockets first: libdivert then closes the inner descriptors that it no longer needs. */
	for (fd = next_ours(first, last); fd >= 0; fd = next_ours((unsigned int)fd + 1, last))
		if (divert_is(fd))
			(void)divert_close(fd);
	for (fd = next_ours(first, last); fd >= 0; fd = next_ours(start, last)) {
		if ((unsigned int)fd > start && NEXT(close_range)(start, (unsigned int)fd - 1, 0))
			ret = -1;
		start = (unsigned int)fd + 1;
	}
	if (start <= last && NEXT(close_range)(start, last, 0))
		ret = -1;
	return ret;
}

PUBLIC int close_range(unsigned int first, unsigned int last, int flags)
{
	/*
	 * CLOSE_RANGE_CLOEXEC closes nothing now. CLOSE_RANGE_UNSHARE first gives this thread its
	 * own descriptors, like vfork(2). The kernel rejects other flags.
	 */
	if (flags || first > last || !has_sockets())
		return NEXT(close_range)(first, last, flags);
	return close_around_inner(first, last);
}

PUBLIC void closefrom(int low)
{
	if (has_sockets())
		(void)close_around_inner(low < 0 ? 0 : (unsigned int)low, ~0U);
	else
		NEXT(closefrom)(low);
}

/* newfd is a new copy of the divert socket oldfd, or -1. */
static int remember(int oldfd, int newfd)
{
	int error;

	if (newfd < 0 || !divert_dup(oldfd, newfd))
		return newfd;
	error = errno;
	NEXT(close)(newfd);
	errno = error;
	return -1;
}

PUBLIC int dup(int fd)
{
	const bool ours = is_socket(fd);
	const int copy = NEXT(dup)(fd);

	return ours ? remember(fd, copy) : copy;
}

/*
 * Free newfd for a copy of oldfd. The kernel would close and copy in one step. We do not if newfd
 * is a divert socket, so another thread can get the number in between.
 */
static int make_way(int oldfd, int newfd)
{
	const bool socket_there = is_socket(newfd), inner_there = is_inner(newfd);

	if (!socket_there && !inner_there)
		return 0;
	/* if oldfd is not open, dup2(2) fails and leaves newfd as it was */
	if (NEXT(fcntl)(oldfd, F_GETFD) < 0)
		return -1;
	if (inner_there)
		return divert_move_inner(newfd);
	(void)divert_close(newfd); /* dup2(2) does not report its errors */
	return 0;
}

PUBLIC int dup2(int oldfd, int newfd)
{
	bool ours;
	int copy;

	if (oldfd == newfd)
		return NEXT(dup2)(oldfd, newfd);
	if (make_way(oldfd, newfd))
		return -1;
	ours = is_socket(oldfd);
	copy = NEXT(dup2)(oldfd, newfd);
	return ours ? remember(oldfd, copy) : copy;
}

PUBLIC int dup3(int oldfd, int newfd, int flags)
{
	bool ours;
	int copy;

	if (oldfd == newfd || (flags & ~O_CLOEXEC))
		return NEXT(dup3)(oldfd, newfd, flags); /* EINVAL */
	if (make_way(oldfd, newfd))
		return -1;
	ours = is_socket(oldfd);
	copy = NEXT(dup3)(oldfd, newfd, flags);
	return ours ? remember(oldfd, copy) : copy;
}

static bool copies(int cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC;
}

PUBLIC int fcntl(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (copies(cmd) && is_socket(fd))
		return remember(fd, NEXT(fcntl)(fd, cmd, arg));
	return NEXT(fcntl)(fd, cmd, arg);
}

PUBLIC int fcntl64(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (copies(cmd) && is_socket(fd))
		return remember(fd, NEXT(fcntl64)(fd, cmd, arg));
	return NEXT(fcntl64)(fd, cmd, arg);
}
