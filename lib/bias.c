// SPDX-License-Identifier: BSD-2-Clause
/*
 * A thread that is at a socket says so in memory of its own, and then looks whether it is still the keeper. Whoever
 * takes the socket away says that first, and then looks where the keeper is. No processor may do the second before
 * the first; the keeper, who does it with each packet, pays nothing for that: the other one has it done on all processors,
 * by membarrier(2).
 */
#include "bias.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "defer.h"
#include "forks.h"
#include "socket.h"
#include "table.h"

#define REST	   4096 /* locks */
#define LOOK_NS	   50000
#define BARRIER_NS 1000000

struct thread {
	const struct dsock *in; /* this one is kept, and we are at it */
	unsigned int depth;
	bool told; /* of the thread's end we will be */
	bool over;
};

static __thread struct thread self;

static pthread_key_t ending;
static bool has_key;

static void sleep_ns(long ns)
{
	const struct timespec t = {.tv_nsec = ns};

	ppoll(NULL, 0, &t, NULL);
}

/* All other threads see what we have written, and we what they have. */
static void barrier(void)
{
	/* a filter of system calls may end the process at one that it does not know */
	const bool may = prctl(PR_GET_SECCOMP) == 0;

	if (may && !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		return;
	if (may && !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) &&
	    !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		return;
	/* no processor keeps a write to itself for anything like that */
	sleep_ns(BARRIER_NS);
}

static void lock(struct dsock *s)
{
	/* whoever died with it had at most not yet stepped on: the packet is delivered again */
	if (pthread_mutex_lock(&s->shared->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&s->shared->lock);
}

static void unlock(struct dsock *s)
{
	pthread_mutex_unlock(&s->shared->lock);
}

/* Is this thread at it, as its keeper? */
static bool enter(struct dsock *s)
{
	if (self.in == s && self.depth) {
		self.depth++;
		return true;
	}
	if (self.in) /* a signal's handler, in the midst of another socket, or of this */
		return false;
	__atomic_store_n(&self.in, s, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the other half is barrier() */
	if (__atomic_load_n(&s->keeper, __ATOMIC_RELAXED) == &self) {
		self.depth = 1;
		return true;
	}
	__atomic_store_n(&self.in, NULL, __ATOMIC_RELAXED);
	return false;
}

static void leave(void)
{
	if (!--self.depth)
		__atomic_store_n(&self.in, NULL, __ATOMIC_RELEASE);
}

/* With the lock. What only a keeper may leave behind is set right. */
static void take_away(struct dsock *s)
{
	const struct thread was = self, *keeper = s->keeper;

	__atomic_store_n(&s->keeper, NULL, __ATOMIC_RELAXED);
	if (keeper != &self) {
		barrier();
		while (__atomic_load_n(&keeper->in, __ATOMIC_ACQUIRE) == s)
			sleep_ns(LOOK_NS);
	}
	self.in = s;
	self.depth = 1;
	defer_flush(s);
	ring_sleep(&s->ring);
	self.in = was.in;
	self.depth = was.depth;
}

/* The thread ends: the kernel does not send for it what waits. */
static void end(void *thread)
{
	struct dsock *s;
	int fd;

	(void)thread;
	self.over = true;
	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1)) {
		s = socket_get(fd);
		if (!s)
			continue;
		lock(s);
		if (s->keeper == &self)
			take_away(s);
		if (s->reader == &self)
			s->reader = NULL;
		unlock(s);
		socket_put(s);
	}
}

static void make_key(void)
{
	has_key = !pthread_key_create(&ending, end);
}

static bool will_be_told(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_key);
	self.told = self.told || (has_key && !pthread_setspecific(ending, &self));
	return self.told && !self.over;
}

/* Is nobody to keep it for now? */
static bool rests(struct dsock *s)
{
	const uint32_t rest = __atomic_load_n(&s->rest, __ATOMIC_RELAXED);

	if (rest)
		__atomic_store_n(&s->rest, rest - 1, __ATOMIC_RELAXED);
	return rest || s->many || !forks_alone();
}

static void note_reader(struct dsock *s)
{
	if (s->reader == &self)
		return;
	s->many |= s->reader != NULL;
	s->reader = will_be_told() ? &self : NULL;
}

/* With the lock: nobody keeps it, or, true, this thread does from here on, and is at it. */
static bool settle(struct dsock *s, bool reads)
{
	if (s->keeper) {
		take_away(s);
		s->rest = s->reader ? REST : 0;
	}
	if (reads)
		note_reader(s);
	if (rests(s) || self.in || (s->reader && s->reader != &self) || !will_be_told())
		return false;
	__atomic_store_n(&s->keeper, &self, __ATOMIC_RELAXED);
	self.in = s;
	self.depth = 1;
	return true;
}

static bool lock_unless_kept(struct dsock *s, bool reads)
{
	lock(s);
	if (!settle(s, reads))
		return true;
	unlock(s);
	return false;
}

bool bias_begin(struct dsock *s)
{
	if (enter(s))
		return true;
	/* without the lock as a rule: it is a sender that asks, and has no other need of it */
	if (!__atomic_load_n(&s->keeper, __ATOMIC_RELAXED) && rests(s))
		return false;
	if (!lock_unless_kept(s, false))
		return true;
	unlock(s);
	return false;
}

void bias_end(bool mine)
{
	if (mine)
		leave();
}

bool bias_mine(const struct dsock *s)
{
	return self.in == s;
}

bool socket_lock(struct dsock *s)
{
	return !enter(s) && lock_unless_kept(s, false);
}

bool bias_lock_reader(struct dsock *s)
{
	if (!enter(s))
		return lock_unless_kept(s, true);
	note_reader(s);
	return false;
}

void socket_unlock(struct dsock *s, bool locked)
{
	if (locked)
		unlock(s);
	else
		leave();
}

void bias_flush(struct dsock *s)
{
	bool mine;

	if (!__atomic_load_n(&s->keeper, __ATOMIC_RELAXED))
		return;
	mine = bias_begin(s);
	if (mine)
		defer_flush(s);
	bias_end(mine);
}

void bias_share(struct dsock *s)
{
	lock(s);
	if (s->keeper)
		take_away(s);
}

void bias_in_child(struct dsock *s)
{
	s->reader = NULL;
}
