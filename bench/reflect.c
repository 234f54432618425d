/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The divert programs that are measured. They read packets and write them back unchanged, one by
 * one unless an option says otherwise. They know nothing of ipdivert; divert-run gives them the
 * sockets.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "passed.h"

#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 258
#endif
#define SOL_DIVERT 258
#define DIVERT_GSO 3

#define MANY 64 /* packets in one recvmmsg */

struct reader {
	unsigned int number;
	int fd;
};

static const char usage_text[] =
	"usage: reflect [options] PORT\n"
	"  -s        select(2) before each packet\n"
	"  -m        recvmmsg(2) and sendmmsg(2), 64 packets a call\n"
	"  -d        write nothing back\n"
	"  -g        the socket option DIVERT_GSO\n"
	"  -n COUNT  so many sockets in a SO_REUSEPORT group, each with a thread of its own (1)\n"
	"  -t        another thread, which sleeps\n"
	"  -b BYTES  of the buffer for a packet (65535; with -m 2048)\n";

static bool use_select, many, drop, gso, thread;
static size_t room;

static int open_socket(uint16_t port, bool share)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, fd = socket(PF_INET, SOCK_RAW, IPPROTO_DIVERT);

	if (fd < 0)
		err(1, "socket");
	if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		err(1, "SO_REUSEPORT");
	if (gso && setsockopt(fd, SOL_DIVERT, DIVERT_GSO, &on, sizeof(on)) < 0)
		err(1, "DIVERT_GSO");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		err(1, "bind");
	return fd;
}

static void wait_readable(int fd)
{
	fd_set set;

	do {
		FD_ZERO(&set);
		FD_SET(fd, &set);
	} while (select(fd + 1, &set, NULL, NULL, NULL) < 0 && errno == EINTR);
}

static void one_by_one(const struct reader *r)
{
	char *packet = malloc(room);
	struct sockaddr_in addr;
	socklen_t addrlen;
	ssize_t n;

	if (!packet)
		err(1, "malloc");
	for (;;) {
		if (use_select)
			wait_readable(r->fd);
		addrlen = sizeof(addr);
		n = recvfrom(r->fd, packet, room, 0, (struct sockaddr *)&addr, &addrlen);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			err(1, "recvfrom");
		}
		if (drop ||
		    sendto(r->fd, packet, (size_t)n, 0, (struct sockaddr *)&addr, addrlen) == n)
			passed[r->number].n++;
		else
			warn("sendto");
	}
}

static void write_back(const struct reader *r, struct mmsghdr *msgs, int n)
{
	int sent;

	for (; n; msgs += sent, n -= sent) {
		sent = sendmmsg(r->fd, msgs, (unsigned int)n, 0);
		if (sent < 1) {
			warn("sendmmsg");
			sent = 1; /* the packet is lost; skip it */
		} else {
			passed[r->number].n += (unsigned int)sent;
		}
	}
}

static void many_at_once(const struct reader *r)
{
	struct sockaddr_in from[MANY];
	struct mmsghdr msgs[MANY];
	struct iovec iov[MANY];
	char *packets = malloc(MANY * room);
	int i, n;

	if (!packets)
		err(1, "malloc");
	for (i = 0; i < MANY; i++) {
		iov[i].iov_base = packets + (size_t)i * room;
		msgs[i].msg_hdr =
			(struct msghdr){.msg_name = &from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
	}
	for (;;) {
		for (i = 0; i < MANY; i++) {
			iov[i].iov_len = room;
			msgs[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
		n = recvmmsg(r->fd, msgs, MANY, MSG_WAITFORONE, NULL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			err(1, "recvmmsg");
		}
		if (drop) {
			passed[r->number].n += (unsigned int)n;
			continue;
		}
		for (i = 0; i < n; i++)
			iov[i].iov_len = msgs[i].msg_len;
		write_back(r, msgs, n);
	}
}

static void *work(void *arg)
{
	if (many)
		many_at_once(arg);
	else
		one_by_one(arg);
	return NULL;
}

static void *rest(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static unsigned long number(const char *s, unsigned long min, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*end || end == s || n < min || n > max)
		errx(2, "%s: not a number from %lu to %lu", s, min, max);
	return n;
}

static void start(void *(*routine)(void *), void *arg)
{
	pthread_t one;

	errno = pthread_create(&one, NULL, routine, arg);
	if (errno)
		err(1, "pthread_create");
}

int main(int argc, char **argv)
{
	static struct reader reader[PASSED_THREADS];
	unsigned int i, readers = 1;
	uint16_t port;
	int c;

	while ((c = getopt(argc, argv, "smdgtn:b:")) != -1) {
		switch (c) {
		case 's':
			use_select = true;
			break;
		case 'm':
			many = true;
			break;
		case 'd':
			drop = true;
			break;
		case 'g':
			gso = true;
			break;
		case 't':
			thread = true;
			break;
		case 'n':
			readers = (unsigned int)number(optarg, 1, PASSED_THREADS);
			break;
		case 'b':
			room = number(optarg, 20, 65536);
			break;
		default:
			fputs(usage_text, stderr);
			return 2;
		}
	}
	if (argc != optind + 1) {
		fputs(usage_text, stderr);
		return 2;
	}
	if (!room)
		room = many ? 2048 : 65535;
	port = (uint16_t)number(argv[optind], 1, 65535);
	if (thread)
		start(rest, NULL);
	for (i = 0; i < readers; i++) {
		reader[i].number = i;
		reader[i].fd = open_socket(port, readers > 1);
	}
	ready();
	for (i = 1; i < readers; i++)
		start(work, &reader[i]);
	work(&reader[0]);
	return 1;
}
