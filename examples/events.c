// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events: a loop that waits for several descriptors, here a divert socket for each family and the
 * terminal, by libdivert's own calls. poll(2) says that a divert socket is readable when anything
 * has come, also a fragment of a packet that is not complete yet: divert_ready() says whether there
 * is a packet. A line on the standard input is answered with what has passed; its end ends the
 * program. This is for Linux only: <divert.h> and
 *
 *	cc events.c $(pkg-config --cflags --libs libdivert)
 *
 *	ipfw add 100 divert 2000 ip4 from any to any in
 *	ipfw add 110 divert 2006 ip6 from any to any in
 *	events 2000 2006
 */
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long passed;

static int open_port(int family, const char *port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = divert_socket(family, SOCK_CLOEXEC), rc;

	if (fd < 0)
		err(1, "divert socket");
	in.sin_port = in6.sin6_port = htons((unsigned short)strtoul(port, NULL, 10));
	rc = family == AF_INET6 ? divert_bind(fd, (struct sockaddr *)&in6, sizeof(in6))
				: divert_bind(fd, (struct sockaddr *)&in, sizeof(in));
	if (rc)
		err(1, "divert port %s", port);
	return fd;
}

/* All packets that are there. The socket blocks; this does not. */
static void pass_on(int fd)
{
	static unsigned char packet[65535];
	struct sockaddr_in6 where; /* the longer one of the two */
	socklen_t len;
	ssize_t n;

	while (divert_ready(fd, 0) == 1) {
		len = sizeof(where);
		n = divert_recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&where, &len);
		if (n < 0)
			err(1, "receiving");
		if (divert_sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&where, len) < 0)
			warn("a packet of %zd bytes", n);
		else
			passed++;
	}
}

/* The earlier one of two timeouts of poll(2). */
static int earlier(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

int main(int argc, char **argv)
{
	struct pollfd p[3] = {{.events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}};
	char line[256];
	ssize_t n;

	if (argc != 3)
		errx(2, "usage: events PORT PORT6");
	p[0].fd = open_port(AF_INET, argv[1]);
	p[1].fd = open_port(AF_INET6, argv[2]);
	p[2].fd = STDIN_FILENO;
	for (;;) {
		pass_on(p[0].fd);
		pass_on(p[1].fd);
		if (poll(p, 3, earlier(divert_timeout(p[0].fd), divert_timeout(p[1].fd))) < 0 &&
		    errno != EINTR)
			err(1, "poll");
		if (!p[2].revents)
			continue;
		n = read(STDIN_FILENO, line, sizeof(line));
		if (n <= 0)
			return 0;
		printf("%lu packets\n", passed);
		fflush(stdout);
	}
}
