/* SPDX-License-Identifier: BSD-2-Clause */
/* Send several packets in one frame, with one system call. */
#ifndef LIB_BATCH_H
#define LIB_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/reinject.h"
#include "lib/core/socket.h"
#include "txpacket.h"

struct batch {
	uint32_t n;		       /* packets */
	uint32_t left;		       /* packets of the last batch_send() that were not sent */
	uint32_t at[DIVERT_BATCH_MAX]; /* where each record begins */
	uint32_t end;		       /* where the last record ends */
	uint8_t *record;	       /* the caller's memory */
	size_t room;		       /* its size, bytes */
	size_t slice;  /* no record crosses a multiple of this, bytes; 0: no limit */
	uint32_t most; /* packets at most */
	/* the next packet is to be sent on its own; batch_add() is not called for it */
	bool alone;
	/* owner of the next packet, if an earlier batch held it and did not send it; else NULL */
	const struct metacache_owner *again;
	struct divert_frame head;
};

static inline const struct divert_batched *batch_record(const struct batch *b, uint32_t i)
{
	return (const void *)(b->record + b->at[i]);
}

static inline uint32_t batch_record_end(const struct batch *b, uint32_t i)
{
	return b->at[i] + sizeof(struct divert_batched) + batch_record(b, i)->len;
}

void batch_begin(struct batch *b, uint8_t *room, size_t size);

/* Append a packet. False: it cannot be sent in a batch, or there is no room. */
bool batch_add(struct batch *b, const struct txpacket *o);

/*
 * Send packets from `from` on by GRO or by the bulk path. Returns how many were sent. The others
 * below *until must be sent in frames; call again from *until.
 */
uint32_t batch_quick(struct dsock *s, const struct batch *b, uint32_t from, uint32_t *until);
/* How many packets fit into one frame, from `from` on and below end. */
uint32_t batch_frame(const struct batch *b, uint32_t from, uint32_t end);
/*
 * Send n packets from `from` on as one frame. number: 0, or a number for the frame, or for the
 * batch, of which earlier frames had `before` packets. 0, or -1 with errno from send(2).
 */
int batch_send_frame(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t n,
		     uint32_t before, uint32_t number, int flags);

/*
 * Send all packets and empty the batch. 0, or -1: the last b->left packets were not sent. Send the
 * first of these on its own to learn why.
 */
int batch_send(struct dsock *s, struct batch *b);

/*
 * Send n packets: one() passes packet i and the batch to request_send() and returns its result.
 * Returns how many were sent, in order, up to the first that failed. 0: none, and *error is -errno.
 */
unsigned int batch_all(struct dsock *s, unsigned int n,
		       ssize_t (*one)(void *arg, unsigned int i, struct batch *b), void *arg,
		       int *error);

#endif
