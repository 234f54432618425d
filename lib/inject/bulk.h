/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bulk path: hand many inbound packets for one interface to the kernel at once (engine/bulk.bpf.c).
 * From about twenty packets on it is faster than frames on lo. Packets that it does not take are
 * sent in frames.
 */
#ifndef LIB_BULK_H
#define LIB_BULK_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct dsock;
struct engine;

/*
 * Open the bulk path: the process, which is root, is about to have a socket of this engine. s: that
 * socket, with s->reinject open.
 */
void bulk_begin(const struct engine *e, const struct dsock *s);

/* The process has no socket of the engine any more. */
void bulk_end(void);

/*
 * Room of DIVERT_BULK_ROOM bytes to build a batch in, so that bulk_send() need not copy it; or
 * NULL. Until bulk_done() no other thread can use the bulk path.
 */
uint8_t *bulk_room(const struct dsock *s);
void bulk_done(void);

/*
 * As far as can be told in advance: would the bulk path take this batch, if it had enough packets?
 */
bool bulk_may(const struct dsock *s, const struct batch *b);

/* Send packets from..to-1 of the batch. Returns how many were sent. */
uint32_t bulk_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to);

/* Stop using the bulk path in this process. */
void bulk_never(void);
/* An inner descriptor has got another number. */
void bulk_moved(int from, int to);

/* Around fork(2); bulk_after_fork() is for both processes. */
void bulk_before_fork(void);
void bulk_after_fork(void);

#endif
