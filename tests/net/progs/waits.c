/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program with two blocking sockets, one for each family, and one wait for both, which it
 * trusts: waits HOW PORT PORT6. It writes all packets back, and prints the family of each. HOW:
 *   select, pselect, poll, ppoll, epoll, pwait, pwait2   before each receive
 *   edge       EPOLLET: receives until there is nothing
 *   oneshot    EPOLLONESHOT: two threads, each of which arms the socket again after it has received
 *   child      epoll, in a child of fork(2)
 *   mixed      poll, with a pipe between them, which is written to now and then
 *   holds      select: writes a packet back when another has come, or after a second
 *
 * With waits -t HOW PORT PORT6, each wait of 50 ms must not end earlier. It prints by how many us
 * the best one of 20 was late.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOREVER (-1)

static const char *how;
static int sockets[2], pipes[2], set = -1;

static int is_how(const char *name)
{
	return !strcmp(how, name);
}

static int open_socket(int family, int port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(family, SOCK_RAW, 258);

	if (fd < 0 || (family == AF_INET6 ? bind(fd, (void *)&in6, sizeof(in6))
					  : bind(fd, (void *)&in, sizeof(in))))
		err(1, "socket, bind to %d", port);
	return fd;
}

static char packet[65535];
static struct sockaddr_storage from;
static socklen_t fromlen;
static ssize_t length;

static void send_on(int which)
{
	if (sendto(sockets[which], packet, length, 0, (void *)&from, fromlen) != length)
		warn("sendto");
	printf("%d\n", which ? 6 : 4);
	fflush(stdout);
}

static int receive(int which, int flags)
{
	fromlen = sizeof(from);
	length = recvfrom(sockets[which], packet, sizeof(packet), flags, (void *)&from, &fromlen);
	if (length < 0 && errno != EAGAIN)
		err(1, "recvfrom");
	return length >= 0;
}

static void make_set(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int i;

	if (is_how("edge"))
		event.events |= EPOLLET;
	if (is_how("oneshot"))
		event.events |= EPOLLONESHOT;
	set = epoll_create1(0);
	for (i = 0; i < 2; i++) {
		event.data.u32 = i;
		if (epoll_ctl(set, EPOLL_CTL_ADD, sockets[i], &event))
			err(1, "epoll_ctl");
	}
}

/* The ready descriptors, as bits; 0: the time is over. */
static int wait_select(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000}, *timeout = ms < 0 ? NULL : &t;
	struct timeval v = {ms / 1000, ms % 1000 * 1000};
	fd_set in;
	int n;

	FD_ZERO(&in);
	FD_SET(sockets[0], &in);
	FD_SET(sockets[1], &in);
	if (is_how("pselect"))
		n = pselect(sockets[1] + 1, &in, NULL, NULL, timeout, NULL);
	else
		n = select(sockets[1] + 1, &in, NULL, NULL, timeout ? &v : NULL);
	if (n < 0)
		err(1, "select");
	return n ? !!FD_ISSET(sockets[0], &in) + 2 * !!FD_ISSET(sockets[1], &in) : 0;
}

static int wait_poll(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000}, *timeout = ms < 0 ? NULL : &t;
	struct pollfd p[] = {
		{.fd = sockets[0], .events = POLLIN},
		{.fd = pipes[0], .events = POLLIN},
		{.fd = sockets[1], .events = POLLIN},
	};
	int n = is_how("ppoll") ? ppoll(p, 3, timeout, NULL) : poll(p, 3, ms);
	char c;

	if (n < 0)
		err(1, "poll");
	if (p[1].revents && read(pipes[0], &c, 1) != 1)
		err(1, "pipe");
	return !!p[0].revents + 2 * !!p[2].revents;
}

static int wait_epoll(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000}, *timeout = ms < 0 ? NULL : &t;
	struct epoll_event event;
	int n;

	if (is_how("pwait"))
		n = epoll_pwait(set, &event, 1, ms, NULL);
	else if (is_how("pwait2"))
		n = epoll_pwait2(set, &event, 1, timeout, NULL);
	else
		n = epoll_wait(set, &event, 1, ms);
	if (n < 0)
		err(1, "epoll");
	if (n && event.events != EPOLLIN)
		errx(1, "events 0x%x", event.events);
	return n ? 1 << event.data.u32 : 0;
}

static int wait_for(int ms)
{
	if (set >= 0)
		return wait_epoll(ms);
	return strstr(how, "select") || is_how("holds") ? wait_select(ms) : wait_poll(ms);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *serve(void *arg)
{
	struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT};
	int i, ready;

	for (;;) {
		ready = wait_for(FOREVER);
		pthread_mutex_lock(&lock);
		for (i = 0; i < 2; i++) {
			if (!(ready & 1 << i))
				continue;
			receive(i, 0);
			send_on(i);
			while (is_how("edge") && receive(i, MSG_DONTWAIT))
				send_on(i);
			again.data.u32 = i;
			if (is_how("oneshot") && epoll_ctl(set, EPOLL_CTL_MOD, sockets[i], &again))
				err(1, "epoll_ctl");
		}
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

/* Holds one packet at most. */
static void hold(void)
{
	int i, ready, held = 0;

	for (;;) {
		ready = wait_for(held ? 1000 : FOREVER);
		if (held)
			send_on(held - 1);
		held = 0;
		for (i = 0; i < 2 && !held; i++)
			if (ready & 1 << i && receive(i, 0))
				held = i + 1;
	}
}

static void write_now_and_then(void)
{
	if (fork())
		return;
	close(sockets[0]);
	close(sockets[1]);
	close(pipes[0]); /* it ends with its parent */
	while (write(pipes[1], "x", 1) == 1)
		usleep(50000);
	_exit(0);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int measure(void)
{
	double start, late, least = 1e9;
	int i;

	for (i = 0; i < 20; i++) {
		start = now_us();
		if (wait_for(50))
			errx(1, "wait %d: something is ready", i);
		late = now_us() - start - 50000;
		if (late < 0)
			errx(1, "wait %d: %.0f us early", i, -late);
		least = late < least ? late : least;
	}
	printf("late %.0f\n", least);
	return 0;
}

int main(int argc, char **argv)
{
	const int times = argc == 5 && !strcmp(argv[1], "-t");
	pthread_t thread;
	int status;

	if (argc != 4 + times)
		errx(2, "usage: waits [-t] HOW PORT PORT6");
	argv += times;
	how = argv[1];
	sockets[0] = open_socket(AF_INET, atoi(argv[2]));
	sockets[1] = open_socket(AF_INET6, atoi(argv[3]));
	if (pipe(pipes))
		err(1, "pipe");
	if (!strchr("sp", *how) || strstr(how, "pwait"))
		make_set();
	if (is_how("mixed") || is_how("holds")) {
		close(set);
		set = -1;
	}
	if (is_how("mixed"))
		write_now_and_then();
	if (is_how("child") && fork()) {
		wait(&status);
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	printf("ready %d\n", getpid());
	fflush(stdout);
	if (times)
		return measure();
	if (is_how("holds"))
		hold();
	if (is_how("oneshot") && pthread_create(&thread, NULL, serve, NULL))
		errx(1, "thread");
	serve(NULL);
}
