// SPDX-License-Identifier: BSD-2-Clause
/*
 * Load sharing: several threads, each with a socket of its own on the same port. The packets of a
 * flow, in both directions, all come to the same thread, so that what it knows of the flow needs no
 * lock. SIGINT or SIGTERM ends it, and prints what each has had.
 *
 *	ipfw add 100 divert 2000 ip from any to any
 *	workers 2000 4
 */
#include "common.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#ifndef SO_REUSEPORT_LB /* FreeBSD's; one that only shares the port is no help there */
#define SO_REUSEPORT_LB SO_REUSEPORT
#endif
#define WORKERS_MAX 32

struct worker {
	int fd;
	atomic_ulong packets;
	pthread_t thread;
};

static void *work(void *arg)
{
	unsigned char packet[PACKET_MAX];
	struct worker *w = arg;
	struct sockaddr_in where;
	size_t len;

	for (;;) {
		len = receive(w->fd, packet, &where);
		w->packets++;
		write_back(w->fd, packet, len, &where);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker worker[WORKERS_MAX];
	unsigned long i, n;
	sigset_t end;
	int one = 1, got;

	if (argc != 3)
		errx(2, "usage: workers PORT NUMBER");
	n = number(argv[2], WORKERS_MAX);
	/* the threads inherit it: signals are for sigwait below */
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	for (i = 0; i < n; i++) {
		worker[i].fd = divert_open();
		if (setsockopt(worker[i].fd, SOL_SOCKET, SO_REUSEPORT_LB, &one, sizeof(one)))
			err(1, "SO_REUSEPORT_LB");
		divert_bind_to(worker[i].fd, argv[1]);
		errno = pthread_create(&worker[i].thread, NULL, work, &worker[i]);
		if (errno)
			err(1, "pthread_create");
	}
	sigwait(&end, &got);
	for (i = 0; i < n; i++)
		printf("worker %lu: %lu packets\n", i, (unsigned long)worker[i].packets);
	return 0;
}
