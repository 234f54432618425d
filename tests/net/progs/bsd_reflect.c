/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program in FreeBSD's style. It compiles with the compatibility headers only:
 *
 *	bsd_reflect PORT COUNT
 *
 * It tries the socket of FreeBSD 14 first, then that of older releases. It waits in select(2),
 * reads one packet, and writes it back to the address that it came with. It exits with 0 after
 * COUNT packets.
 */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int divert_open(const char **form)
{
	int fd;

	*form = "PF_DIVERT";
	fd = socket(PF_DIVERT, SOCK_RAW, 0);
	if (fd == -1 &&
	    (errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT || errno == EPFNOSUPPORT)) {
		*form = "PF_INET";
		fd = socket(PF_INET, SOCK_RAW, IPPROTO_DIVERT);
	}
	return fd;
}

static unsigned long number(const char *text, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value == 0 || value > most)
		errx(EX_USAGE, "%s: not a number from 1 to %lu", text, most);
	return value;
}

int main(int argc, char **argv)
{
	static unsigned char packet[IP_MAXPACKET];
	struct sockaddr_in sin;
	unsigned long left;
	const char *form;
	int fd;

	if (argc != 3)
		errx(EX_USAGE, "usage: bsd_reflect PORT COUNT");

	fd = divert_open(&form);
	if (fd == -1)
		err(EX_UNAVAILABLE, "socket");

	/* The address is not cleared: FreeBSD ignores the rest of it, and so do programs. */
	memset(&sin, 0xa5, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = INADDR_ANY;
	sin.sin_port = htons((in_port_t)number(argv[1], 65535));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(EX_UNAVAILABLE, "bind: port %s", argv[1]);
	left = number(argv[2], ~0UL);

	printf("bound %s port %s\n", form, argv[1]);
	fflush(stdout);

	while (left > 0) {
		socklen_t len = sizeof(sin);
		ssize_t n;
		fd_set readable;

		FD_ZERO(&readable);
		FD_SET(fd, &readable);
		if (select(fd + 1, &readable, NULL, NULL, NULL) == -1) {
			if (errno == EINTR)
				continue;
			err(EX_OSERR, "select");
		}
		if (!FD_ISSET(fd, &readable))
			continue;

		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&sin, &len);
		if (n == -1) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			err(EX_OSERR, "recvfrom");
		}
		if (len != sizeof(sin) || sin.sin_family != AF_INET)
			errx(EX_PROTOCOL, "recvfrom: address of %u bytes, family %d", (unsigned)len,
			     sin.sin_family);

		/*
		 * FreeBSD gives the same: the rule's number in host order, and the interface's
		 * address, or 0 on the way out.
		 */
		printf("%zd bytes rule %u %s %s %.8s\n", n, sin.sin_port,
		       sin.sin_addr.s_addr == INADDR_ANY ? "out" : "in", inet_ntoa(sin.sin_addr),
		       (const char *)sin.sin_zero);
		fflush(stdout);

		if (sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&sin, len) != n)
			err(EX_OSERR, "sendto: %zd bytes", n);
		left--;
	}
	return 0;
}
