/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Biased lock of a socket. Most sockets are used by one thread: it becomes the lock owner and then
 * takes no lock. Only the lock owner coalesces sends, polls the ring and uses the bulk path. When
 * another thread uses the socket, it revokes the ownership, and all threads take the mutex for a
 * while, or for good if several threads read. A socket shared with other processes (forks.h) has no
 * owner.
 */
#ifndef LIB_BIASED_LOCK_H
#define LIB_BIASED_LOCK_H

#include <stdbool.h>

struct dsock;

/*
 * Enter the socket. Returns true if this thread is the lock owner (other threads wait until
 * biased_lock_end()), false if there is no owner. Pass the result to biased_lock_end(). Calls nest.
 * Do not sleep in between, except in a send that waits for room.
 */
bool biased_lock_begin(struct dsock *s);
void biased_lock_end(bool mine);

/* Is this thread inside the socket as its lock owner? */
bool biased_lock_mine(const struct dsock *s);

/*
 * Exclude all other threads until socket_unlock(), which takes the result. Do not sleep in between.
 */
bool socket_lock(struct dsock *s);
void socket_unlock(struct dsock *s, bool locked);

/* The same for a caller that is about to take packets from the ring. */
bool biased_lock_lock_reader(struct dsock *s);

/* Send the coalesced packets now, whichever thread owns the lock. */
void biased_lock_flush(struct dsock *s);

/* Set while other processes share sockets with this one. forks.c maintains it. */
extern bool biased_lock_forked;

/*
 * Before fork(2), with biased_lock_forked already set: revoke the ownership. Returns with the mutex
 * held.
 */
void biased_lock_share(struct dsock *s);
/* In the child of fork(2), which has only one thread. */
void biased_lock_in_child(struct dsock *s);

#endif
