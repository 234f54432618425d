/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repeat a wait that ended because of a fragment of an incomplete packet, which the program cannot
 * receive. The program sees a single call with a single timeout, which a signal ends at any time.
 */
#ifndef INTERPOSE_AGAIN_H
#define INTERPOSE_AGAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct again {
	const struct timespec *timeout; /* the program's, for the first wait; NULL: none */
	int64_t end;			/* ns of CLOCK_MONOTONIC; INT64_MAX: never */
	struct timespec left;
	const sigset_t *mask; /* for the next wait, as in ppoll(2) */
	sigset_t before;      /* the thread's, while signals are blocked */
	bool blocked;
};

/* timeout, mask: as in ppoll(2). */
void again_begin(struct again *a, const struct timespec *timeout, const sigset_t *mask);

/* The timeout for the next wait; NULL: none. look: wait at most this many ms; -1: no limit. */
const struct timespec *again_time(struct again *a, int look);

/*
 * The wait found nothing. True: wait again. False: the call has to return *found, which is 0 if its
 * time is over, and -1 (EINTR) if a signal came.
 */
bool again_more(struct again *a, int *found);

/* Time left of the timeout. False: there is no timeout. */
bool again_left(const struct again *a, struct timespec *left);

/* End of the call. Preserves errno. */
void again_end(struct again *a);

/* Convert a timeout in ms to *at. Returns NULL, no timeout, if ms is negative. */
const struct timespec *again_ms(int ms, struct timespec *at);

/* The earlier of two times in ms; a negative one means never. */
int again_earlier(int a, int b);

#endif
