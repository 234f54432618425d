// SPDX-License-Identifier: BSD-2-Clause
#include "bulk.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "batch.h"
#include "engine/engine.h"
#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/core/socket.h"
#include "lib/core/wait.h"

/*
 * Packets per run, at least. A run costs about as much as sending twenty packets over lo. REST: if
 * the first packet of a run is refused, so are the next ones to the same place.
 */
#define LEAST 16
#define REST  16 /* batches */

/*
 * For each run the kernel looks up the program in an XDP dispatcher table, one for the whole host,
 * and sleeps while anyone attaches or detaches an XDP program: 12 ms each time, more on busy CPUs.
 * One such run does not matter. If there is another soon after, the bulk path rests for RESTS times
 * as long as the run took.
 */
#define LONG_NS 3000000
#define SOON_NS 1000000000
#define RESTS	32

/* One per process, for one run at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct engine_bulk own = {.prog = -1, .pin = -1};
static uint32_t engine_id; /* of the engine that it belongs to */
static bool never;
static int64_t rests_until;   /* ns; 0: in use */
static int64_t watched_until; /* ns; another slow run before this time would be soon */
/* This thread has the lock. A signal handler may interrupt it and must not lock again. */
static __thread bool taken;

static void drop(void)
{
	engine_id = 0;
	fdtable_close_inner(&own.prog);
	fdtable_close_inner(&own.pin);
	engine_bulk_close(&own);
}

static void take(void)
{
	taken = true;
	pthread_mutex_lock(&lock);
}

static void release(void)
{
	pthread_mutex_unlock(&lock);
	taken = false;
}

void bulk_end(void)
{
	if (taken)
		return;
	take();
	drop();
	release();
}

static void begin(const struct engine *e, const struct dsock *s)
{
	if (never || engine_id == e->identity.id)
		return;
	drop();
	engine_id = e->identity.id;
	/* under seccomp(2), an unexpected system call may kill the process */
	if (prctl(PR_GET_SECCOMP) || engine_bulk_open(e, s->reinject, &own))
		return;
	own.prog = fdtable_take_inner(own.prog);
	own.pin = fdtable_take_inner(own.pin);
	if (own.prog < 0 || own.pin < 0)
		drop();
}

/* The memory shared with the kernel stays mapped in children; their sockets have no lock owner. */
void bulk_begin(const struct engine *e, const struct dsock *s)
{
	if (taken)
		return;
	take();
	begin(e, s);
	release();
}

/* Reliable only with the lock held. */
static bool can(const struct dsock *s)
{
	return own.bulk && !never && s->engine_id == engine_id && biased_lock_mine(s);
}

uint8_t *bulk_room(const struct dsock *s)
{
	if (taken || !can(s))
		return NULL;
	taken = !pthread_mutex_trylock(&lock);
	if (!taken)
		return NULL;
	if (can(s))
		return own.bulk->byte;
	release();
	return NULL;
}

void bulk_done(void)
{
	release();
}

/* How many packets in a row, from `from` on, are for the same interface. */
static uint32_t same(const struct batch *b, uint32_t from, uint32_t to)
{
	uint32_t i = from;

	while (++i < to &&
	       batch_record(b, i)->reinject.ifindex == batch_record(b, from)->reinject.ifindex)
		;
	return i - from;
}

static bool rests(void)
{
	const int64_t until = __atomic_load_n(&rests_until, __ATOMIC_RELAXED);

	return until && now_ns() < until;
}

static long sleeps(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nvcsw;
}

/*
 * A run has ended. since: when it began; slept: how often this thread had slept until then, if it
 * is watched.
 */
static void has_run(int64_t since, bool watched, long slept)
{
	const int64_t now = now_ns();
	int64_t until = 0;

	if (now - since < LONG_NS)
		return;
	/* if the thread did not sleep, the CPU was taken from it */
	if (watched && sleeps() != slept)
		until = now + (now - since) * RESTS;
	__atomic_store_n(&rests_until, until, __ATOMIC_RELAXED);
	watched_until = (until ? until : now) + SOON_NS;
}

static uint32_t send_run(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t n)
{
	struct divert_bulk *t = own.bulk;
	int64_t since;
	bool watched;
	long slept;
	uint32_t i, went, first = b->record == t->byte ? 0 : b->at[from];

	for (i = 0; i < n; i++)
		t->at[i] = b->at[from + i] - first;
	if (b->record != t->byte)
		memcpy(t->byte, b->record + first, batch_record_end(b, from + n - 1) - first);
	t->n = n;
	t->stats = s->stats;
	since = now_ns();
	watched = since < watched_until;
	slept = watched ? sleeps() : 0;
	went = engine_bulk_send(&own, batch_record(b, from)->reinject.ifindex);
	has_run(since, watched, slept);
	return went;
}

bool bulk_may(const struct dsock *s, const struct batch *b)
{
	return can(s) && !s->bulk_rest && !rests() &&
	       !(batch_record(b, 0)->reinject.flags & DIVERT_REINJECT_OUT);
}

/* Call it with the lock held. */
static uint32_t send_runs(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to)
{
	uint32_t at = from, n, went;

	for (; at < to; at += went) {
		n = same(b, at, to);
		if (n < LEAST || rests())
			break;
		went = send_run(s, b, at, n);
		if (went == n)
			continue;
		s->bulk_rest = REST;
		return at + went - from;
	}
	return at - from;
}

uint32_t bulk_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to)
{
	const bool here = taken && b->record == own.bulk->byte;
	uint32_t n = 0;

	if (to - from < LEAST || !bulk_may(s, b) || (taken && !here)) {
		s->bulk_rest -= s->bulk_rest > 0;
		return 0;
	}
	if (!here)
		take();
	if (can(s))
		n = send_runs(s, b, from, to);
	if (!here)
		release();
	return n;
}

void bulk_never(void)
{
	never = true;
}

void bulk_moved(int from, int to)
{
	const bool ours = taken;

	if (!ours)
		take();
	if (own.prog == from)
		own.prog = to;
	if (own.pin == from)
		own.pin = to;
	if (!ours)
		release();
}

void bulk_before_fork(void)
{
	if (!taken)
		pthread_mutex_lock(&lock);
}

void bulk_after_fork(void)
{
	if (!taken)
		pthread_mutex_unlock(&lock);
}
