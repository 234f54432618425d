// sources: interpose/*.c tests/unit/fake_divert.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness is true: the interposer does not report a socket that only fragments have made
 * readable.
 */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake_divert.h"
#include "tests/unit/range.h"
#include "tests/unit/ways.h"

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

/* Makes the kernel find fd readable. */
static void fragment(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(syscall(SYS_write, fd, &one, sizeof(one), 0, 0, 0), sizeof(one));
}

static int sock, pipes[2];

static void add(int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
}

static void begin(void)
{
	sock = new_socket();
	assert_int_equal(pipe(pipes), 0);
	set = epoll_create1(0);
	add(pipes[0], EPOLLIN, 2);
	add(sock, EPOLLIN, 1);
}

static void end(void)
{
	close(pipes[0]);
	close(pipes[1]);
	close(set);
	close(sock);
}

static void fragments_are_nothing(void **state)
{
	int i;

	begin();
	for (i = 0; i < METACACHE_FLOWS; i++) {
		assert_int_equal(metacache[i](sock, pipes[0], 0), 0);
		fragment(sock);
		assert_int_equal(metacache[i](sock, pipes[0], 0), 0);
		fragment(sock);
		assert_int_equal(metacache[i](sock, pipes[0], 1), 0);
		fragment(sock);
		assert_int_equal(write(pipes[1], "a", 1), 1);
		assert_int_equal(metacache[i](sock, pipes[0], -1), 2);
		assert_int_equal(read(pipes[0], (char[1]){0}, 1), 1);
		at_hand = sock;
		fragment(sock);
		assert_int_equal(metacache[i](sock, pipes[0], -1), 1);
		at_hand = -1;
	}
	end();
}

/* ---- what other threads do meanwhile ---- */

static pthread_t thread;
static volatile int stop;

static void sleep_ms(int ms)
{
	const struct timespec t = {.tv_nsec = ms * MS};

	nanosleep(&t, NULL);
}

static void *many_fragments(void *arg)
{
	while (!stop) {
		fragment(sock);
		sleep_ms(1);
	}
	return NULL;
}

static void *packet_soon(void *arg)
{
	sleep_ms(5);
	fragment(sock);
	sleep_ms(5);
	at_hand = sock;
	fragment(sock);
	return NULL;
}

