/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reading side of a BPF ring buffer (linux/Documentation/bpf/ringbuf.rst),
 * mapped into this process. One reader at a time: the caller has a lock.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <stddef.h>

#include "engine/down.h"

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
	int eager;   /* others read it too: tell always, know nothing */
	int looking; /* tell a little less than it is: nobody is to be woken */
	int ended;   /* the same, for good: it is to be readable */

	/* What begins at hold and later is lent: it stays, and is not told, however far we are. */
	unsigned long hold;
	int holding;
};

/* A new ring of at least size bytes: its descriptor, close-on-exec, or -errno. Needs CAP_BPF (CAP_SYS_ADMIN has it). */
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
	const unsigned long *at = r->holding ? &r->at : r->consumer;

	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(at, __ATOMIC_RELAXED);
}
/* The same, for its only reader. */
static inline int ring_arrived(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) != (r->eager ? *r->consumer : r->at);
}
/*
 * From now on, until ring_sleep(), its only reader looks for packets on its own, and nobody is woken: that
 * costs whoever writes a packet more than all the rest. poll(2) says that there are some.
 */
void ring_look(struct ring *r);
void ring_sleep(struct ring *r);
/* Does this record lie in it? */
static inline int ring_has(const struct ring *r, const void *record)
{
	return (const char *)record >= r->data && (const char *)record < r->data + 2 * r->size;
}
/*
 * What begins at this place, which r->at was, stays where it is, with all behind it. NULL: nothing has to. Not for
 * rings that others read too.
 */
void ring_hold(struct ring *r, const unsigned long *at);
/* From now on other processes read it too (fork(2)); nothing is held any more. */
void ring_share(struct ring *r);
/* They have ended. */
void ring_unshare(struct ring *r);
/* Nobody is to read any more: its descriptor is readable from now on. */
void ring_end(struct ring *r);
/* Somebody is, after all: what comes from now on. */
void ring_restart(struct ring *r);

/* Has the engine that writes to it been removed? Needs no lock. */
static inline int ring_is_down(const struct ring *r)
{
	return __atomic_load_n(down_flag(r->consumer), __ATOMIC_ACQUIRE) != 0;
}
/* It has another one. */
static inline void ring_set_up(struct ring *r)
{
	__atomic_store_n(down_flag(r->consumer), 0, __ATOMIC_RELEASE);
}

#endif
