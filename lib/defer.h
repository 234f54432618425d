/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that a program writes one by one while more wait to be read, or are about to come: they go to the kernel
 * together, when it asks for more and there are none, and at the latest after a quarter of a millisecond (half,
 * where a signal has ended a nap), whatever the program does meanwhile: the kernel sends them then, by io_uring(7).
 * Only where another (as long) went, to a neighbour that was known, within the same quarter of a millisecond,
 * or in the naps since: one that is lost after all was lost as if the interface had gone down behind sendto(2),
 * and is counted as such.
 */
#ifndef LIB_DEFER_H
#define LIB_DEFER_H

#include <stdbool.h>
#include <stdint.h>

struct destination;
struct dsock;
struct outgoing;

/* May it be given to defer_add()? Only a keeper's packets wait (bias.h). */
bool defer_may(const struct dsock *s, const struct outgoing *o, const struct destination *to);
/* A packet was sent at once, and went; or it could not go. */
void defer_passed(struct dsock *s, const struct outgoing *o, const struct destination *to);
void defer_failed(struct dsock *s);
/* false: it is to go at once. */
bool defer_add(struct dsock *s, const struct outgoing *o);
/* Those that wait go now; by the keeper, as all here but defer_failed(), or nothing is done. */
void defer_flush(struct dsock *s);
/*
 * The thread may be about to sleep in epoll_wait(2): the kernel is not to send for it any more, of
 * any socket, as that would end the sleep with EINTR. Another thread may keep the socket by now: the
 * kernel interrupts the thread that asked it.
 */
void defer_rest(void);
/* The reader is about to nap so long, ns (spin.h): what is known of the way holds on, a few times. */
void defer_sleeps(struct dsock *s, int64_t ns);
void defer_free(struct dsock *s);
/* From now on, in this process, none waits, and io_uring(7) is left alone. */
void defer_never(void);
/* An inner descriptor has another number now. */
void defer_move(struct dsock *s, int from, int to);

#endif
