/* SPDX-License-Identifier: BSD-2-Clause */
/* The lent packets of a socket, in ring order. All functions are called with the socket locked. */
#ifndef LIB_LOANS_H
#define LIB_LOANS_H

#include "divert.h"
#include "lib/core/socket.h"

struct lent {
	unsigned long at; /* position of its record in the ring */
	bool out;	  /* not returned yet */
	/* buffer for a packet that cannot be lent in place; kept for the next one */
	void *copy;
	uint32_t room; /* its size, bytes */
};

struct loans {
	/* numbers of the oldest loan not returned (next if there is none), and of the next loan */
	uint64_t first, next;
	struct lent lent[DIVERT_BORROW_MAX]; /* loan n has the slot n % DIVERT_BORROW_MAX */
};

/* The slot for the next loan. NULL and *rc: -ENOBUFS (DIVERT_BORROW_MAX are lent) or -ENOMEM. */
struct lent *loans_next(struct dsock *s, int *rc);
/* A buffer of len bytes for a copy; NULL: out of memory. */
void *loans_room(struct lent *l, uint32_t len);
/* Mark the slot as lent. Returns the loan's number. */
uint64_t loans_out(struct dsock *s, struct lent *l);
/*
 * Mark a loan as returned. -EINVAL: it is not lent. Call loans_settle() afterwards to free its ring
 * space.
 */
int loans_back(struct dsock *s, uint64_t number);
void loans_settle(struct dsock *s);
void loans_free(struct dsock *s);

#endif
