/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what OpenBSD's udpbench -D recv does, with the same calls: it counts diverted packets and
 * does not pass them on.
 *
 *	bsd_udpbench [-b BUFSIZE] [-i IDLE] [-m MMSGLEN] [-t TIMEOUT] LENGTH [HOST]
 *
 * It looks up an address for UDP, and makes its socket a divert socket. It ends after IDLE seconds
 * without a packet, or with SIGALRM, TIMEOUT + IDLE + 1 seconds after the start.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE	  "12345"
#define TIMEOUT	  100000 /* us, of one call */
#define MOST_MSGS 1024

static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
	(void)sig;
	alarmed = 1;
}

static void any_address(struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		memset(&((struct sockaddr_in *)sa)->sin_addr, 0, sizeof(struct in_addr));
	else
		memset(&((struct sockaddr_in6 *)sa)->sin6_addr, 0, sizeof(struct in6_addr));
}

static int bound_socket(const char *host, int *family)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
				       .ai_protocol = IPPROTO_UDP,
				       .ai_flags = AI_PASSIVE};
	struct addrinfo *all, *i;
	int fd = -1, error;

	error = getaddrinfo(host, SERVICE, &hints, &all);
	if (error)
		errx(1, "getaddrinfo: %s", gai_strerror(error));
	for (i = all; i; i = i->ai_next) {
		i->ai_socktype = SOCK_RAW;
		i->ai_protocol = IPPROTO_DIVERT;
		fd = socket(i->ai_family, i->ai_socktype, i->ai_protocol);
		if (fd == -1)
			continue;
		any_address(i->ai_addr);
		*family = i->ai_family;
		if (bind(fd, i->ai_addr, i->ai_addrlen) == 0)
			break;
		close(fd);
		fd = -1;
	}
	if (fd == -1)
		err(1, "divert socket");
	freeaddrinfo(all);
	return fd;
}

static void say_name(int fd)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int error;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		err(1, "getsockname");
	error = getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM);
	if (error)
		errx(1, "getnameinfo: %s", gai_strerror(error));
	printf("sockname: %s %s\n", host, port);
}

/* All messages share one buffer, since nobody looks at their contents. */
static unsigned long count_packets(int fd, size_t size, unsigned int msgs, int idle)
{
	const struct timeval timeout = {.tv_usec = TIMEOUT};
	static struct mmsghdr msg[MOST_MSGS];
	struct iovec iov = {.iov_base = malloc(size + 1), .iov_len = size + 1};
	unsigned long packets = 1;
	long bored = 0;
	ssize_t n;
	unsigned int i;

	for (i = 0; i < msgs; i++)
		msg[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
	n = recv(fd, iov.iov_base, size + 1, 0); /* waits without a time limit */
	if (n == -1)
		err(1, "recv first");
	if ((size_t)n != size)
		warnx("a packet of %zd bytes, not %zu", n, size);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == -1)
		err(1, "SO_RCVTIMEO");
	while (!alarmed) {
		if (msgs)
			n = recvmmsg(fd, msg, msgs, 0, NULL);
		else
			n = recv(fd, iov.iov_base, size + 1, 0) == -1 ? -1 : 1;
		if (n == -1) {
			if (errno == EWOULDBLOCK && idle && ++bored * TIMEOUT > 1000000L * idle)
				break;
			if (errno != EWOULDBLOCK && errno != EINTR)
				err(1, "recv");
			continue;
		}
		bored = 0;
		packets += (unsigned long)n;
	}
	free(iov.iov_base);
	return packets;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = (int)SA_RESETHAND};
	int ch, fd, family, buffer = 0, idle = 1, timeout = 1;
	unsigned int msgs = 0;
	unsigned long packets;
	size_t size;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((ch = getopt(argc, argv, "b:i:m:t:")) != -1)
		if (ch == 'b')
			buffer = atoi(optarg);
		else if (ch == 'i')
			idle = atoi(optarg);
		else if (ch == 'm')
			msgs = (unsigned int)atoi(optarg) % MOST_MSGS;
		else if (ch == 't')
			timeout = atoi(optarg);
	if (optind == argc)
		errx(1, "no length given");
	if (sigaction(SIGALRM, &action, NULL) == -1)
		err(1, "sigaction");
	fd = bound_socket(argv[optind + 1], &family);
	size = (size_t)atoi(argv[optind]) + sizeof(struct udphdr) +
	       (family == AF_INET ? sizeof(struct ip) : sizeof(struct ip6_hdr));
	if (buffer && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) == -1)
		err(1, "SO_RCVBUF %d", buffer);
	say_name(fd);
	alarm((unsigned int)(timeout + idle + 1));
	packets = count_packets(fd, size, msgs, idle);
	if (close(fd) == -1)
		err(1, "close");
	printf("recv: %lu packets, %s\n", packets, alarmed ? "alarm" : "idle");
	return 0;
}
