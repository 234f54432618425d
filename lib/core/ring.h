/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consumer side of a BPF ring buffer (linux/Documentation/bpf/ringbuf.rst) mapped into this
 * process. There is one reader at a time; callers hold a lock.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <stddef.h>

#include "engine/down.h"

struct ring {
	unsigned long *consumer; /* page that we write: consumer position */
	unsigned long *producer; /* pages that we read: producer position, then the data twice */
	const char *data;
	size_t size; /* bytes; a power of two */

	/*
	 * Our position, and the producer's when we last read it. We publish ours to the kernel only
	 * when that is of use, because each store takes the cache line from the CPU that fills the
	 * ring.
	 */
	unsigned long at, seen;
	int eager; /* other processes read the ring, too: always publish, cache nothing */
	/* publish HEADER bytes less than read: the ring is never empty, so nobody is woken */
	int looking;
	int ended; /* the same, permanently: poll(2) reports the ring readable */

	/*
	 * Records from position `hold` on are lent: they stay in place, and the published position
	 * does not pass `hold`.
	 */
	unsigned long hold;
	int holding;
};

/*
 * Create a ring of at least size bytes. Returns its descriptor (close-on-exec) or -errno. Needs
 * CAP_BPF or CAP_SYS_ADMIN.
 */
int ring_create(size_t size);
/* 0 or -errno. */
int ring_map(struct ring *r, int fd);
void ring_unmap(struct ring *r);

/* The record at the head, or NULL if none is complete. It stays in place until ring_next(). */
const struct divert_record *ring_peek(struct ring *r);
void ring_next(struct ring *r);
/* Is there a record, perhaps incomplete? Takes no lock; the answer may be briefly out of date. */
static inline int ring_ready(const struct ring *r)
{
	const unsigned long *at = r->holding ? &r->at : r->consumer;

	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(at, __ATOMIC_RELAXED);
}
/* The same for the only reader, which need not go by the published position. */
static inline int ring_arrived(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) != (r->eager ? *r->consumer : r->at);
}
/*
 * Until ring_wakeups_on() the only reader polls the ring, and the kernel wakes nobody: a wake-up
 * costs the sender of a packet more than everything else. Meanwhile poll(2) always reports the ring
 * readable.
 */
void ring_wakeups_off(struct ring *r);
void ring_wakeups_on(struct ring *r);
/* Does this record lie in the ring? */
static inline int ring_has(const struct ring *r, const void *record)
{
	return (const char *)record >= r->data && (const char *)record < r->data + 2 * r->size;
}
/*
 * Keep in place all records from *at on, an earlier value of r->at. NULL: release them. Not for
 * rings that other processes read, too.
 */
void ring_hold(struct ring *r, const unsigned long *at);
/* From now on other processes read the ring, too (fork(2)). Releases what was held. */
void ring_share(struct ring *r);
/* The other processes have ended. */
void ring_unshare(struct ring *r);
/* Nobody is to read any more: make the descriptor readable for good. */
void ring_end(struct ring *r);
/* Undo ring_end(): reading starts with the records that come from now on. */
void ring_restart(struct ring *r);

/* Has the engine that fills the ring been removed? Takes no lock. */
static inline int ring_is_down(const struct ring *r)
{
	return __atomic_load_n(down_flag(r->consumer), __ATOMIC_ACQUIRE) != 0;
}
/* Another engine fills the ring now. */
static inline void ring_set_up(struct ring *r)
{
	__atomic_store_n(down_flag(r->consumer), 0, __ATOMIC_RELEASE);
}

#endif
