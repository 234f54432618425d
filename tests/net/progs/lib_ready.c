/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers of libdivert for a socket that has only fragments: lib_ready PORT IF. A rule diverts
 * UDP to 10.9.1.3 to PORT. The fragments are written inbound on IF by a socket of this program.
 */
#include "check.h"

#include <divert.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/time.h>

#define HALF 1200 /* bytes of each of a packet's two fragments */

static int in, out;
static const char *interface;

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* Injects the first or the second half of a packet. */
static void inject(int id, int second)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = 1};
	uint8_t b[20 + HALF] = {0x45};
	unsigned int i, sum = 0;

	put16(b + 2, sizeof(b));
	put16(b + 4, id);
	put16(b + 6, second ? HALF / 8 : 0x2000);
	b[8] = 64;
	b[9] = IPPROTO_UDP;
	inet_pton(AF_INET, "10.1.0.1", b + 12);
	inet_pton(AF_INET, "10.9.1.3", b + 16);
	for (i = 0; i < 20; i += 2)
		sum += b[i] << 8 | b[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(b + 10, ~sum);
	if (!second) {
		put16(b + 22, 9);
		put16(b + 24, 2 * HALF);
	}
	strncpy((char *)at.sin_zero, interface, sizeof(at.sin_zero) - 1);
	must(divert_sendto(out, b, sizeof(b), 0, (struct sockaddr *)&at, sizeof(at)) == sizeof(b),
	     "inject");
}

static int polled(int ms)
{
	struct pollfd p = {.fd = in, .events = POLLIN};

	return poll(&p, 1, ms);
}

static void fragments(void)
{
	const struct timeval timeout = {.tv_usec = 100000}, none = {0};
	long start;
	char b[4096];

	is("nothing there: divert_ready", divert_ready(in, 0), 0);
	is("nothing waits: divert_timeout", divert_timeout(in), -1);
	inject(1, 0);
	is("a fragment alone: poll", polled(5000), 1);
	is("a fragment alone: divert_ready", divert_ready(in, 0), 0);
	is("then poll knows it", polled(20), 0);
	inject(2, 0);
	is("a fragment alone: divert_ready looks for a while", divert_ready(in, 1), 0);
	inject(3, 0);
	is("a fragment alone: divert_nread", divert_nread(in), 0);
	inject(4, 0);
	fails_with("a fragment alone: EAGAIN", EAGAIN, divert_recv(in, b, sizeof(b), MSG_DONTWAIT));
	inject(5, 0);
	must(!divert_setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), "timeout");
	start = now_ms();
	fails_with("a fragment alone: SO_RCVTIMEO", EAGAIN, divert_recv(in, b, sizeof(b), 0));
	check(now_ms() - start >= 100 && now_ms() - start < 1000, "in time");
	must(!divert_setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)), "timeout");
	check(divert_timeout(in) > 20000 && divert_timeout(in) <= 30000,
	      "a fragment waits: divert_timeout");
	inject(3, 1);
	is("the whole packet: divert_ready", divert_ready(in, 0), 1);
	is("the whole packet: poll", polled(0), 1);
	is("the whole packet: divert_nread", divert_nread(in), 20 + 2 * HALF);
	is("the whole packet: there still", divert_ready(in, 1), 1);
	is("the whole packet", divert_recv(in, b, sizeof(b), 0), 20 + 2 * HALF);
	is("it has been read: divert_ready", divert_ready(in, 0), 0);
	is("it has been read: poll", polled(0), 0);
}

/* Waits as an event loop does that uses libdivert. */
static void edges(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int set = epoll_create1(0), i;
	char b[4096];

	must(divert_writer(in) >= 0, "divert_writer");
	must(!epoll_ctl(set, EPOLL_CTL_ADD, in, &event), "epoll_ctl");
	for (i = 10; i < 20; i++) {
		inject(i, 1);
		must(epoll_wait(set, &event, 1, 5000) == 1, "an edge: a fragment");
		must(!divert_ready(in, 0), "a fragment");
		must(!epoll_wait(set, &event, 1, 0), "an edge too many");
		inject(i, 0);
		must(epoll_wait(set, &event, 1, 5000) == 1, "an edge: the packet");
		must(divert_ready(in, 0) == 1, "the packet");
		must(divert_recv(in, b, sizeof(b), 0) == 20 + 2 * HALF, "divert_recv");
		must(!divert_ready(in, 0), "it has been read");
	}
	check(1, "each edge is told");
	close(set);
}

static void lent(void)
{
	struct divert_loan loan;

	inject(30, 0);
	inject(30, 1);
	must(divert_borrow(in, &loan, 1, 0) == 1, "divert_borrow");
	is("lent: divert_ready", divert_ready(in, 0), 1);
	must(!divert_return(in, &loan, 1), "divert_return");
	is("returned: divert_ready", divert_ready(in, 0), 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};

	if (argc != 3)
		return 2;
	interface = argv[2];
	at.sin_port = htons(atoi(argv[1]));
	in = divert_socket(AF_INET, 0);
	out = divert_socket(AF_INET, 0);
	must(in >= 0 && out >= 0 && !divert_bind(in, (struct sockaddr *)&at, sizeof(at)), "socket");
	fragments();
	edges();
	lent();
	must(!divert_shutdown(in, SHUT_RD), "shutdown");
	is("after SHUT_RD: divert_ready", divert_ready(in, 0), 1);
	fails_with("no divert socket: divert_ready", ENOTSOCK, divert_ready(0, 0));
	fails_with("no divert socket: divert_timeout", ENOTSOCK, divert_timeout(0));
	puts("done");
	return check_failed;
}
