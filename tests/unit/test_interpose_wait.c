// sources: interpose/*.c tests/unit/fake_divert.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for divert sockets among other descriptors: poll, select and epoll of the interposer. */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/fake_divert.h"
#include "tests/unit/range.h"

/* Polls both. Returns bits: 1: fd is ready for reading, by its set; 2: so is the other. */
static int polled(int fd, int other)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	int n = poll(fds, 2, 0);

	assert_int_equal(n, !!fds[0].revents + !!fds[1].revents);
	return (fds[0].revents == POLLIN) + 2 * (fds[1].revents == POLLIN);
}

static int selected(int fd, int other)
{
	const int top = (fd > other ? fd : other) + 1;
	struct timeval none = {0};
	fd_set in, except;
	int n;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	FD_SET(other, &in);
	except = in;
	n = select(top, &in, NULL, &except, &none);
	assert_int_equal(n, !!FD_ISSET(fd, &in) + !!FD_ISSET(other, &in));
	assert_false(FD_ISSET(fd, &except) || FD_ISSET(other, &except));
	return !!FD_ISSET(fd, &in) + 2 * !!FD_ISSET(other, &in);
}

/*
 * Packets that the library has at hand are ready without the kernel. The kernel is asked about the
 * other descriptors in turn.
 */
static void ready_at_hand(void **state)
{
	int (*const metacache[])(int, int) = {polled, selected};
	const int fd = new_socket();
	int i, meta, pipes[2], others;
	fd_set in;

	assert_int_equal(pipe(pipes), 0);
	for (meta = 0; meta < 2; meta++) {
		at_hand = -1;
		assert_int_equal(metacache[meta](fd, pipes[0]), 0);
		at_hand = fd;
		for (i = 0; i < 40; i++)
			assert_int_in_range(metacache[meta](fd, pipes[0]), 0, 1);
		assert_int_equal(write(pipes[1], "a", 1), 1);
		for (i = others = 0; i < 32; i++)
			others += metacache[meta](fd, pipes[0]) >= 2;
		assert_int_equal(others, 2);
		assert_int_equal(read(pipes[0], (char[1]){0}, 1), 1);
	}
	/*
	 * with the socket alone the kernel is never asked, and no call waits while there are
	 * packets
	 */
	for (i = 0; i < 40; i++) {
		struct pollfd one = {.fd = fd, .events = POLLIN | POLLRDNORM | POLLOUT};

		assert_int_equal(poll(&one, 1, -1), 1);
		assert_int_equal(one.revents, one.events);
		FD_ZERO(&in);
		FD_SET(fd, &in);
		assert_int_equal(pselect(fd + 1, &in, NULL, NULL, NULL, NULL), 1);
		assert_true(FD_ISSET(fd, &in));
	}
	assert_int_equal(polled(fd, fd), 3);
	at_hand = -1;
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

/* The events that epoll_wait() reports of the set; all of them have this number as data. */
static uint32_t ready(int set, uint64_t data)
{
	struct epoll_event event[4];
	uint32_t events = 0;
	int i, n = epoll_wait(set, event, 4, 0);

	for (i = 0; i < n; i++) {
		assert_int_equal(event[i].data.u64, data);
		events |= event[i].events;
	}
	return events;
}

/* The writer stands in a set for what the socket's descriptor cannot tell: room to write. */
static void epoll_sets(void **state)
{
	const int set = epoll_create1(0), null = open("/dev/null", O_RDWR);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u64 = 7};
	int fd, pipes[2];

	/* a pipe's read end is never writable */
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	fd = pipes[0];
	is_socket[fd] = true;
	writer = (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK);
	is_inner[writer] = true;

	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(ready(set, 7), EPOLLOUT);
	FAILS(EEXIST, epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	assert_int_equal(write(pipes[1], "a", 1), 1);
	at_hand = fd;
	assert_int_equal(ready(set, 7), EPOLLIN | EPOLLOUT);
	event.events = EPOLLIN;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
	assert_int_equal(ready(set, 7), EPOLLIN);
	event.events = EPOLLOUT;
	event.data.u64 = 8;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
	assert_int_equal(ready(set, 8), EPOLLOUT);
	event.events = EPOLLOUT | EPOLLET;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
	assert_int_equal(ready(set, 8), EPOLLOUT);
	assert_int_equal(ready(set, 8), 0);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
	assert_int_equal(ready(set, 0), 0);
	FAILS(ENOENT, epoll_ctl(set, EPOLL_CTL_DEL, writer, NULL));
	event.events = EPOLLOUT | EPOLLONESHOT;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(ready(set, 0), 0);
	FAILS(EPERM, epoll_ctl(set, EPOLL_CTL_ADD, null, &event));
	close(null);
	close(pipes[1]);
	close(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ready_at_hand),
		TEST(epoll_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