/* Does the first thread sleep in the kernel? */
static bool it_sleeps(void)
{
	char stat[256], state = 0;
	FILE *f;

	snprintf(stat, sizeof(stat), "/proc/self/task/%d/stat", (int)getpid());
	f = fopen(stat, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state == 'S';
}

/*
 * On a busy machine, a signal could come before the wait, and would not end it. So this waits until
 * the thread sleeps. In a flood it never sleeps.
 */
static void *signal_soon(void *arg)
{
	int i;

	for (i = 0; i < 30 && !it_sleeps(); i++)
		sleep_ms(10);
	sleep_ms(10);
	return (void *)(intptr_t)pthread_kill(*(pthread_t *)arg, SIGUSR1);
}

/* Runs what in another thread, which gets no signals of the process. */
static void meanwhile(void *(*what)(void *), void *arg)
{
	stop = 0;
	assert_int_equal(pthread_create(&thread, NULL, what, arg), 0);
}

static void over(void)
{
	stop = 1;
	pthread_join(thread, NULL);
}

static void times_are_kept(void **state)
{
	int64_t start, late, least;
	int i, k;

	begin();
	meanwhile(many_fragments, NULL);
	for (i = 0; i < METACACHE_FLOWS; i++) {
		for (k = 0, least = 1000 * MS; k < 10; k++) {
			start = now_ns();
			assert_int_equal(metacache[i](sock, pipes[0], 20), 0);
			late = now_ns() - start - 20 * MS;
			assert_true(late >= 0);
			least = late < least ? late : least;
		}
		assert_true(least < 2 * MS); /* epoll_wait(2) knows whole milliseconds only */
	}
	over();
	end();
}

static void a_packet_ends_it(void **state)
{
	int i;

	begin();
	for (i = 0; i < METACACHE_FLOWS; i++) {
		meanwhile(packet_soon, NULL);
		assert_int_equal(metacache[i](sock, pipes[0], -1), 1);
		over();
		at_hand = -1;
		assert_int_equal(metacache[i](sock, pipes[0], 0), 0);
	}
	end();
}

static volatile sig_atomic_t handled;

static void handle(int sig)
{
	handled++;
}

/*
 * With and without fragments. An ignored signal ends no wait, and a blocked signal is not let in.
 */
static void signals_end_it(void **state)
{
	struct sigaction act = {.sa_handler = handle, .sa_flags = SA_RESTART};
	pthread_t self = pthread_self(), other;
	sigset_t mask, now;
	int i, flow;

	begin();
	sigaction(SIGUSR1, &act, NULL);
	for (i = 0; i < 2 * METACACHE_FLOWS; i++) {
		flow = i % 2;
		handled = 0;
		fragment(sock);
		if (flow)
			meanwhile(many_fragments, NULL);
		pthread_create(&other, NULL, signal_soon, &self);
		FAILS(EINTR, metacache[i / 2](sock, pipes[0], -1));
		assert_int_equal(handled, 1);
		pthread_join(other, NULL);
		if (flow)
			over();
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		assert_false(sigismember(&now, SIGUSR1) || sigismember(&now, SIGINT));
	}
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	act.sa_flags = 0;
	sigaction(SIGUSR2, &act, NULL);
	raise(SIGUSR2);
	handled = 0;
	meanwhile(many_fragments, NULL);
	for (i = 0; i < METACACHE_FLOWS; i++) {
		if (metacache[i] == by_ppoll ||
		    /* These two have a signal mask of their own. */
		    metacache[i] == by_pwait)
			continue;
		pthread_create(&other, NULL, signal_soon, &self);
		assert_int_equal(metacache[i](sock, pipes[0], 30), 0);
		pthread_join(other, NULL);
	}
	assert_int_equal(handled, 0);
	FAILS(EINTR, by_ppoll(sock, pipes[0], 30));
	assert_int_equal(handled, 1);
	raise(SIGUSR2);
	FAILS(EINTR, by_pwait(sock, pipes[0], 30));
	assert_int_equal(handled, 2);
	over();
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	end();
}

/* There is a fragment whenever the kernel is asked. Time-outs and signals work all the same. */
static void flood(void **state)
{
	const struct sigaction act = {.sa_handler = handle, .sa_flags = SA_RESTART};
	pthread_t self = pthread_self(), other;
	int64_t start;
	int i;

	begin();
	sigaction(SIGUSR1, &act, NULL);
	endless = true;
	fragment(sock);
	for (i = 0; i < METACACHE_FLOWS; i++) {
		start = now_ns();
		assert_int_equal(metacache[i](sock, pipes[0], 20), 0);
		assert_true(now_ns() - start >= 20 * MS);
		handled = 0;
		pthread_create(&other, NULL, signal_soon, &self);
		FAILS(EINTR, metacache[i](sock, pipes[0], -1));
		assert_int_equal(handled, 1);
		pthread_join(other, NULL);
		assert_int_equal(write(pipes[1], "a", 1), 1);
		assert_int_equal(metacache[i](sock, pipes[0], -1), 2);
		assert_int_equal(read(pipes[0], (char[1]){0}, 1), 1);
	}
	end();
}

static void fragments_are_dropped_in_time(void **state)
{
	int i;

	begin();
	due = 3;
	for (i = 0; i < METACACHE_FLOWS; i++) {
		looked = 0;
		assert_int_equal(metacache[i](sock, pipes[0], 40), 0);
		assert_int_in_range(looked, 4, 30);
	}
	end();
}

/* ---- epoll(7) ---- */

static void *fragment_soon(void *arg)
{
	sleep_ms(5);
	fragment(sock);
	return NULL;
}

/* A fragment comes while the kernel waits, not before. The kernel reports it. */
static void sleeps_through_a_fragment(void)
{
	meanwhile(fragment_soon, NULL);
	assert_int_equal(by_epoll(0, 0, 50), 0);
	over();
}

static void arms_oneshot_again(void **state)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 1};

	begin();
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, sock, &event), 0);
	sleeps_through_a_fragment();
	sleeps_through_a_fragment();
	at_hand = sock;
	fragment(sock);
	assert_int_equal(by_epoll(0, 0, -1), 1);
	/* reported once */
	assert_int_equal(by_epoll(0, 0, 0), 0);
	end();
}

