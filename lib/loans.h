/* SPDX-License-Identifier: BSD-2-Clause */
/* Which packets of a socket are lent, in the order of the ring. Locked, all of it. */
#ifndef LIB_LOANS_H
#define LIB_LOANS_H

#include "divert.h"
#include "socket.h"

struct lent {
	unsigned long at; /* where its record begins in the ring */
	bool out;	  /* not returned yet */
	void *copy;	  /* room that is kept for packets that cannot be lent in place */
	uint32_t room;	  /* bytes */
};

struct loans {
	uint64_t first,
		next; /* numbers: of the oldest that is out, or `next`; of the one to come */
	struct lent lent[DIVERT_BORROW_MAX]; /* number n has the place n % DIVERT_BORROW_MAX */
};

/* The next one, not out yet; NULL and *rc: -ENOBUFS (DIVERT_BORROW_MAX are out), -ENOMEM. */
struct lent *loans_next(struct dsock *s, int *rc);
/* Room for a copy of so many bytes; NULL: no memory. */
void *loans_room(struct lent *l, uint32_t len);
/* It is out: its number. */
uint64_t loans_out(struct dsock *s, struct lent *l);
/* It is back. -EINVAL: it is not out. What is told to the kernel is for loans_settle(). */
int loans_back(struct dsock *s, uint64_t number);
void loans_settle(struct dsock *s);
void loans_free(struct dsock *s);

#endif
