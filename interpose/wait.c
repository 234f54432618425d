// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waiting. A divert socket's descriptor tells by itself when there is something to read, but
 * knows nothing of writing: here it is always writable, as a raw socket is. For epoll(7) see
 * interpose/epoll.c.
 */
#include "interpose/next.h"

#include "interpose/child.h"

#include <divert.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/select.h>

/* glibc says of poll()'s array that it is only written to, which is so of revents. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define WRITABLE (POLLOUT | POLLWRNORM)

static bool asks_to_write(const struct pollfd *p)
{
	return p->events & WRITABLE && divert_is(p->fd);
}

/* Programs without divert sockets do not pay for the look at each. */
static bool any_asks(const struct pollfd *fds, nfds_t n)
{
	nfds_t i;

	if (!children_watched())
		return false;
	for (i = 0; i < n; i++)
		if (asks_to_write(&fds[i]))
			return true;
	return false;
}

/* ready: what the kernel has found. */
static int add_writable(struct pollfd *fds, nfds_t n, int ready)
{
	nfds_t i;

	if (ready < 0)
		return ready;
	for (i = 0; i < n; i++) {
		if (!asks_to_write(&fds[i]))
			continue;
		if (!fds[i].revents)
			ready++;
		fds[i].revents |= fds[i].events & WRITABLE;
	}
	return ready;
}

PUBLIC int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!any_asks(fds, n))
		return NEXT(poll)(fds, n, timeout);
	return add_writable(fds, n, NEXT(poll)(fds, n, 0));
}

PUBLIC int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	const struct timespec none = {0};

	if (!any_asks(fds, n))
		return NEXT(ppoll)(fds, n, timeout, mask);
	return add_writable(fds, n, NEXT(ppoll)(fds, n, &none, mask));
}

PUBLIC int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (!any_asks(fds, n))
		return NEXT(__poll_chk)(fds, n, timeout, size);
	return poll(fds, n, timeout);
}

PUBLIC int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t size)
{
	if (!any_asks(fds, n))
		return NEXT(__ppoll_chk)(fds, n, timeout, mask, size);
	return ppoll(fds, n, timeout, mask);
}

/* Move the divert sockets out of the set; how many. Sets larger than the type are left alone. */
static int take_writable(int n, fd_set *from, fd_set *to)
{
	int fd, taken = 0;

	FD_ZERO(to);
	if (!from || n > FD_SETSIZE || !children_watched())
		return 0;
	for (fd = 0; fd < n; fd++) {
		if (FD_ISSET(fd, from) && divert_is(fd)) {
			FD_CLR(fd, from);
			FD_SET(fd, to);
			taken++;
		}
	}
	return taken;
}

static int give_back(int n, const fd_set *from, fd_set *to, int ready, int taken)
{
	int fd;

	for (fd = 0; fd < n; fd++)
		if (FD_ISSET(fd, from))
			FD_SET(fd, to);
	return ready < 0 ? ready : ready + taken;
}

PUBLIC int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct timeval none = {0};
	fd_set ours;
	int taken = take_writable(n, out, &ours);

	if (!taken)
		return NEXT(select)(n, in, out, except, timeout);
	return give_back(n, &ours, out, NEXT(select)(n, in, out, except, &none), taken);
}

PUBLIC int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		   const sigset_t *mask)
{
	const struct timespec none = {0};
	fd_set ours;
	int taken = take_writable(n, out, &ours);

	if (!taken)
		return NEXT(pselect)(n, in, out, except, timeout, mask);
	return give_back(n, &ours, out, NEXT(pselect)(n, in, out, except, &none, mask), taken);
}
