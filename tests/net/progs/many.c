/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program for tests that sends packets by sendmmsg(2), many in a call:
 *
 *	many WHAT...
 *
 * WHAT is one of these, each with *COUNT behind it:
 *	NAME	inbound on that interface, ":INDEX" included
 *	out	outbound, with "/ADDRESS" to go to, "@PORT" to come from, and "%BYTES" of length
 *	bad	inbound on the interface before, with a wrong header checksum
 *	short	something too short for a packet
 *
 * The packets are UDP and have their number, from 0, in the payload. If one fails, it is left out,
 * and the call is made again for the rest. Prints each call's result, or the errno's name.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np, sendmmsg */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MOST 4096
#define LEN  32

static uint8_t packet[MOST][2000];
static struct sockaddr_in to[MOST];
static struct iovec iov[MOST];
static struct mmsghdr msgs[MOST];

static void checksum(uint8_t *ip)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < 20; i += 2)
		sum += i == 10 ? 0 : ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = sum >> 8;
	ip[11] = sum;
}

/* [/ADDRESS][@PORT][%BYTES] */
static int make_out(uint8_t *p, const char *what)
{
	const char *at = strchr(what, '@'), *bytes = strchr(what, '%');
	char dst[INET_ADDRSTRLEN] = "";
	int port, len = bytes ? atoi(bytes + 1) : LEN;

	if (*what == '/') {
		memcpy(dst, what + 1, strcspn(what + 1, "@%"));
		inet_pton(AF_INET, dst, p + 16);
	}
	if (at) {
		port = atoi(at + 1);
		p[20] = port >> 8;
		p[21] = port;
	}
	p[2] = len >> 8;
	p[3] = len;
	p[24] = (len - 20) >> 8;
	p[25] = len - 20;
	return len;
}

/* A packet from a to b of tests/net/lib.sh. */
static void make(unsigned int n, const char *what)
{
	uint8_t *p = packet[n];
	int len = LEN;

	memcpy(p, (uint8_t[]){0x45, 0, 0, LEN, n >> 8, n, 0, 0, 64, IPPROTO_UDP}, 10);
	inet_pton(AF_INET, "10.1.0.1", p + 12);
	inet_pton(AF_INET, "10.2.0.1", p + 16);
	memcpy(p + 20, (uint8_t[]){4000 >> 8, 4000 & 255, 0, 9, 0, LEN - 20, 0, 0, 0, 0, n >> 8, n},
	       12);
	if (!strncmp(what, "out", 3))
		len = make_out(p, what + 3);
	checksum(p);
	to[n].sin_family = AF_INET;
	to[n].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	iov[n] = (struct iovec){p, len};
	if (!strncmp(what, "out", 3))
		to[n].sin_addr.s_addr = INADDR_ANY;
	else if (!strcmp(what, "bad"))
		p[10] ^= 1;
	else if (!strcmp(what, "short"))
		iov[n].iov_len = 19;
	else
		memcpy(to[n].sin_zero, what, strnlen(what, sizeof(to[n].sin_zero)));
	if (!strcmp(what, "bad") && n)
		to[n] = to[n - 1];
	msgs[n].msg_hdr = (struct msghdr){.msg_name = &to[n],
					  .msg_namelen = sizeof(to[n]),
					  .msg_iov = &iov[n],
					  .msg_iovlen = 1};
}

int main(int argc, char **argv)
{
	unsigned int n = 0, i = 0, times;
	char *star;
	int fd, rc;

	for (; argc > 1; argc--, argv++) {
		star = strchr(argv[1], '*');
		times = star ? strtoul(star + 1, NULL, 10) : 1;
		if (star)
			*star = 0;
		for (; times && n < MOST; times--, n++)
			make(n, argv[1]);
	}
	fd = socket(AF_INET, SOCK_RAW, 258);
	if (fd < 0) {
		perror("socket");
		return 1;
	}
	for (; i < n; i += rc < 1 ? 1 : rc) {
		rc = sendmmsg(fd, msgs + i, n - i, 0);
		printf("%s%s", i ? " " : "", rc < 0 ? strerrorname_np(errno) : "");
		if (rc >= 0)
			printf("%d", rc);
	}
	putchar('\n');
	return 0;
}
