/* SPDX-License-Identifier: BSD-2-Clause */
/* For test programs that check themselves: they print cases as lib.sh's functions do. */
#ifndef CHECK_H
#define CHECK_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int check_failed;

__attribute__((format(printf, 2, 3))) static void check(int good, const char *format, ...)
{
	va_list args;

	printf(good ? "ok " : "not ok ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	check_failed |= !good;
}

/* Compares what a call returned with what it should return. */
#define is(what, got, expected)                                                                    \
	do {                                                                                       \
		long got_ = (long)(got), expected_ = (long)(expected);                             \
		check(got_ == expected_, got_ == expected_ ? "%s" : "%s: got %ld, expected %ld",   \
		      what, got_, expected_);                                                      \
	} while (0)

/* The call must fail with this errno. */
#define fails_with(what, error, call)                                                              \
	do {                                                                                       \
		long got_;                                                                         \
		int errno_;                                                                        \
		errno = 0;                                                                         \
		got_ = (long)(call);                                                               \
		errno_ = errno;                                                                    \
		check(got_ == -1 && errno_ == (error),                                             \
		      got_ == -1 && errno_ == (error) ? "%s: %s" : "%s: expected %s, got %ld, %s", \
		      what, strerrorname_np(error), got_,                                          \
		      errno_ ? strerrorname_np(errno_) : "no error");                              \
	} while (0)

static inline void must(int good, const char *what)
{
	if (good)
		return;
	printf("not ok %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline struct sockaddr_in address4(const char *text, unsigned int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, text, &in.sin_addr);
	return in;
}

#endif
