/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * borrow [-g] [-r N] PORT: borrows packets where they lie in the ring, 64 at a time, by
 * divert_borrow(), and writes them back unchanged by divert_send_loan(). They are never copied.
 *	-g  DIVERT_GSO
 *	-r  release each flow with its Nth packet, of both directions
 */
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "passed.h"

#define MANY 64

/* Packets of a flow, by its ports; of IPv4 without options. */
static unsigned int *seen_of(const unsigned char *packet)
{
	static unsigned int seen[65536];
	uint16_t ports[2];

	memcpy(ports, packet + 20, sizeof(ports));
	return &seen[ports[0] ^ ports[1]];
}

static void release(struct divert_loan *loan, int n, unsigned int nth)
{
	int i;

	for (i = 0; i < n; i++)
		if (++*seen_of(loan[i].packet) >= nth)
			loan[i].info.flags |= DIVERT_INFO_RELEASE_PASS;
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	struct divert_loan loan[MANY];
	int fd, i, n, sent, c, on = 1, gso = 0, nth = 0;

	while ((c = getopt(argc, argv, "gr:")) != -1) {
		if (c == 'r')
			nth = atoi(optarg);
		else if (c == 'g')
			gso = 1;
		else
			return 2;
	}
	if (optind + 1 != argc)
		errx(2, "usage: borrow [-g] [-r N] PORT");
	fd = divert_socket(AF_INET, 0);
	if (fd < 0)
		err(1, "divert_socket");
	addr.sin_port = htons((uint16_t)atoi(argv[optind]));
	if (divert_bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		err(1, "divert_bind");
	if (gso && divert_setsockopt(fd, SOL_DIVERT, DIVERT_GSO, &on, sizeof(on)))
		err(1, "DIVERT_GSO");
	ready();

	for (;;) {
		n = divert_borrow(fd, loan, MANY, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			err(1, "divert_borrow");
		}
		if (nth)
			release(loan, n, (unsigned int)nth);
		for (i = 0; i < n; i += sent) {
			sent = divert_send_loan(fd, loan + i, (unsigned int)(n - i), 0);
			if (sent < 1) {
				warn("divert_send_loan");
				divert_return(fd, loan + i, 1);
				sent = 1;
			} else {
				passed[0].n += (unsigned int)sent;
			}
		}
	}
}
