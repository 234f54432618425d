/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments of TCP, or of UDP, that the kernel had as one large packet, and that a program which was given them one by
 * one writes back one after another: as one packet again. It is cut where it was to be cut before, into the same
 * segments. Never more than were cut: where the kernel has segments one by one it is left at that.
 */
#ifndef LIB_JOIN_H
#define LIB_JOIN_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct dsock;
struct outgoing;

/* The program is given a segment of a large packet; under shared->lock. */
void join_cut(struct dsock *s);

/* Are there segments about that may be joined? Only for a keeper (bias.h). */
bool join_may(const struct dsock *s);

/*
 * The first of the batch's packets, from this one on, that goes together with the next ones, as far as their headers
 * tell: how many, in n.
 */
uint32_t join_next(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t *n);

/* How many of these, which join_next() found, have right checksums, before one that has not; 1 at least. */
uint32_t join_right(const struct batch *b, uint32_t from, uint32_t n);

/* The large packet that these are, which lies where they lie. */
void join_make(const struct batch *b, uint32_t from, uint32_t n, struct outgoing *o);

/* Send these. 0, or -1: it cannot be, and nothing was counted: they are to go as others do. */
int join_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t n);

#endif
