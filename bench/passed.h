/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts how many packets went through a consumer. The consumer prints the count on SIGUSR1 and at
 * its end. By it bench/run knows whether the packets that arrived came through the consumer at all,
 * and how fast a consumer reads that writes nothing back.
 */
#ifndef BENCH_PASSED_H
#define BENCH_PASSED_H

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PASSED_THREADS 32

/* Each thread has one, in a cache line of its own. */
static struct {
	volatile unsigned long n;
} __attribute__((aligned(64))) passed[PASSED_THREADS];

static void say_passed(int sig)
{
	unsigned long n = 0;
	struct timespec ts;
	char text[80];
	int i, len;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	for (i = 0; i < PASSED_THREADS; i++)
		n += passed[i].n;
	len = snprintf(text, sizeof(text), "passed %lu at %lld.%09ld\n", n, (long long)ts.tv_sec,
		       ts.tv_nsec);
	if (write(STDOUT_FILENO, text, (size_t)len) != len || sig == SIGTERM)
		_exit(sig != SIGTERM);
}

/* Set up: print that the consumer is ready, and count from now on. */
static void ready(void)
{
	struct sigaction sa = {.sa_handler = say_passed, .sa_flags = SA_RESTART};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	puts("ready");
	fflush(stdout);
}

#endif
