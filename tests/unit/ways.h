/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each way to wait for two descriptors; the epoll set has both, too, with the data 1 and 2. It
 * waits for that many ms; negative: for ever. Returns bits: 1: the first is ready, 2: the second;
 * -1: errno.
 */
#ifndef TEST_UNIT_WAYS_H
#define TEST_UNIT_WAYS_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#define MS 1000000ll

static int set;
static const sigset_t no_signals;

static int by_poll(int fd, int other, int ms)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	int n = poll(p, 2, ms);

	assert_true(n < 0 || n == !!p[0].revents + !!p[1].revents);
	return n < 0 ? n : !!p[0].revents + 2 * !!p[1].revents;
}

static int by_ppoll(int fd, int other, int ms)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	struct timespec t = {ms / 1000, ms % 1000 * MS};
	int n = ppoll(p, 2, ms < 0 ? NULL : &t, &no_signals);

	assert_true(n < 0 || n == !!p[0].revents + !!p[1].revents);
	return n < 0 ? n : !!p[0].revents + 2 * !!p[1].revents;
}

static int sets(int n, int fd, int other, const fd_set *in)
{
	if (n < 0)
		return n;
	assert_int_equal(n, !!FD_ISSET(fd, in) + !!FD_ISSET(other, in));
	return !!FD_ISSET(fd, in) + 2 * !!FD_ISSET(other, in);
}

static int by_select(int fd, int other, int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000};
	fd_set in;
	int n;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	FD_SET(other, &in);
	n = select((fd > other ? fd : other) + 1, &in, NULL, NULL, ms < 0 ? NULL : &t);
	if (!n)
		assert_int_equal(t.tv_sec + t.tv_usec, 0);
	return sets(n, fd, other, &in);
}

static int by_pselect(int fd, int other, int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * MS};
	fd_set in;
	int n;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	FD_SET(other, &in);
	n = pselect((fd > other ? fd : other) + 1, &in, NULL, NULL, ms < 0 ? NULL : &t, NULL);
	return sets(n, fd, other, &in);
}

static int told(int n, const struct epoll_event *events)
{
	int i, bits = 0;

	for (i = 0; i < n; i++)
		bits |= (int)events[i].data.u64;
	return n < 0 ? n : bits;
}

static int by_epoll(int fd, int other, int ms)
{
	struct epoll_event events[4];

	return told(epoll_wait(set, events, 4, ms), events);
}

static int by_pwait(int fd, int other, int ms)
{
	struct epoll_event events[4];

	return told(epoll_pwait(set, events, 4, ms, &no_signals), events);
}

static int by_pwait2(int fd, int other, int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * MS};
	struct epoll_event events[4];

	return told(epoll_pwait2(set, events, 4, ms < 0 ? NULL : &t, NULL), events);
}

static int (*const metacache[])(int, int, int) = {
	by_poll, by_ppoll, by_select, by_pselect, by_epoll, by_pwait, by_pwait2,
};
#define METACACHE_FLOWS (int)(sizeof(metacache) / sizeof(*metacache))

#endif
