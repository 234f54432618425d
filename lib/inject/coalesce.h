/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Coalesce single sends while more packets wait to be read, or are about to come. They are sent
 * together when the reader finds no packet, and at the latest after 250 us (500 us if a signal
 * ended a timed sleep): the kernel sends them then, by io_uring(7), whatever the program is doing.
 */
#ifndef LIB_COALESCE_H
#define LIB_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

struct destination;
struct dsock;
struct txpacket;

/*
 * May this packet wait, by coalesce_add()? Only the lock owner's may (biased_lock.h), and only if
 * another, as long or longer, went to the same place, to a resolved neighbour, within the same 250
 * us or the timed sleeps since. If it is lost nevertheless, it is lost and counted as if the
 * interface had gone down just after sendto(2).
 */
bool coalesce_may(const struct dsock *s, const struct txpacket *o, const struct destination *to);
/* A packet was sent at once: it went, or it could not be sent. */
void coalesce_passed(struct dsock *s, const struct txpacket *o, const struct destination *to);
void coalesce_failed(struct dsock *s);
/* False: send the packet at once. */
bool coalesce_add(struct dsock *s, const struct txpacket *o);
/*
 * Send the waiting packets now. For the lock owner only, like all functions here but
 * coalesce_failed(); others do nothing.
 */
void coalesce_flush(struct dsock *s);
/*
 * The thread may be about to sleep in epoll_wait(2). Cancel what the kernel is to send for it, on
 * all sockets: that would end the sleep with EINTR. This includes sockets that another thread owns
 * by now, since the kernel interrupts the thread that submitted the request.
 */
void coalesce_rest(void);
/*
 * The reader is about to sleep for ns (busypoll.h): let what is known about destinations hold
 * longer, a limited number of times.
 */
void coalesce_sleeps(struct dsock *s, int64_t ns);
void coalesce_free(struct dsock *s);
/* Stop coalescing in this process, and do not use io_uring(7) any more. */
void coalesce_never(void);
/* An inner descriptor has got another number. */
void coalesce_move(struct dsock *s, int from, int to);

#endif
