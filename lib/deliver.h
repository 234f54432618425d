/* SPDX-License-Identifier: BSD-2-Clause */
/* What receiving and borrowing have in common (lib/receive.c). */
#ifndef LIB_DELIVER_H
#define LIB_DELIVER_H

#include "segment.h"
#include "socket.h"

/* The record, or the segment of one, that the program gets next. */
struct coming {
	const struct divert_record *rec;
	struct cut cut;
	uint32_t segment, len;
};

/*
 * Find it: 1. -EAGAIN: there is none; the socket then keeps the fragments that were in the ring, and the ring is
 * empty. 0: shut, as at a file's end. -ENETDOWN: there is none, and no engine either. Packets that are too long for
 * anybody are dropped on the way. Locked.
 */
int deliver_find(struct dsock *s, struct coming *next);
/* Done with it. Locked. */
void deliver_next(struct dsock *s, const struct coming *next);
/*
 * What is to be known when the packet is written back. built: as the program gets it; flags: those of the
 * receive. Locked.
 */
void deliver_remember(struct dsock *s, const struct divert_record *rec, const uint8_t *built,
		      uint32_t len, uint32_t gso_size, int flags);
/* Once get() has answered -EAGAIN: again, when there is something; then what it answers, or -errno. */
ssize_t deliver_wait(struct dsock *s, int fd, int flags,
		     ssize_t (*get)(struct dsock *s, void *arg, int flags), void *arg);

#endif
