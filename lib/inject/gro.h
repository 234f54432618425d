/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GRO on reinject: TCP or UDP segments that we split from one GSO packet are merged again if the
 * program writes them one after another. The kernel splits the merged packet into the same
 * segments. We never merge more segments than we split, so packets that the kernel handles singly
 * stay single.
 */
#ifndef LIB_GRO_H
#define LIB_GRO_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct dsock;
struct txpacket;

/* The program gets a segment of a GSO packet. Call it with shared->lock held. */
void gro_cut(struct dsock *s);

/* Could there be segments to merge? Always false if we are not the lock owner (biased_lock.h). */
bool gro_may(const struct dsock *s);

/*
 * Find the first packet of the batch, at or after `from`, that can be merged with those after it,
 * judging by their headers. *n: how many can be merged.
 */
uint32_t gro_next(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t *n);

/*
 * How many of the n packets found by gro_next() have correct checksums, up to the first bad one. At
 * least 1.
 */
uint32_t gro_right(const struct batch *b, uint32_t from, uint32_t n);

/* Build the merged packet. Its payload stays where it is, in the batch. */
void gro_make(const struct batch *b, uint32_t from, uint32_t n, struct txpacket *o);

/*
 * Send the n packets as one. 0, or -1: not possible, and nothing was counted; send them another
 * way.
 */
int gro_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t n);

#endif
