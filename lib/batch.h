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

struct batch {
	uint32_t n;			   /* packets */
	uint32_t left;			   /* of those that were to be sent last */
	uint32_t len;			   /* bytes of records, so far */
	uint32_t at[DIVERT_BATCH_MAX + 1]; /* where each record begins; [n]: where the next will */
	struct divert_frame frame;
	uint8_t blank[DIVERT_BATCH_BLANK];
	uint8_t record[DIVERT_BATCH_ROOM];
} __attribute__((packed, aligned(8)));

/* Put a packet behind the others. false: it cannot go so, or there is no room. */
bool batch_add(struct batch *b, const struct outgoing *o);

/* Bytes of the frame with them. */
size_t batch_frame_len(const struct batch *b);

/*
 * Send those there are; the batch is empty then. 0, or -1: the last b->left of them have not gone, and the first
 * of these is to be sent on its own, which tells why.
 */
int batch_send(const struct dsock *s, struct batch *b);

/*
 * Send n packets, of which one() gives order_send() number i with the batch; what it answers is that. How many
 * went, in their order, before one that could not; 0: none, and *error is -errno.
 */
unsigned int batch_all(const struct dsock *s, unsigned int n,
		       ssize_t (*one)(void *arg, unsigned int i, struct batch *b), void *arg,
		       int *error);

#endif
