/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * borrow PORT: packets are lent where they lie, 64 at a time, and written back as they are, without
 * ever having been copied: divert_borrow(), divert_send_loan().
 */
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "passed.h"

#define MANY 64

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	struct divert_loan loan[MANY];
	int fd, i, n, sent;

	if (argc != 2)
		errx(2, "usage: borrow PORT");
	fd = divert_socket(AF_INET, 0);
	if (fd < 0)
		err(1, "divert_socket");
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	if (divert_bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		err(1, "divert_bind");
	ready();

	for (;;) {
		n = divert_borrow(fd, loan, MANY, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			err(1, "divert_borrow");
		}
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
