/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program for tests that holds packets: hold PORT DPORT COUNT READY-FILE
 *
 * It holds UDP packets for DPORT and writes back all others at once. When it holds COUNT packets it
 * says "holding COUNT". At each SIGUSR1 it writes them back, says "released N, ERRNO N, ...", and
 * holds the next ones. At SIGTERM it prints, for the other packets, "others N failed N, descriptors
 * N", with the number of open descriptors. It uses plain sockets; divert-run makes them divert
 * sockets.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define KEPT_MAX 5000
#define ERRNOS	 200

static struct kept {
	struct sockaddr_in addr;
	size_t size;
	uint8_t *packet;
} kept[KEPT_MAX];
static size_t kepts;
static volatile sig_atomic_t release, stop;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "hold: %s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

/*
 * A signal just before a blocking call does not end the call. So SIGALRM follows until one was
 * seen.
 */
static void on_signal(int sig)
{
	const struct itimerval again = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};

	if (sig == SIGUSR1)
		release = 1;
	else if (sig == SIGTERM)
		stop = 1;
	if (sig != SIGALRM)
		setitimer(ITIMER_REAL, &again, NULL);
}

static bool is_for(const uint8_t *p, size_t size, unsigned int dport)
{
	size_t at = p[0] >> 4 == 6 ? 40 : (p[0] & 15u) * 4;
	uint8_t proto = p[0] >> 4 == 6 ? p[6] : p[9];

	return proto == IPPROTO_UDP && size >= at + 8 &&
	       (unsigned int)(p[at + 2] << 8 | p[at + 3]) == dport;
}

static void keep(const uint8_t *packet, size_t size, const struct sockaddr_in *addr, size_t count)
{
	struct kept *k = &kept[kepts++];

	must(kepts < KEPT_MAX, "too many");
	k->packet = malloc(size);
	must(k->packet, "malloc");
	memcpy(k->packet, packet, size);
	k->size = size;
	k->addr = *addr;
	if (kepts == count) {
		printf("holding %zu\n", kepts);
		fflush(stdout);
	}
}

static void let_go(int fd)
{
	unsigned long errors[ERRNOS] = {0};

	release = 0;
	for (size_t i = 0; i < kepts; i++) {
		struct kept *k = &kept[i];
		ssize_t n;

		/* the host's queues are shorter than this burst: natd tries again, too */
		do
			n = sendto(fd, k->packet, k->size, 0, (void *)&k->addr, sizeof(k->addr));
		while (n < 0 && (errno == ENOBUFS || errno == EINTR));
		errors[n == (ssize_t)k->size ? 0 : n < 0 && errno < ERRNOS ? errno : ERRNOS - 1]++;
		free(k->packet);
		if (i % 100 == 99)
			usleep(2000);
	}
	kepts = 0;
	printf("released %lu", errors[0]);
	for (int i = 1; i < ERRNOS; i++)
		if (errors[i])
			printf(", %s %lu", strerrorname_np(i), errors[i]);
	putchar('\n');
	fflush(stdout);
}

/*
 * libdivert makes this ring for packets that wait when the first one may wait. So there are 0 or 1,
 * by chance.
 */
static bool is_ring(const char *fd)
{
	char path[32], to[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%.10s", fd);
	return readlink(path, to, sizeof(to) - 1) > 0 && !strcmp(to, "anon_inode:[io_uring]");
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0, rings = 0;
	struct dirent *e;

	must(d, "/proc/self/fd");
	while ((e = readdir(d))) {
		rings += is_ring(e->d_name);
		n++;
	}
	closedir(d);
	return n - 3 - !!rings; /* without ".", ".." and this one */
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART */
	const struct itimerval never = {.it_value.tv_usec = 0};
	struct sockaddr_in addr = {.sin_family = AF_INET};
	unsigned long others = 0, failed = 0;
	static uint8_t packet[65535];
	unsigned int dport;
	size_t count;
	FILE *ready;
	int fd;

	if (argc != 5)
		return 2;
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	dport = (unsigned int)atoi(argv[2]);
	count = (size_t)atoi(argv[3]);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	fd = socket(AF_INET, SOCK_RAW, 258);
	must(fd >= 0, "socket");
	must(!bind(fd, (void *)&addr, sizeof(addr)), "bind");
	ready = fopen(argv[4], "w");
	must(ready && fprintf(ready, "%d\n", (int)getpid()) > 0 && !fclose(ready), argv[4]);

	while (!stop) {
		socklen_t len = sizeof(addr);
		ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (void *)&addr, &len);

		must(n >= 0 || errno == EINTR, "recvfrom");
		if (release) {
			setitimer(ITIMER_REAL, &never, NULL);
			let_go(fd);
		}
		if (n < 0)
			continue;
		if (is_for(packet, (size_t)n, dport)) {
			keep(packet, (size_t)n, &addr, count);
		} else {
			others++;
			failed += sendto(fd, packet, (size_t)n, 0, (void *)&addr, len) != n;
		}
	}
	printf("others %lu failed %lu, descriptors %d\n", others, failed, descriptors());
	return 0;
}
