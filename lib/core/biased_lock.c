// SPDX-License-Identifier: BSD-2-Clause
/*
 * To enter a socket, a thread stores the socket in its own memory and then loads the lock owner. To
 * revoke the ownership, a thread clears the owner and then loads the old owner's memory. Neither
 * CPU may reorder its store and load. The owner enters for each packet and uses only a compiler
 * barrier; the other thread pays for it, with a barrier on all CPUs by membarrier(2).
 */
#include "biased_lock.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fdtable.h"
#include "socket.h"

#define REST	   4096 /* locks */
#define LOOK_NS	   50000
#define BARRIER_NS 1000000

bool biased_lock_forked;

struct thread {
	const struct dsock *in; /* the socket that this thread is inside as its lock owner */
	unsigned int depth;
	bool told; /* will end() run when this thread ends? */
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

/* Make our stores visible to all other threads, and theirs to us. */
static void barrier(void)
{
	/* under seccomp(2), an unexpected system call may kill the process */
	const bool may = prctl(PR_GET_SECCOMP) == 0;

	if (may && !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		return;
	if (may && !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) &&
	    !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		return;
	/* no CPU holds back a store for nearly that long */
	sleep_ns(BARRIER_NS);
}

static void lock(struct dsock *s)
{
	/* the holder died at worst before it advanced the ring: the packet is delivered again */
	if (pthread_mutex_lock(&s->shared->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&s->shared->lock);
}

static void unlock(struct dsock *s)
{
	pthread_mutex_unlock(&s->shared->lock);
}

/* Enter the socket without the mutex. False if this thread is not the lock owner. */
static bool enter(struct dsock *s)
{
	if (self.in == s && self.depth) {
		self.depth++;
		return true;
	}
	/* we are a signal handler that interrupted a call on this or another socket */
	if (self.in)
		return false;
	__atomic_store_n(&self.in, s, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* pairs with barrier() */
	if (__atomic_load_n(&s->lock_owner, __ATOMIC_RELAXED) == &self) {
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

/* Revoke the ownership, with the mutex held, and finish what only an owner may leave pending. */
static void take_away(struct dsock *s)
{
	const struct thread was = self, *owner = s->lock_owner;

	__atomic_store_n(&s->lock_owner, NULL, __ATOMIC_RELAXED);
	if (owner != &self) {
		barrier();
		while (__atomic_load_n(&owner->in, __ATOMIC_ACQUIRE) == s)
			sleep_ns(LOOK_NS);
	}
	self.in = s;
	self.depth = 1;
	if (s->flush)
		s->flush(s);
	ring_wakeups_on(&s->ring);
	self.in = was.in;
	self.depth = was.depth;
}

/* Thread destructor: once the thread is gone, the kernel does not send its coalesced packets. */
static void end(void *thread)
{
	struct dsock *s;
	int fd;

	(void)thread;
	self.over = true;
	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1)) {
		s = socket_get(fd);
		if (!s)
			continue;
		lock(s);
		if (s->lock_owner == &self)
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

/* Must the socket stay without an owner for now? */
static bool rests(struct dsock *s)
{
	const uint32_t rest = __atomic_load_n(&s->rest, __ATOMIC_RELAXED);

	if (rest)
		__atomic_store_n(&s->rest, rest - 1, __ATOMIC_RELAXED);
	return rest || __atomic_load_n(&s->many, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&biased_lock_forked, __ATOMIC_RELAXED);
}

static void note_reader(struct dsock *s)
{
	if (s->reader == &self)
		return;
	if (s->reader)
		__atomic_store_n(&s->many, true, __ATOMIC_RELAXED);
	s->reader = will_be_told() ? &self : NULL;
}

/*
 * With the mutex held. True: this thread is the lock owner now and inside the socket. False: there
 * is no owner.
 */
static bool settle(struct dsock *s, bool reads)
{
	if (s->lock_owner) {
		take_away(s);
		__atomic_store_n(&s->rest, s->reader ? REST : 0, __ATOMIC_RELAXED);
	}
	if (reads)
		note_reader(s);
	if (rests(s) || self.in || (s->reader && s->reader != &self) || !will_be_told())
		return false;
	__atomic_store_n(&s->lock_owner, &self, __ATOMIC_RELAXED);
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

bool biased_lock_begin(struct dsock *s)
{
	if (enter(s))
		return true;
	/* usually decided without the mutex, which a sender does not need otherwise */
	if (!__atomic_load_n(&s->lock_owner, __ATOMIC_RELAXED) && rests(s))
		return false;
	if (!lock_unless_kept(s, false))
		return true;
	unlock(s);
	return false;
}

void biased_lock_end(bool mine)
{
	if (mine)
		leave();
}

bool biased_lock_mine(const struct dsock *s)
{
	return self.in == s;
}

bool socket_lock(struct dsock *s)
{
	return !enter(s) && lock_unless_kept(s, false);
}

bool biased_lock_lock_reader(struct dsock *s)
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

void biased_lock_flush(struct dsock *s)
{
	bool mine;

	if (!__atomic_load_n(&s->lock_owner, __ATOMIC_RELAXED))
		return;
	mine = biased_lock_begin(s);
	if (mine && s->flush)
		s->flush(s);
	biased_lock_end(mine);
}

void biased_lock_share(struct dsock *s)
{
	lock(s);
	if (s->lock_owner)
		take_away(s);
}

void biased_lock_in_child(struct dsock *s)
{
	s->reader = NULL;
}
