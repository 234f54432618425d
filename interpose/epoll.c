// SPDX-License-Identifier: BSD-2-Clause
/*
 * epoll(7) goes on in the kernel, which takes a fragment for something to read, and where a divert socket's
 * descriptor never is ready for writing. Events that come of fragments are taken out again (interpose/sets.h).
 * The packet socket by which libdivert writes is ready when there is room: it goes into the set for
 * that half, with the same data. So what is ready for both is told twice.
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

/* What writing is concerned with. EPOLLONESHOT cannot be had for two: then it is as without us. */
static bool asks_to_write(const struct epoll_event *event)
{
	return event->events & (EPOLLOUT | EPOLLWRNORM) && !(event->events & EPOLLONESHOT);
}

/* The half for writing, as it is asked for now. Where it cannot be had it is as without us. */
static void set_writing(int set, int fd, const struct epoll_event *event)
{
	const int writer = divert_writer(fd), saved = errno;
	struct epoll_event half;

	if (event && asks_to_write(event)) {
		half = *event;
		half.events &= EPOLLOUT | EPOLLWRNORM | EPOLLET;
		/* there already: until now, or by a copy of the descriptor */
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

/* Milliseconds, rounded up as epoll_wait(2) rounds. */
static int ms_of(const struct timespec *t)
{
	if (!t)
		return -1;
	if (t->tv_sec >= INT_MAX / 1000)
		return INT_MAX;
	return (int)(t->tv_sec * 1000 + (t->tv_nsec + 999999) / 1000000);
}

/* precise: by epoll_pwait2(2), which older kernels have not. */
static int wait_for(int set, struct epoll_event *events, int max, const struct timespec *timeout,
		    const sigset_t *mask, bool precise)
{
	const struct timespec *time;
	bool ready, slept = false;
	struct again again;
	int n, due;

	again_begin(&again, timeout, mask);
	do {
		/* the kernel has that at hand, unless EPOLLET or EPOLLONESHOT has told it before */
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
 * Are there divert sockets in the set? If not, a sleep in it is not to end because libdivert has the
 * kernel send for this thread, either.
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
