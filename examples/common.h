/* SPDX-License-Identifier: BSD-2-Clause */
/* What the examples share: a socket that is bound, a packet written, a checksum. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_MAX 65535

/* The whole of text as a number from 1 to most. */
static inline unsigned long number(const char *text, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || !n || n > most)
		errx(2, "%s: not a number from 1 to %lu", text, most);
	return n;
}

/* FreeBSD 14 and later have a family of its own for it, older ones and OpenBSD a protocol. */
static inline int divert_open(void)
{
	int fd = -1;

#ifdef PF_DIVERT
	fd = socket(PF_DIVERT, SOCK_RAW, 0);
#endif
#ifdef IPPROTO_DIVERT
	if (fd < 0)
		fd = socket(PF_INET, SOCK_RAW, IPPROTO_DIVERT);
#endif
	if (fd < 0)
		err(1, "divert socket");
	return fd;
}

static inline void divert_bind_to(int fd, const char *port)
{
	struct sockaddr_in sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((unsigned short)number(port, 65535));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		err(1, "divert port %s", port);
}

/* The next packet, and where it was; a signal that has a handler does not end the wait. */
static inline size_t receive(int fd, unsigned char packet[PACKET_MAX], struct sockaddr_in *from)
{
	socklen_t len = sizeof(*from);
	ssize_t n;

	do
		n = recvfrom(fd, packet, PACKET_MAX, 0, (struct sockaddr *)from, &len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		err(1, "recvfrom");
	return (size_t)n;
}

/*
 * Back to where it was: the address says it all. A packet that cannot go on, because a route or an
 * interface has gone, or there is no room for the moment, is lost as it would be in the stack: that
 * is no reason to end.
 */
static inline void write_back(int fd, const unsigned char *packet, size_t len,
			      const struct sockaddr_in *to)
{
	if (sendto(fd, packet, len, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
		warn("a packet of %zu bytes", len);
}

/* Part of an Internet checksum (RFC 1071), over data in network order; start with 0. */
static inline unsigned long sum_of(const void *data, size_t len, unsigned long sum)
{
	const unsigned char *p = data;

	for (; len > 1; p += 2, len -= 2)
		sum += (unsigned long)p[0] << 8 | p[1];
	if (len)
		sum += (unsigned long)p[0] << 8;
	return sum;
}

/* The checksum as it stands in the packet. */
static inline unsigned short sum_end(unsigned long sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((unsigned short)~sum);
}

#endif
