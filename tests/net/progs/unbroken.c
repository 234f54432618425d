/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeps in epoll_wait(2) that nothing may end: unbroken HOW PORT N
 *
 * Before each sleep it writes a packet back while more wait, so the kernel sends for this thread,
 * on behalf of libdivert. N is the number of ports; packets wait at each when SIGUSR1 comes.
 *   other      sleeps in a set without divert sockets
 *   disarmed   in a set with the socket, EPOLLONESHOT, not armed again
 *   edge       in a set with the socket, EPOLLET, which has not been read to its end
 *   thread     as disarmed; another thread writes, too, between the packet and the sleep
 *
 * Prints how many sleeps there were. A sleep that ends early is a failure.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKETS 30
#define PORTS	64
#define MS	2

static const char *how;
static int sockets[PORTS], sleeps;

struct packet {
	int fd;
	char bytes[2048];
	ssize_t len;
	struct sockaddr_in from;
};

static int is_how(const char *name)
{
	return !strcmp(how, name);
}

static int open_socket(int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_RAW, 258);

	if (fd < 0 || bind(fd, (void *)&in, sizeof(in)))
		err(1, "socket, bind to %d", port);
	return fd;
}

static void read_from(int fd, struct packet *p)
{
	socklen_t len = sizeof(p->from);

	p->fd = fd;
	p->len = recvfrom(fd, p->bytes, sizeof(p->bytes), 0, (void *)&p->from, &len);
	if (p->len < 0)
		err(1, "recvfrom");
}

static void *write_back(void *packet)
{
	const struct packet *p = packet;

	if (sendto(p->fd, p->bytes, p->len, 0, (void *)&p->from, sizeof(p->from)) != p->len)
		err(1, "sendto");
	return NULL;
}

static void write_back_elsewhere(struct packet *p)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, write_back, p) || pthread_join(thread, NULL))
		errx(1, "thread");
}

/* The set reports one event before the sleep. From then on nothing is ready in it. */
static int make_set(int fd)
{
	struct epoll_event event = {.events = EPOLLIN | (is_how("edge") ? EPOLLET : EPOLLONESHOT)};
	int set = epoll_create1(0);

	if (set < 0)
		err(1, "epoll_create1");
	if (is_how("other"))
		return set;
	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) || epoll_wait(set, &event, 1, -1) != 1)
		err(1, "epoll of a divert socket");
	return set;
}

static void serve(int fd)
{
	const int set = make_set(fd), packets = is_how("thread") ? 1 : PACKETS;
	struct packet first, second;
	struct epoll_event event;
	int i, n;

	for (i = 0; i < packets; i++) {
		read_from(fd, &first);
		if (is_how("thread"))
			read_from(fd, &second);
		write_back(&first);
		if (is_how("thread"))
			write_back_elsewhere(&second);
		n = epoll_wait(set, &event, 1, MS);
		if (n)
			err(1, "sleep %d: epoll_wait: %d", sleeps, n);
		sleeps++;
	}
	close(set);
}

int main(int argc, char **argv)
{
	sigset_t go;
	int i, n, sig;

	n = argc == 4 ? atoi(argv[3]) : 0;
	if (n < 1 || n > PORTS)
		errx(2, "usage: unbroken HOW PORT N");
	how = argv[1];
	for (i = 0; i < n; i++)
		sockets[i] = open_socket(atoi(argv[2]) + i);
	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	printf("ready %d\n", getpid());
	fflush(stdout);
	sigwait(&go, &sig);
	for (i = 0; i < n; i++)
		serve(sockets[i]);
	printf("%d\n", sleeps);
	return 0;
}
