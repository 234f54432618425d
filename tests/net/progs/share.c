/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One of many readers: share [-f processes] [-t threads] [-g] PORT. It writes back what it reads,
 * and counts by flow (the UDP port of 20000 and above) and direction. At SIGUSR1 it prints the
 * counts, "FLOW UP DOWN", then "end", and begins anew. -g: with SO_REUSEPORT. "share check PORT":
 * the errnos.
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define FIRST 20000
#define FLOWS 1000

static uint32_t (*count)[2]; /* processes share it */
static int divert;

static int opened(int shared)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);

	must(fd >= 0, "socket");
	must(!setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof(shared)), "SO_REUSEPORT");
	return fd;
}

static int bound(int fd, unsigned int port)
{
	struct sockaddr_in in = address4("0.0.0.0", port);

	return bind(fd, (void *)&in, sizeof(in));
}

static void *reader(void *arg)
{
	struct sockaddr_in from;
	unsigned int at, src, dst;
	uint8_t packet[2048];
	socklen_t len;
	ssize_t n;

	for (;;) {
		len = sizeof(from);
		n = recvfrom(divert, packet, sizeof(packet), 0, (void *)&from, &len);
		if (n < 28)
			return arg;
		at = packet[0] >> 4 == 4 ? 20 : 40;
		src = (unsigned int)(packet[at] << 8 | packet[at + 1]);
		dst = (unsigned int)(packet[at + 2] << 8 | packet[at + 3]);
		if (src >= FIRST && src < FIRST + FLOWS)
			__atomic_add_fetch(&count[src - FIRST][0], 1, __ATOMIC_RELAXED);
		else if (dst >= FIRST && dst < FIRST + FLOWS)
			__atomic_add_fetch(&count[dst - FIRST][1], 1, __ATOMIC_RELAXED);
		must(sendto(divert, packet, (size_t)n, 0, (void *)&from, len) == n, "sendto");
	}
}

static void print(void)
{
	for (int i = 0; i < FLOWS; i++) {
		if (count[i][0] || count[i][1])
			printf("%d %u %u\n", FIRST + i, count[i][0], count[i][1]);
		count[i][0] = count[i][1] = 0;
	}
	puts("end");
	fflush(stdout);
}

static int errnos(unsigned int port)
{
	int fd[33], alone = opened(0), other = opened(1), i;

	for (i = 0; i < 33; i++)
		fd[i] = opened(1);
	for (i = 0; i < 32; i++)
		must(!bound(fd[i], port), "bind of 32 sockets");
	check(1, "32 sockets share a port");
	fails_with("the 33rd", ENOSPC, bound(fd[32], port));
	fails_with("one without SO_REUSEPORT joins", EADDRINUSE, bound(alone, port));
	close(fd[5]);
	is("one has gone: the 33rd", bound(fd[32], port), 0);
	is("another port, without SO_REUSEPORT", bound(alone, port + 1), 0);
	fails_with("one with SO_REUSEPORT joins", EADDRINUSE, bound(other, port + 1));
	return check_failed;
}

int main(int argc, char **argv)
{
	int processes = 1, threads = 1, group = 0, opt, sig, i;
	pthread_t thread;
	sigset_t usr1;

	while ((opt = getopt(argc, argv, "f:t:g")) != -1) {
		if (opt == 'f')
			processes = atoi(optarg);
		if (opt == 't')
			threads = atoi(optarg);
		if (opt == 'g')
			group = 1;
	}
	if (argc - optind == 2)
		return errnos((unsigned int)atoi(argv[optind + 1]));
	if (argc - optind != 1)
		return 2;
	count = mmap(NULL, FLOWS * sizeof(*count), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(count != MAP_FAILED, "mmap");
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	divert = opened(group);
	must(!bound(divert, (unsigned int)atoi(argv[optind])), "bind");
	for (i = 1; i < processes; i++) {
		if (!fork()) {
			reader(NULL);
			_exit(1);
		}
	}
	for (i = 0; i < threads; i++)
		must(!pthread_create(&thread, NULL, reader, NULL), "a thread");
	puts("end");
	fflush(stdout);
	while (!sigwait(&usr1, &sig))
		print();
	return 1;
}
