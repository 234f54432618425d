// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel does epoll(7), but it takes a fragment for something to read, and never finds a divert
 * socket ready for writing. Events that come from fragments are removed (interpose/sets.h). For
 * writing we add libdivert's packet socket, which is ready when there is room, to the set with the
 * same data. So a socket that is ready for both is reported twice.
 */
#include "interpose/next.h"

#include "interpose/again.h"
#include "interpose/child.h"
#include "interpose/sets.h"

#include <divert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/epoll.h>

/*
 * Does the program ask for write events? EPOLLONESHOT cannot cover two descriptors; then we add
 * nothing.
 */
static bool asks_to_write(const struct epoll_event *event)
{
	return event->events & (EPOLLOUT | EPOLLWRNORM) && !(event->events & EPOLLONESHOT);
}

/*
 * Set the packet socket's events to what the program asks for now. If that fails, the set is as it
 * would be without us.
 */
static void set_writing(int set, int fd, const struct epoll_event *event)
{
	const int writer = divert_writer(fd), saved = errno;
	struct epoll_event half;

	if (event && asks_to_write(event)) {
		half = *event;
		half.events &= EPOLLOUT | EPOLLWRNORM | EPOLLET;
		/* it is in the set already, from before or through a copy of the descriptor */
		if (NEXT(epoll_ctl)(set, EPOLL_CTL_ADD, writer, &half) && errno == EEXIST)
			(void)NEXT(epoll_ctl)(set, EPOLL_CTL_MOD, writer, &half);
	} else {
		(void)NEXT(epoll_ctl)(set, EPOLL_CTL_DEL, writer, NULL);
	}
	errno = saved;
}

PUBLIC int epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	const bool ours = divert_is(fd), deletes = op == EPOLL_CTL_DEL;
	const int ret =
		ours ? sets_change(set, op, fd, event) : NEXT(epoll_ctl)(set, op, fd, event);

	if (!ret && ours)
		set_writing(set, fd, deletes ? NULL : event);
	else if (!ret && !deletes)
		sets_changed(set, event);
	return ret;
}

/* In milliseconds, rounded up like epoll_wait(2) does. */
static int ms_of(const struct timespec *t)
{
	if (!t)
		return -1;
	if (t->tv_sec >= INT_MAX / 1000)
		return INT_MAX;
	return (int)(t->tv_sec * 1000 + (t->tv_nsec + 999999) / 1000000);
}

/* precise: use epoll_pwait2(2), which older kernels lack. */
static int wait_for(int set, struct epoll_event *events, int max, const struct timespec *timeout,
		    const sigset_t *mask, bool precise)
{
	const struct timespec *time;
	bool ready, slept = false;
	struct again again;
	int n, due;

	again_begin(&again, timeout, mask);
	do {
		/*
		 * the kernel returns these events now, unless EPOLLET or EPOLLONESHOT has reported
		 * them before
		 */
		ready = sets_look(set, &due) && !slept;
		if (!ready)
			divert_rest();
		time = again_time(&again, ready ? 0 : due);
		n = precise ? NEXT(epoll_pwait2)(set, events, max, time, again.mask)
			    : NEXT(epoll_pwait)(set, events, max, ms_of(time), again.mask);
		if (n > 0)
			n = sets_keep(set, events, n);
		slept = true;
	} while (!n && again_more(&again, &n));
	again_end(&again);
	return n;
}

/*
 * Does the set have divert sockets? If not, make sure that a sleep in it does not end because the
 * kernel sends coalesced packets for this thread.
 */
static bool may_have(int set)
{
	if (sets_has(set))
		return true;
	if (has_sockets())
		divert_rest();
	return false;
}

PUBLIC int epoll_wait(int set, struct epoll_event *events, int max, int timeout)
{
	struct timespec t;

	if (!may_have(set))
		return NEXT(epoll_wait)(set, events, max, timeout);
	return wait_for(set, events, max, again_ms(timeout, &t), NULL, false);
}

PUBLIC int epoll_pwait(int set, struct epoll_event *events, int max, int timeout,
		       const sigset_t *mask)
{
	struct timespec t;

	if (!may_have(set))
		return NEXT(epoll_pwait)(set, events, max, timeout, mask);
	return wait_for(set, events, max, again_ms(timeout, &t), mask, false);
}

PUBLIC int epoll_pwait2(int set, struct epoll_event *events, int max,
			const struct timespec *timeout, const sigset_t *mask)
{
	if (!may_have(set))
		return NEXT(epoll_pwait2)(set, events, max, timeout, mask);
	return wait_for(set, events, max, timeout, mask, true);
}