static void tells_each_edge(void **state)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 1};

	begin();
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, sock, &event), 0);
	sleeps_through_a_fragment();
	at_hand = sock;
	fragment(sock);
	assert_int_equal(by_epoll(0, 0, -1), 1);
	assert_int_equal(by_epoll(0, 0, 0), 0);
	fragment(sock);
	assert_int_equal(by_epoll(0, 0, -1), 1);
	end();
}

/*
 * If another descriptor has the same data, an event may be that one's, so it is reported. The other
 * one may be added before or later.
 */
static void same_data(void **state)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};

	begin();
	assert_int_equal(write(pipes[1], "a", 1), 1);
	fragment(sock);
	assert_int_equal(by_epoll(0, 0, 0), 2);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, pipes[0], &event), 0);
	fragment(sock);
	assert_int_equal(by_epoll(0, 0, 0), 1);
	assert_int_equal(read(pipes[0], (char[1]){0}, 1), 1);
	event.data.u64 = 3;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, sock, &event), 0);
	fragment(sock);
	assert_int_equal(by_epoll(0, 0, 0), 0);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, pipes[0], &event), 0);
	add(pipes[0], EPOLLIN, 3);
	assert_int_equal(write(pipes[1], "a", 1), 1);
	assert_int_equal(by_epoll(0, 0, 0), 3);
	assert_int_equal(by_epoll(0, 0, 0), 3);
	end();
}

/*
 * A set's number may be used again for another set. A socket that was removed, or closed, is not in
 * the new set.
 */
static void what_is_no_member(void **state)
{
	struct epoll_event event;
	int number;

	begin();
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, sock, &event), 0);
	looked = 0;
	assert_int_equal(by_epoll(0, 0, 0), 0);
	assert_int_equal(looked, 0);
	add(sock, EPOLLIN, 1);
	number = set;
	close(set);
	set = epoll_create1(0);
	assert_int_equal(set, number);
	add(pipes[0], EPOLLIN, 1);
	assert_int_equal(write(pipes[1], "a", 1), 1);
	assert_int_equal(by_epoll(0, 0, -1), 1);
	FAILS(ENOENT, epoll_ctl(set, EPOLL_CTL_DEL, sock, &event));
	FAILS(EINVAL, epoll_wait(set, &event, 0, 0));
	end();
	FAILS(EBADF, epoll_wait(number, &event, 1, 0));
}

/* The program gets the kernel's errors, whatever else it asks for. */
static void bad_arguments(void **state)
{
	struct timespec wrong = {.tv_nsec = 2000 * MS};
	struct timeval negative = {.tv_sec = -1}, large = {.tv_usec = 1020000};
	struct pollfd p;
	fd_set in;

	begin();
	p = (struct pollfd){.fd = sock, .events = POLLIN};
	FAILS(EINVAL, ppoll(&p, 1, &wrong, NULL));
	FAILS(EINVAL, epoll_pwait2(set, (struct epoll_event[1]){}, 1, &wrong, NULL));
	FD_ZERO(&in);
	FD_SET(sock, &in);
	FAILS(EINVAL, select(sock + 1, &in, NULL, NULL, &negative));
	assert_int_equal(select(sock + 1, &in, NULL, NULL, &large), 0);
	FD_SET(sock, &in);
	FAILS(EINVAL, pselect(sock + 1, &in, NULL, NULL, &wrong, NULL));
	assert_true(FD_ISSET(sock, &in));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fragments_are_nothing),
		TEST(times_are_kept),
		TEST(a_packet_ends_it),
		TEST(signals_end_it),
		TEST(flood),
		TEST(fragments_are_dropped_in_time),
		TEST(arms_oneshot_again),
		TEST(tells_each_edge),
		TEST(same_data),
		TEST(what_is_no_member),
		TEST(bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
