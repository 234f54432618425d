/* SPDX-License-Identifier: BSD-2-Clause */
/* What receiving and borrowing have in common (lib/receive.c). */
#ifndef LIB_DELIVER_H
#define LIB_DELIVER_H

#include "segment.h"
#include "socket.h"

/* How a record comes to the program. */
void deliver_plan(const struct dsock *s, const struct divert_record *rec, struct cut *cut);
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
