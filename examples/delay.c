// SPDX-License-Identifier: BSD-2-Clause
/*
 * Delay line: each packet goes on so many milliseconds after it came, in the order of coming. The
 * packets wait here, and the kernel has forgotten them: a socket remembers nothing between a
 * receive and a send.
 *
 *	ipfw add 100 divert 2000 ip from any to any out via eth0
 *	delay 2000 50
 */
#include "common.h"

#include <poll.h>
#include <time.h>

struct waiting {
	struct waiting *next;
	long long due; /* ms */
	struct sockaddr_in where;
	size_t len;
	unsigned char packet[];
};

static struct waiting *first, **end = &first;

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void take(int fd, long delay)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in where;
	size_t len = receive(fd, packet, &where);
	struct waiting *w = malloc(sizeof(*w) + len);

	if (!w)
		err(1, "a packet of %zu bytes", len);
	w->next = NULL;
	w->due = now_ms() + delay;
	w->where = where;
	w->len = len;
	memcpy(w->packet, packet, len);
	*end = w;
	end = &w->next;
}

/* Send what is due; how long until the next one is, -1 if none waits. */
static int give(int fd)
{
	struct waiting *w;

	while ((w = first)) {
		long long left = w->due - now_ms();

		if (left > 0)
			return (int)left;
		write_back(fd, w->packet, w->len, &w->where);
		first = w->next;
		if (!first)
			end = &first;
		free(w);
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct pollfd ready = {.events = POLLIN};
	long delay;
	int n;

	if (argc != 3)
		errx(2, "usage: delay PORT MILLISECONDS");
	delay = (long)number(argv[2], 60000);
	ready.fd = divert_open();
	divert_bind_to(ready.fd, argv[1]);
	for (;;) {
		n = poll(&ready, 1, give(ready.fd));
		if (n < 0 && errno != EINTR)
			err(1, "poll");
		if (n > 0)
			take(ready.fd, delay);
	}
}
