// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waiting. A divert socket's descriptor tells by itself when there is something to read, but
 * knows nothing of writing: here it is always writable, as a raw socket is. Whether there is something
 * to read libdivert knows without a system call: a program that asks before each packet need not
 * pay for one. For epoll(7) see interpose/epoll.c.
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

#define READABLE (POLLIN | POLLRDNORM)
#define WRITABLE (POLLOUT | POLLWRNORM)

/* Where there are others beside divert sockets, they are asked after at least each so many times. */
#define OTHERS 16

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

/* Are the others to be asked after, too? Threads may count into each other's turns. */
static bool others_turn(void)
{
	static unsigned int calls;

	return !(__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % OTHERS);
}

/*
 * What divert sockets have at hand: how many are ready, filled in; 0: the kernel is to be asked, of
 * their reading, too. wait: look for a while.
 */
static int at_hand(struct pollfd *fds, nfds_t n, bool wait)
{
	int ours = 0, readers = 0, ready = 0;
	nfds_t i;

	if (!children_watched())
		return 0;
	for (i = 0; i < n; i++)
		if (fds[i].fd < 0 || divert_is(fds[i].fd)) {
			ours++;
			readers += fds[i].fd >= 0 && fds[i].events & READABLE;
		}
	for (i = 0; i < n && readers; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0 || !divert_is(fds[i].fd))
			continue;
		if (fds[i].events & READABLE && divert_ready(fds[i].fd, wait && readers == 1) == 1)
			fds[i].revents = fds[i].events & READABLE;
		fds[i].revents |= fds[i].events & WRITABLE;
		ready += fds[i].revents != 0;
	}
	return ready && ((nfds_t)ours == n || !others_turn()) ? ready : 0;
}

PUBLIC int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int ready = at_hand(fds, n, timeout != 0);

	if (ready)
		return ready;
	if (!any_asks(fds, n))
		return NEXT(poll)(fds, n, timeout);
	return add_writable(fds, n, NEXT(poll)(fds, n, 0));
}

PUBLIC int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	const struct timespec none = {0};
	/* with a mask it is called for signals, too */
	int ready = at_hand(fds, n, !mask && (!timeout || timeout->tv_sec || timeout->tv_nsec));

	if (ready && !mask)
		return ready;
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

static bool has(const fd_set *set, int fd)
{
	return set && FD_ISSET(fd, set);
}

/* Leave fd in the set if it was there and is ready; is it? */
static int keep(fd_set *set, int fd, bool ready)
{
	if (!has(set, fd))
		return 0;
	if (!ready)
		FD_CLR(fd, set);
	return ready;
}

/* The same for sets. */
static int at_hand_in(int n, fd_set *in, fd_set *out, fd_set *except, bool wait)
{
	struct pollfd fds[FD_SETSIZE];
	int fd, ready = 0;
	nfds_t i, used = 0;
	short events;

	if (!in || !children_watched() || n > FD_SETSIZE)
		return 0;
	for (fd = 0; fd < n; fd++) {
		events = (has(in, fd) ? POLLIN : 0) | (has(out, fd) ? POLLOUT : 0);
		if (events || has(except, fd))
			fds[used++] = (struct pollfd){.fd = fd, .events = events};
	}
	if (!at_hand(fds, used, wait))
		return 0;
	for (i = 0; i < used; i++) {
		ready += keep(in, fds[i].fd, fds[i].revents & POLLIN);
		ready += keep(out, fds[i].fd, fds[i].revents & POLLOUT);
		keep(except, fds[i].fd, false);
	}
	return ready;
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
	int taken, ready;

	ready = at_hand_in(n, in, out, except, !timeout || timeout->tv_sec || timeout->tv_usec);
	if (ready)
		return ready;
	taken = take_writable(n, out, &ours);
	if (!taken)
		return NEXT(select)(n, in, out, except, timeout);
	return give_back(n, &ours, out, NEXT(select)(n, in, out, except, &none), taken);
}

PUBLIC int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		   const sigset_t *mask)
{
	const struct timespec none = {0};
	fd_set ours;
	int taken, ready = 0;

	if (!mask) /* with one it is called for signals, too */
		ready = at_hand_in(n, in, out, except,
				   !timeout || timeout->tv_sec || timeout->tv_nsec);
	if (ready)
		return ready;
	taken = take_writable(n, out, &ours);
	if (!taken)
		return NEXT(pselect)(n, in, out, except, timeout, mask);
	return give_back(n, &ours, out, NEXT(pselect)(n, in, out, except, &none, mask), taken);
}
