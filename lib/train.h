/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many packets to one interface at once, inbound (engine/train.bpf.c): quicker than in frames on lo, from some
 * twenty on. What cannot go so, for whatever reason, goes as ever.
 */
#ifndef LIB_TRAIN_H
#define LIB_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct dsock;
struct engine;

/* The process is about to have a socket of this engine, and is root. s: it, with s->back. */
void train_begin(const struct engine *e, const struct dsock *s);

/* It has none any more. */
void train_end(void);

/*
 * DIVERT_TRAIN_ROOM bytes for a batch's records, not to be copied then, until train_done(); or NULL. Other threads
 * send none meanwhile.
 */
uint8_t *train_room(const struct dsock *s);
void train_done(void);

/* Would they go so, as far as it can be told, if they were enough? */
bool train_may(const struct dsock *s, const struct batch *b);

/* Send packets of the batch so, from one up to another: how many went. */
uint32_t train_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to);

/* From now on, in this process, none is sent. */
void train_never(void);
/* An inner descriptor has another number now. */
void train_moved(int from, int to);

/* Around fork(2), the second one in both processes. */
void train_before_fork(void);
void train_after_fork(void);

#endif
