// SPDX-License-Identifier: BSD-2-Clause
/*
 * Flows: a line for the first packet of each flow. The flow is released with it: its other packets
 * go on in the kernel, and the program does not see them. This is for Linux only: <divert.h> and
 *
 *	cc flows.c $(pkg-config --cflags --libs libdivert)
 *
 *	ipfw add 100 divert 2000 ip from any to any
 *	flows 2000
 */
#include <arpa/inet.h>
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 64

static void print(const struct divert_loan *loan)
{
	const unsigned char *packet = loan->packet;
	const int six = packet[0] >> 4 == 6, family = six ? AF_INET6 : AF_INET;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	inet_ntop(family, packet + (six ? 8 : 12), from, sizeof(from));
	inet_ntop(family, packet + (six ? 24 : 16), to, sizeof(to));
	printf("%s %s > %s protocol %u\n", loan->info.flags & DIVERT_INFO_OUT ? "out" : "in", from,
	       to, packet[six ? 6 : 9]);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct divert_loan loan[BATCH];
	int fd, i, n;

	if (argc != 2)
		errx(2, "usage: flows PORT");
	setlinebuf(stdout);
	sin.sin_port = htons((unsigned short)strtoul(argv[1], NULL, 10));
	fd = divert_socket(AF_INET, SOCK_CLOEXEC);
	if (fd < 0 || divert_bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		errx(1, "%s", divert_error());
	for (;;) {
		n = divert_borrow(fd, loan, BATCH, 0);
		if (n < 0 && errno != EINTR)
			err(1, "borrowing");
		for (i = 0; i < n; i++) {
			print(&loan[i]);
			loan[i].info.flags |= DIVERT_INFO_RELEASE_PASS;
			if (divert_send_loan(fd, &loan[i], 1, 0) < 0) {
				warn("a packet of %u bytes", loan[i].info.length);
				divert_return(fd, &loan[i], 1); /* dropped */
			}
		}
	}
}
