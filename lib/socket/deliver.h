/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps shared by receiving and borrowing (lib/socket/receive.c). */
#ifndef LIB_DELIVER_H
#define LIB_DELIVER_H

#include "lib/core/socket.h"
#include "lib/packet/segment.h"

/* The record that the program gets next, or the segment of one. */
struct coming {
	const struct divert_record *rec;
	struct cut cut;
	uint32_t segment, len;
};

/*
 * Find the next packet; the socket is locked. 1: found. -EAGAIN: none; all fragments have then been
 * taken from the ring, and it is empty. 0: shut down, end of file. -ENETDOWN: none, and the engine
 * has been removed. Drops packets that are longer than any program could receive.
 */
int deliver_find(struct dsock *s, struct coming *next);
/* The packet has been delivered. Locked. */
void deliver_next(struct dsock *s, const struct coming *next);
/*
 * Cache what is needed when the packet is reinjected. built: the packet as the program gets it;
 * flags: of the receive. Locked.
 */
void deliver_remember(struct dsock *s, const struct divert_record *rec, const uint8_t *built,
		      uint32_t len, uint32_t gso_size, int flags);
/* get() returned -EAGAIN: wait for a packet and call it again. Returns its result or -errno. */
ssize_t deliver_wait(struct dsock *s, int fd, int flags,
		     ssize_t (*get)(struct dsock *s, void *arg, int flags), void *arg);

#endif
