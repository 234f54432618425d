/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * progs/waits.c with libevent: event_waits METHOD PORT PORT6. METHOD is one of libevent's, chosen
 * by its environment variables (EVENT_NOEPOLL, EVENT_NOPOLL), or edge: epoll with EV_ET.
 */
#include <arpa/inet.h>
#include <err.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int edge;

static void serve(evutil_socket_t fd, short what, void *arg)
{
	static char packet[65535];
	struct sockaddr_storage from;
	socklen_t fromlen = sizeof(from);
	ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (void *)&from, &fromlen);

	(void)what;
	while (n >= 0) {
		if (sendto(fd, packet, n, 0, (void *)&from, fromlen) != n)
			err(1, "sendto");
		puts(arg);
		fflush(stdout);
		if (!edge)
			return;
		fromlen = sizeof(from);
		n = recvfrom(fd, packet, sizeof(packet), MSG_DONTWAIT, (void *)&from, &fromlen);
	}
}

static void add(struct event_base *base, int family, int port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(family, SOCK_RAW, 258);
	struct event *event;

	if (fd < 0 || (family == AF_INET6 ? bind(fd, (void *)&in6, sizeof(in6))
					  : bind(fd, (void *)&in, sizeof(in))))
		err(1, "socket, bind to %d", port);
	event = event_new(base, fd, EV_READ | EV_PERSIST | (edge ? EV_ET : 0), serve,
			  family == AF_INET6 ? "6" : "4");
	if (!event || event_add(event, NULL))
		errx(1, "event");
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();

	if (argc != 4 || !base)
		errx(2, "usage: event_waits METHOD PORT PORT6");
	edge = !strcmp(argv[1], "edge");
	if (!edge && strcmp(argv[1], event_base_get_method(base)))
		errx(1, "the method is %s", event_base_get_method(base));
	add(base, AF_INET, atoi(argv[2]));
	add(base, AF_INET6, atoi(argv[3]));
	printf("ready %d\n", getpid());
	fflush(stdout);
	return event_base_dispatch(base);
}
