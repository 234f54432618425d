// SPDX-License-Identifier: BSD-2-Clause
/*
 * epoll(7) goes on in the kernel, where a divert socket's descriptor never is ready for writing.
 * The packet socket by which libdivert writes is, when there is room: it goes into the set for
 * that half, with the same data. So what is ready for both is told twice.
 */
#include "interpose/next.h"

#include <divert.h>
#include <errno.h>
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
	const int ret = NEXT(epoll_ctl)(set, op, fd, event);

	if (!ret && divert_is(fd))
		set_writing(set, fd, op == EPOLL_CTL_DEL ? NULL : event);
	return ret;
}
