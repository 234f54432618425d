/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that are written together: one frame and one system call for many. */
#ifndef LIB_BATCH_H
#define LIB_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/back.h"
#include "outgoing.h"
#include "socket.h"

/* What precedes the records in a frame. */
struct batch_head {
	struct divert_frame frame;
	uint8_t blank[DIVERT_BATCH_BLANK];
} __attribute__((packed));

struct batch {
	uint32_t n;			   /* packets */
	uint32_t left;			   /* of those that were to be sent last */
	uint32_t at[DIVERT_BATCH_MAX + 1]; /* where each record begins; [n]: where the next will */
	uint8_t *record;		   /* somebody else's memory */
	size_t room;			   /* there, bytes */
	uint32_t most;			   /* packets */
	struct batch_head head;
};

void batch_begin(struct batch *b, uint8_t *room, size_t size);

/* Put a packet behind the others. false: it cannot go so, or there is no room. */
bool batch_add(struct batch *b, const struct outgoing *o);

/*
 * Send packets from this one on as none goes on its own: joined, or in a train. How many went; those up to *until that
 * have not are for frames, and what is behind is asked for then.
 */
uint32_t batch_quick(struct dsock *s, const struct batch *b, uint32_t from, uint32_t *until);
/* How many, from this one on and below end, go into one frame. */
uint32_t batch_frame(const struct batch *b, uint32_t from, uint32_t end);
/* A frame of so many from this one on; number: of its own, or 0. -1: errno is send(2)'s. */
int batch_send_frame(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t n,
		     uint32_t number, int flags);

/*
 * Send those there are; the batch is empty then. 0, or -1: the last b->left of them have not gone, and the first
 * of these is to be sent on its own, which tells why.
 */
int batch_send(struct dsock *s, struct batch *b);

/*
 * Send n packets, of which one() gives order_send() number i with the batch; what it answers is that. How many
 * went, in their order, before one that could not; 0: none, and *error is -errno.
 */
unsigned int batch_all(struct dsock *s, unsigned int n,
		       ssize_t (*one)(void *arg, unsigned int i, struct batch *b), void *arg,
		       int *error);

#endif
