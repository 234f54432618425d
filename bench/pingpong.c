/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Round trips of UDP datagrams, one after another at irregular moments:
 *
 *	pingpong -e PORT					answers
 *	pingpong [-r RATE] [-t MILLISECONDS] ADDRESS PORT	asks
 *
 * It prints, in nanoseconds: samples N lost N p50 N p99 N p99.9 N max N
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYTES	    36	      /* 64 with the headers */
#define LOST_US	    200000    /* a reply that takes longer is lost */
#define MOST	    (1 << 24) /* samples */
#define PATIENCE_MS 5000      /* the patience before the first reply */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	const struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000),
				    .tv_nsec = (long)(ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static void answer(struct sockaddr_in addr)
{
	int fd = open_socket();
	char buf[BYTES];
	socklen_t len;
	ssize_t n;

	addr.sin_addr.s_addr = INADDR_ANY;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		err(1, "bind");
	puts("ready");
	fflush(stdout);
	for (;;) {
		len = sizeof(addr);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&addr, &len);
		if (n < 0)
			err(1, "recvfrom");
		if (sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&addr, len) < 0)
			err(1, "sendto");
	}
}

/* ns, or 0 if there was no reply in time */
static uint64_t round_trip(int fd, uint64_t number)
{
	char buf[BYTES] = {0};
	const uint64_t start = now_ns();
	uint64_t got;
	ssize_t n;

	memcpy(buf, &number, sizeof(number));
	if (send(fd, buf, sizeof(buf), 0) < 0)
		err(1, "send");
	for (;;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			err(1, "recv");
		memcpy(&got, buf, sizeof(got));
		if (n == sizeof(buf) && got == number) /* else a reply that came too late */
			return now_ns() - start;
	}
}

static int order(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void ask(const struct sockaddr_in *addr, unsigned long rate, unsigned long ms)
{
	const struct timeval timeout = {.tv_usec = LOST_US};
	const uint64_t start = now_ns(), pause = 1000000000 / rate;
	uint64_t due = start, lost = 0, ns;
	uint64_t *sample = malloc(MOST * sizeof(*sample));
	size_t n = 0;
	int fd = open_socket();

	if (!sample)
		err(1, "malloc");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		err(1, "SO_RCVTIMEO");
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		err(1, "connect");
	while (now_ns() - start < (n ? ms : ms + PATIENCE_MS) * 1000000 && n < MOST) {
		/*
		 * The pause is half to one and a half of its mean, so that it keeps no beat with
		 * other traffic.
		 */
		due += pause / 2 + (uint64_t)rand() % pause;
		sleep_until(due);
		ns = round_trip(fd, n + lost);
		if (ns)
			sample[n++] = ns;
		else
			lost++;
		if (now_ns() > due)
			due = now_ns();
	}
	if (!n)
		errx(1, "no reply came, and %llu were lost", (unsigned long long)lost);
	qsort(sample, n, sizeof(*sample), order);
	printf("samples %zu lost %llu p50 %llu p99 %llu p99.9 %llu max %llu\n", n,
	       (unsigned long long)lost, (unsigned long long)sample[n * 50 / 100],
	       (unsigned long long)sample[n * 99 / 100], (unsigned long long)sample[n * 999 / 1000],
	       (unsigned long long)sample[n - 1]);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	unsigned long rate = 1000, ms = 1000;
	int c, echo = 0;

	while ((c = getopt(argc, argv, "er:t:")) != -1) {
		if (c == 'e')
			echo = 1;
		else if (c == 'r')
			rate = strtoul(optarg, NULL, 10);
		else if (c == 't')
			ms = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (argc != optind + (echo ? 1 : 2) || !rate || rate > 100000)
		errx(2, "usage: pingpong -e PORT | [-r RATE] [-t MILLISECONDS] ADDRESS PORT");
	prctl(PR_SET_TIMERSLACK, 1);
	addr.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
	if (echo)
		answer(addr);
	if (inet_pton(AF_INET, argv[optind], &addr.sin_addr) != 1)
		errx(2, "%s: not an IPv4 address", argv[optind]);
	ask(&addr, rate, ms);
	return fflush(stdout) ? 1 : 0;
}
