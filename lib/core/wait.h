/* SPDX-License-Identifier: BSD-2-Clause */
/* Sleep until there is a packet, and wake readers when no more will come. */
#ifndef LIB_WAIT_H
#define LIB_WAIT_H

#include "socket.h"

/*
 * Sleep until the socket may have a packet or is shut, a signal came whose handler restarts calls,
 * or time `look` has come: 0. deadline, look: ns of CLOCK_MONOTONIC, 0: none. -EAGAIN: the deadline
 * has passed. -EINTR. -EBADF: fd was closed, or is another file by now.
 */
int wait_readable(struct dsock *s, int fd, int64_t deadline, int64_t look);

/* fd does not refer to this socket any more: wake the threads that sleep on it. */
void wait_closed(const struct dsock *s, int fd);

/* An inner descriptor has got another number. */
void wait_moved(int fd, int to);

/* Around fork(2). */
void wait_before_fork(void);
void wait_after_fork(void);
void wait_in_child(void);

int64_t now_ns(void);

#endif
