// SPDX-License-Identifier: BSD-2-Clause
#include "train.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>

#include "batch.h"
#include "bias.h"
#include "engine/engine.h"
#include "socket.h"
#include "table.h"

/*
 * Packets. A run has a cost of its own, of about twenty packets' way over lo; and where the first
 * does not go, the next ones to the same place will not, either.
 */
#define LEAST 16
#define REST  16 /* batches */

/* The process has one, for one train at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct engine_train own = {.prog = -1, .hold = -1};
static uint32_t mark; /* of the engine that it belongs to */
static bool never;
/* By this thread, which has the lock: a signal's handler may come in between. */
static __thread bool taken;

static void drop(void)
{
	mark = 0;
	table_close_inner(&own.prog);
	table_close_inner(&own.hold);
	engine_train_close(&own);
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

void train_end(void)
{
	if (taken)
		return;
	take();
	drop();
	release();
}

static void begin(const struct engine *e, const struct dsock *s)
{
	if (never || mark == e->identity.mark)
		return;
	drop();
	mark = e->identity.mark;
	/* a filter of system calls may end the process at one that it does not know */
	if (prctl(PR_GET_SECCOMP) || engine_train_open(e, s->back, &own))
		return;
	own.prog = table_take_inner(own.prog);
	own.hold = table_take_inner(own.hold);
	if (own.prog < 0 || own.hold < 0)
		drop();
}

/* The kernel has memory that stays mapped in children, where no socket has a keeper. */
void train_begin(const struct engine *e, const struct dsock *s)
{
	if (taken)
		return;
	take();
	begin(e, s);
	release();
}

/* For certain with the lock only. */
static bool can(const struct dsock *s)
{
	return own.train && !never && s->mark == mark && bias_mine(s);
}

uint8_t *train_room(const struct dsock *s)
{
	if (taken || !can(s))
		return NULL;
	taken = !pthread_mutex_trylock(&lock);
	if (!taken)
		return NULL;
	if (can(s))
		return own.train->byte;
	release();
	return NULL;
}

void train_done(void)
{
	release();
}

static const struct divert_batched *record(const struct batch *b, uint32_t i)
{
	return (const void *)(b->record + b->at[i]);
}

/* How many from this one on are for the same interface. */
static uint32_t same(const struct batch *b, uint32_t from, uint32_t to)
{
	uint32_t i = from;

	while (++i < to && record(b, i)->back.ifindex == record(b, from)->back.ifindex)
		;
	return i - from;
}

static uint32_t send_run(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t n)
{
	struct divert_train *t = own.train;
	uint32_t i, first = b->record == t->byte ? 0 : b->at[from];

	for (i = 0; i < n; i++)
		t->at[i] = b->at[from + i] - first;
	if (b->record != t->byte)
		memcpy(t->byte, b->record + first, b->at[from + n] - first);
	t->n = n;
	t->stats = s->stats;
	return engine_train_send(&own, record(b, from)->back.ifindex);
}

bool train_may(const struct dsock *s, const struct batch *b)
{
	return can(s) && !s->train_rest && !(record(b, 0)->back.flags & DIVERT_BACK_OUT);
}

/* With the lock. */
static uint32_t send_runs(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to)
{
	uint32_t at = from, n, went;

	for (; at < to; at += went) {
		n = same(b, at, to);
		if (n < LEAST)
			break;
		went = send_run(s, b, at, n);
		if (went == n)
			continue;
		s->train_rest = REST;
		return at + went - from;
	}
	return at - from;
}

uint32_t train_send(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to)
{
	const bool here = taken && b->record == own.train->byte;
	uint32_t n = 0;

	if (to - from < LEAST || !train_may(s, b) || (taken && !here)) {
		s->train_rest -= s->train_rest > 0;
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

void train_never(void)
{
	never = true;
}

void train_moved(int from, int to)
{
	const bool ours = taken;

	if (!ours)
		take();
	if (own.prog == from)
		own.prog = to;
	if (own.hold == from)
		own.hold = to;
	if (!ours)
		release();
}

void train_before_fork(void)
{
	if (!taken)
		pthread_mutex_lock(&lock);
}

void train_after_fork(void)
{
	if (!taken)
		pthread_mutex_unlock(&lock);
}
