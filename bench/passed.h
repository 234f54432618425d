/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many packets went through a consumer, said when it is ended, so that bench/run can tell
 * whether what arrived behind it came through it at all.
 */
#ifndef BENCH_PASSED_H
#define BENCH_PASSED_H

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile unsigned long passed;

static void say_passed(int sig)
{
	char text[40];
	int n = snprintf(text, sizeof(text), "passed %lu\n", passed);

	_exit(write(STDOUT_FILENO, text, (size_t)n) != n);
}

/* Set up: says so on stdout, and counts when it gets SIGTERM. */
static void ready(void)
{
	signal(SIGTERM, say_passed);
	puts("ready");
	fflush(stdout);
}

#endif
