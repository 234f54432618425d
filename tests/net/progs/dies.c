/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that end with packets in them: dies HOW FIRST COUNT EACH
 *
 * It binds COUNT sockets to the ports from FIRST on, and says "bound". At SIGUSR1 it reads EACH
 * packets from each socket and says "read". Then HOW decides:
 *	exits	it exits
 *	waits	it does nothing
 *	closes	it closes the sockets
 *	forks	it makes a child that waits as well
 *	passes	it sends the first socket to another process, which does not take it, and closes it
 *	shuts	it shuts the sockets down for receiving
 *
 * In all cases but exits it then says "ready" and waits to be killed. It uses plain sockets;
 * divert-run makes them divert sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKETS_MAX 4096

static int sock[SOCKETS_MAX];

static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "dies: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void pass_on(int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {"x", 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	int pair[2];

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	must(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "socketpair");
	must(sendmsg(pair[0], &m, 0) == 1, "sendmsg");
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	const struct rlimit many = {65536, 65536};
	int i, j, first, count, each, sig;
	sigset_t go;
	static char packet[65536];

	if (argc != 5)
		return 2;
	first = atoi(argv[2]);
	count = atoi(argv[3]);
	each = atoi(argv[4]);
	must(count <= SOCKETS_MAX, "count");
	setrlimit(RLIMIT_NOFILE, &many);
	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	for (i = 0; i < count; i++) {
		addr.sin_port = htons((uint16_t)(first + i));
		sock[i] = socket(AF_INET, SOCK_RAW, 258);
		must(sock[i] >= 0, "socket");
		must(!bind(sock[i], (struct sockaddr *)&addr, sizeof(addr)), "bind");
	}
	say("bound");
	sigwait(&go, &sig);
	for (i = 0; i < count; i++)
		for (j = 0; j < each; j++)
			must(recv(sock[i], packet, sizeof(packet), 0) > 0, "recv");
	say("read");
	if (!strcmp(argv[1], "exits"))
		return 0;
	if (!strcmp(argv[1], "forks")) {
		must(fork() >= 0, "fork");
	} else if (!strcmp(argv[1], "passes")) {
		pass_on(sock[0]);
		must(!close(sock[0]), "close");
	} else if (!strcmp(argv[1], "closes")) {
		for (i = 0; i < count; i++)
			must(!close(sock[i]), "close");
	} else if (!strcmp(argv[1], "shuts")) {
		for (i = 0; i < count; i++)
			must(!shutdown(sock[i], SHUT_RD), "shutdown");
	}
	say("ready");
	for (;;)
		pause();
}
