/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reading side of a BPF ring buffer (linux/Documentation/bpf/ringbuf.rst),
 * mapped into this process. One reader at a time: the caller has a lock.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <stddef.h>

#include "engine/layout.h"

struct ring {
	unsigned long *consumer; /* page that we write */
	unsigned long *producer; /* pages that we read: position, then twice the data */
	const char *data;
	size_t size; /* bytes; a power of two */

	/*
	 * Where we are, and how far the producer was when last seen. Told to the
	 * kernel when there is something to gain: each telling takes the cache line
	 * from the processor that fills the ring.
	 */
	unsigned long at, seen;
	int eager; /* others read it too: tell always, know nothing */
};

/* A new ring of at least size bytes: its descriptor, close-on-exec, or -errno. Needs CAP_BPF. */
int ring_create(size_t size);
/* -errno. size: what the ring was created with. */
int ring_map(struct ring *r, int fd);
void ring_unmap(struct ring *r);

/* The record at the head, or NULL: none is complete. It stays in place until ring_next(). */
const struct divert_record *ring_peek(struct ring *r);
void ring_next(struct ring *r);
/* Is there one, perhaps not complete yet? Needs no lock, and may be wrong for a moment. */
static inline int ring_ready(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(r->consumer, __ATOMIC_RELAXED);
}
/* From now on other processes read it too (fork(2)). */
void ring_share(struct ring *r);
/* Nobody is to read any more: its descriptor is readable from now on. */
void ring_end(struct ring *r);

#endif
