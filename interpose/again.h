/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wait that is begun again, when what ended it was nothing for the program: fragments of a packet that is not
 * complete yet. To the program it is one call, with one timeout, which a signal ends whenever it comes.
 */
#ifndef INTERPOSE_AGAIN_H
#define INTERPOSE_AGAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct again {
	const struct timespec *timeout; /* the program's own, for the first time; NULL: none */
	int64_t end;			/* ns of CLOCK_MONOTONIC; INT64_MAX: never */
	struct timespec left;
	const sigset_t *mask; /* for the next wait, as of ppoll(2) */
	sigset_t before;      /* the thread's own, while signals are blocked */
	bool blocked;
};

/* timeout, mask: as of ppoll(2). */
void again_begin(struct again *a, const struct timespec *timeout, const sigset_t *mask);

/* The timeout for the next wait; NULL: none. look: end it in so many ms at the latest; -1: not. */
const struct timespec *again_time(struct again *a, int look);

/*
 * Nothing was found: true: wait again. false: *found is what the call answers, 0 when its time is
 * over, -1 (EINTR) when a signal has come.
 */
bool again_more(struct again *a, int *found);

/* How much of the timeout is left; false: there was none. */
bool again_left(const struct again *a, struct timespec *left);

/* The call's end. Keeps errno. */
void again_end(struct again *a);

/* Milliseconds, negative: no timeout; where to put it. */
const struct timespec *again_ms(int ms, struct timespec *at);

/* The earlier one of two times in ms, of which a negative one is never. */
int again_earlier(int a, int b);

#endif
