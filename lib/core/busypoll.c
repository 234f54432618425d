// SPDX-License-Identifier: BSD-2-Clause
#include "busypoll.h"

#include <sys/sysinfo.h>

#define MISSED_MAX  4
#define REST	    256
#define REST_STOLEN 4096

/*
 * Up to this much of a short sleep is the wake-up itself: 30 us on a virtual machine, 65 us in one
 * of a hundred.
 */
#define WAKE_NS 50000

/*
 * A timed sleep should find enough packets for the bulk path (bulk.h); at lower rates packets would
 * wait too long. Linux may extend a sleep by 50 us, unless the program has set another
 * PR_SET_TIMERSLACK.
 */
#define SLEEP_RATE    87500 /* packets per second */
#define SLEEP_PACKETS 20
#define SLEEP_SLACK   50000
#define SLEEP_MIN     10000
#define WINDOW_NS     4000000
#define HELD_LONG     64
#define BAD_MAX	      3
#define PAUSE_NS      8000000
#define PAUSE_MAX     1024000000

void busypoll_found(struct busypoll *s)
{
	s->missed = 0;
}

void busypoll_missed(struct busypoll *s)
{
	if (s->polling && ++s->missed >= MISSED_MAX) {
		s->missed = 0;
		s->rest = REST;
	}
}

void busypoll_stolen(struct busypoll *s)
{
	s->polling = false;
	s->rest = REST_STOLEN;
}

/* With a single CPU, the sender cannot run while we poll. */
static bool has_others(void)
{
	static int cpus;

	if (!cpus)
		cpus = get_nprocs_conf();
	return cpus > 1;
}

void busypoll_slept(struct busypoll *s, int64_t ns, int64_t busy)
{
	if (s->rest)
		s->rest--;
	s->polling = !s->rest && busy && ns < busy + WAKE_NS && has_others();
}

/*
 * If senders wait for answers, timed sleeps delay the answers and so lower the rate. A lower rate
 * than before is therefore a bad sign, but one bad window may just mean that the sender was held
 * up.
 */
static bool still_good(struct busypoll *s, uint64_t rate)
{
	if (rate < SLEEP_RATE || rate < s->rate - s->rate / 8)
		return ++s->bad < BAD_MAX;
	s->bad = 0;
	if (s->held < HELD_LONG && ++s->held == HELD_LONG)
		s->pause = 0;
	return true;
}

static int64_t sleep_at(uint64_t rate)
{
	const int64_t ns = (int64_t)(SLEEP_PACKETS * 1000000000ull / rate) - SLEEP_SLACK;

	return ns > SLEEP_MIN ? ns : SLEEP_MIN;
}

int64_t busypoll_sleep(struct busypoll *s, int64_t now)
{
	const int64_t past = now - s->since;
	uint64_t rate;

	if (past < WINDOW_NS)
		return s->sleep_ns;
	rate = s->taken * 1000000000ull / (uint64_t)past;
	s->since = now;
	s->taken = 0;
	if (!s->sleep_ns) {
		s->sleep_ns = rate >= SLEEP_RATE && now >= s->then ? sleep_at(rate) : 0;
		s->rate = rate;
		s->held = s->bad = 0;
	} else if (rate < SLEEP_RATE / 8) { /* no effect of timed sleeps: the traffic ended */
		s->sleep_ns = 0;
	} else if (still_good(s, rate)) {
		s->sleep_ns = sleep_at(rate > SLEEP_RATE ? rate : SLEEP_RATE);
	} else {
		s->sleep_ns = 0;
		s->pause = s->pause ? s->pause * 2 : PAUSE_NS;
		if (s->pause > PAUSE_MAX)
			s->pause = PAUSE_MAX;
		s->then = now + s->pause;
	}
	return s->sleep_ns;
}
