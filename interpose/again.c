// SPDX-License-Identifier: BSD-2-Clause
#include "interpose/again.h"

#include "interpose/next.h"

#include <errno.h>

#define SECOND 1000000000ll
#define LONG   (1ll << 32) /* seconds; longer timeouts count as infinite */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* The kernel rejects invalid ones. */
static bool is_valid(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < SECOND;
}

void again_begin(struct again *a, const struct timespec *timeout, const sigset_t *mask)
{
	a->timeout = timeout;
	a->mask = mask;
	a->blocked = false;
	a->end = INT64_MAX;
	if (timeout && (!is_valid(timeout) || (!timeout->tv_sec && !timeout->tv_nsec)))
		a->end = 0; /* do not wait a second time */
	else if (timeout && timeout->tv_sec < LONG)
		a->end = now_ns() + timeout->tv_sec * SECOND + timeout->tv_nsec;
}

const struct timespec *again_time(struct again *a, int look)
{
	const struct timespec *first = a->timeout;
	int64_t ns;

	a->timeout = NULL;
	if (!a->end || (first && look < 0))
		return first;
	if (a->end == INT64_MAX && look < 0)
		return NULL;
	ns = a->end == INT64_MAX ? INT64_MAX : a->end - now_ns();
	if (look >= 0 && ns > look * 1000000ll)
		ns = look * 1000000ll;
	if (ns < 0)
		ns = 0;
	a->left.tv_sec = ns / SECOND;
	a->left.tv_nsec = ns % SECOND;
	return &a->left;
}

/*
 * From now on, let signals in only during the kernel's wait. A signal between two waits would have
 * its handler called, but would not end the next wait.
 */
static void block(struct again *a)
{
	sigset_t all;

	sigfillset(&all);
	if (a->blocked || pthread_sigmask(SIG_SETMASK, &all, &a->before))
		return;
	a->blocked = true;
	if (!a->mask)
		a->mask = &a->before;
}

bool again_more(struct again *a, int *found)
{
	const struct timespec none = {0};

	*found = 0;
	if (!a->end || (a->end != INT64_MAX && now_ns() >= a->end))
		return false;
	block(a);
	/*
	 * a wait that finds ready descriptors delivers no signals, and fragments may keep them
	 * ready
	 */
	*found = NEXT(ppoll)(NULL, 0, &none, a->mask);
	return !*found;
}

bool again_left(const struct again *a, struct timespec *left)
{
	int64_t ns;

	if (!a->end || a->end == INT64_MAX)
		return false;
	ns = a->end - now_ns();
	if (ns < 0)
		ns = 0;
	left->tv_sec = ns / SECOND;
	left->tv_nsec = ns % SECOND;
	return true;
}

void again_end(struct again *a)
{
	const int saved = errno;

	if (a->blocked)
		(void)pthread_sigmask(SIG_SETMASK, &a->before, NULL);
	errno = saved;
}

const struct timespec *again_ms(int ms, struct timespec *at)
{
	at->tv_sec = ms / 1000;
	at->tv_nsec = ms % 1000 * 1000000L;
	return ms < 0 ? NULL : at;
}

int again_earlier(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}
