/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends UDP packets at a given rate from an ordinary socket, and sleeps in between. The generator
 * keeps its CPU busy at any rate. This one leaves the CPU to others while it sleeps, so that the
 * time that the CPUs are busy can be compared.
 *
 *	sender -r RATE [-b BURST] [-l BYTES] ADDRESS PORT
 *
 * It sends BURST packets at a time. BYTES is the IP packet's length. It goes on until it is ended.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADERS	  28 /* of IPv4 and UDP */
#define BURST_MAX 64
#define BYTES_MAX 9000
#define LATE_NS	  10000000 /* if it was held up for longer, it does not catch up */

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Send until told to stop; return how many were sent. */
static uint64_t run(int fd, unsigned long rate, unsigned int burst, size_t bytes)
{
	static char payload[BYTES_MAX];
	struct mmsghdr msgs[BURST_MAX];
	struct iovec iov = {.iov_base = payload, .iov_len = bytes - HEADERS};
	uint64_t sent = 0, due = now_ns();
	struct timespec ts;
	unsigned int i;
	int n;

	for (i = 0; i < burst; i++)
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
	while (!stop) {
		due += 1000000000ull * burst / rate;
		if (now_ns() > due + LATE_NS)
			due = now_ns();
		ts = (struct timespec){.tv_sec = (time_t)(due / 1000000000),
				       .tv_nsec = (long)(due % 1000000000)};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		n = sendmmsg(fd, msgs, burst, 0);
		if (n < 0 && errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED)
			err(1, "sendmmsg");
		if (n > 0)
			sent += (unsigned int)n;
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	struct sigaction sa = {.sa_handler = on_signal};
	unsigned long rate = 0, burst = 1, bytes = 64;
	uint64_t start, sent;
	int c, fd;

	while ((c = getopt(argc, argv, "r:b:l:")) != -1) {
		if (c == 'r')
			rate = strtoul(optarg, NULL, 10);
		else if (c == 'b')
			burst = strtoul(optarg, NULL, 10);
		else if (c == 'l')
			bytes = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (argc != optind + 2 || !rate || !burst || burst > BURST_MAX || bytes < HEADERS ||
	    bytes > BYTES_MAX)
		errx(2, "usage: sender -r RATE [-b BURST] [-l BYTES] ADDRESS PORT");
	if (inet_pton(AF_INET, argv[optind], &addr.sin_addr) != 1)
		errx(2, "%s: not an IPv4 address", argv[optind]);
	addr.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	prctl(PR_SET_TIMERSLACK, 1);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		err(1, "socket");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		err(1, "connect");
	start = now_ns();
	sent = run(fd, rate, (unsigned int)burst, bytes);
	printf("sent %llu packets in %.3f s\n", (unsigned long long)sent,
	       (double)(now_ns() - start) / 1e9);
	return fflush(stdout) ? 1 : 0;
}
