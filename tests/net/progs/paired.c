/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures waits for ordinary descriptors, in ns: paired HOW. Prints the minimum of many runs. It
 * waits for a pipe that is readable and one that is not. HOW: select, poll, epoll.
 */
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define RUNS  40
#define WAITS 4000

static int full[2], empty[2], set;

static int by_select(void)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(full[0], &in);
	FD_SET(empty[0], &in);
	return select(empty[0] + 1, &in, NULL, NULL, NULL);
}

static int by_poll(void)
{
	struct pollfd p[] = {{.fd = full[0], .events = POLLIN}, {.fd = empty[0], .events = POLLIN}};

	return poll(p, 2, -1);
}

static int by_epoll(void)
{
	struct epoll_event event[2];

	return epoll_wait(set, event, 2, -1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN};
	int (*wait_once)(void);
	double start, took, least = 1e18;
	int i, k;

	if (argc != 2)
		errx(2, "usage: paired HOW");
	wait_once = !strcmp(argv[1], "select") ? by_select
		    : !strcmp(argv[1], "poll") ? by_poll
					       : by_epoll;
	set = epoll_create1(0);
	if (pipe(full) || pipe(empty) || write(full[1], "x", 1) != 1 ||
	    epoll_ctl(set, EPOLL_CTL_ADD, full[0], &event) ||
	    epoll_ctl(set, EPOLL_CTL_ADD, empty[0], &event))
		err(1, "pipes");
	for (i = 0; i < RUNS; i++) {
		start = now();
		for (k = 0; k < WAITS; k++)
			if (wait_once() != 1)
				errx(1, "not ready");
		took = (now() - start) / WAITS;
		least = took < least ? took : least;
	}
	printf("%.1f\n", least);
	return 0;
}
