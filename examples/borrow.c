// SPDX-License-Identifier: BSD-2-Clause
/*
 * Borrow: packets are looked at where they lie, in the socket's buffer, many at a time, and written
 * on or dropped without ever having been copied. Here those longer than so many bytes are dropped.
 * This is for Linux only: <divert.h> and
 *
 *	cc borrow.c $(pkg-config --cflags --libs libdivert)
 *
 *	ipfw add 100 divert 2000 ip from any to any out
 *	borrow 2000 1000
 */
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

/* Write them all. One that cannot go on, because its route has gone, say, is dropped. */
static void write_on(int fd, const struct divert_loan *loan, unsigned int n)
{
	int done;

	while (n) {
		done = divert_send_loan(fd, loan, n, 0);
		if (done < 0) {
			warn("a packet of %u bytes", loan->info.length);
			divert_return(fd, loan, 1);
			done = 1;
		}
		loan += done;
		n -= (unsigned int)done;
	}
}

/* The first packets, up to n, of which all are too long, or none is. */
static unsigned int alike(const struct divert_loan *loan, unsigned int n, unsigned long most)
{
	unsigned int i = 1;

	while (i < n && (loan[i].info.length > most) == (loan[0].info.length > most))
		i++;
	return i;
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct divert_loan loan[BATCH];
	unsigned int i, part;
	unsigned long most;
	int fd, n;

	if (argc != 3)
		errx(2, "usage: borrow PORT BYTES");
	sin.sin_port = htons((unsigned short)strtoul(argv[1], NULL, 10));
	most = strtoul(argv[2], NULL, 10);
	fd = divert_socket(AF_INET, SOCK_CLOEXEC);
	if (fd < 0 || divert_bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		errx(1, "%s", divert_error());
	for (;;) {
		n = divert_borrow(fd, loan, BATCH, 0);
		if (n < 0 && errno != EINTR)
			err(1, "borrowing");
		for (i = 0; n > 0 && i < (unsigned int)n; i += part) {
			part = alike(loan + i, (unsigned int)n - i, most);
			if (loan[i].info.length > most)
				divert_return(fd, loan + i, part); /* dropped */
			else
				write_on(fd, loan + i, part);
		}
	}
}
