// SPDX-License-Identifier: BSD-2-Clause
/*
 * ualarm(3) of a second or more. The BSDs accept it, and natd uses it to give itself ten seconds to
 * end; glibc refuses it.
 */
#include "interpose/next.h"

#include <errno.h>
#include <limits.h>
#include <sys/time.h>

#define SECOND 1000000u

static struct timeval split(useconds_t us)
{
	return (struct timeval){.tv_sec = us / SECOND, .tv_usec = us % SECOND};
}

PUBLIC useconds_t ualarm(useconds_t value, useconds_t interval)
{
	const struct itimerval want = {.it_interval = split(interval), .it_value = split(value)};
	struct itimerval was;

	if (setitimer(ITIMER_REAL, &want, &was))
		return (useconds_t)-1;
	if (was.it_value.tv_sec >= UINT_MAX / SECOND)
		return UINT_MAX;
	return (useconds_t)(was.it_value.tv_sec * SECOND + was.it_value.tv_usec);
}
