/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meter DEV WARM-UP MILLISECONDS: waits for the warm-up (in milliseconds too), then prints how many
 * packets a second the interface received during that time, by its own statistics.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sample {
	uint64_t packets;
	double seconds;
};

static void take(const char *dev, struct sample *s)
{
	unsigned long long packets;
	struct timespec ts;
	char line[512];
	size_t len = strlen(dev);
	FILE *f = fopen("/proc/self/net/dev", "re");

	if (!f) {
		fprintf(stderr, "meter: /proc/self/net/dev: %s\n", strerror(errno));
		exit(1);
	}
	while (fgets(line, sizeof(line), f)) {
		char *name = line + strspn(line, " ");

		if (strncmp(name, dev, len) || name[len] != ':')
			continue;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		if (sscanf(name + len + 1, "%*u %llu", &packets) != 1)
			break;
		s->packets = packets;
		s->seconds = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
		fclose(f);
		return;
	}
	fprintf(stderr, "meter: %s: no such interface\n", dev);
	exit(1);
}

static void wait_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

int main(int argc, char **argv)
{
	struct sample a, b;

	if (argc != 4) {
		fputs("usage: meter DEV WARM-UP MILLISECONDS\n", stderr);
		return 2;
	}
	wait_ms(atol(argv[2]));
	take(argv[1], &a);
	wait_ms(atol(argv[3]));
	take(argv[1], &b);
	printf("%.0f\n", (double)(b.packets - a.packets) / (b.seconds - a.seconds));
	return 0;
}
