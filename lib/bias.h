/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose a socket is. Most are used by one thread, whatever other threads do: it keeps the socket, and needs no lock
 * for it (biased locking). Only its keeper has packets wait for one another, looks at the ring on its own, and sends
 * trains. Another thread that comes takes the socket away first, and from then on all take the lock for a while, or, of
 * a socket that several threads read, for good. Where other processes share it (forks.h) nobody keeps it.
 */
#ifndef LIB_BIAS_H
#define LIB_BIAS_H

#include <stdbool.h>

struct dsock;

/*
 * Until bias_end(), which is given the answer: true: this thread keeps it, and whoever else comes waits. false: no
 * thread does. Any number of them inside one another. Not around a sleep, but that of a send for which there is no room.
 */
bool bias_begin(struct dsock *s);
void bias_end(bool mine);

/* Are we between the two, and is it kept? */
bool bias_mine(const struct dsock *s);

/* As socket_lock(), for who is about to take packets from the ring. */
bool bias_lock_reader(struct dsock *s);

/* What waits to be sent goes now, whoever keeps it. */
void bias_flush(struct dsock *s);

/* Before fork(2), when forks_alone() is false already: nobody keeps it. The caller has the lock then. */
void bias_share(struct dsock *s);
/* Of fork(2), which has only one thread. */
void bias_in_child(struct dsock *s);

#endif
