/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program for tests: edges PORT. It sleeps in epoll(7) with EPOLLET and then reads all
 * packets that are there. It ends when nothing has come for a second. It prints how many packets it
 * got, and how often there were packets that it had not been woken for.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, 258), set = epoll_create1(0);
	unsigned int got = 0, lost = 0, n;
	static char packet[65535];
	bool woken;

	if (argc != 2)
		errx(2, "usage: edges PORT");
	at.sin_port = htons(atoi(argv[1]));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "socket, bind");
	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
	puts("ready");
	fflush(stdout);
	do {
		woken = epoll_wait(set, &event, 1, 1000);
		for (n = 0; recv(fd, packet, sizeof(packet), 0) > 0; n++)
			;
		got += n;
		lost += n && !woken;
	} while (n || woken || !got);
	printf("got %u lost %u\n", got, lost);
	return 0;
}
