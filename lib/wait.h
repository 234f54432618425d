/* SPDX-License-Identifier: BSD-2-Clause */
/* Sleeping until there is a packet, and being woken when there will be none. */
#ifndef LIB_WAIT_H
#define LIB_WAIT_H

#include "socket.h"

/*
 * Until the socket may have a packet, or is shut, or a signal came that restarts calls, or it is
 * time to look: 0. deadline, look: ns of CLOCK_MONOTONIC, 0: none. -EAGAIN: the deadline has passed. -EINTR.
 * -EBADF: fd was closed, or is another file by now.
 */
int wait_readable(struct dsock *s, int fd, int64_t deadline, int64_t look);

/* fd is this socket no more: whoever sleeps on it is to look. */
void wait_closed(const struct dsock *s, int fd);

/* A descriptor that is used inside goes on with another number. */
void wait_moved(int fd, int to);

/* Around fork(2). */
void wait_before_fork(void);
void wait_after_fork(void);
void wait_in_child(void);

int64_t now_ns(void);

#endif
