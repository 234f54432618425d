// SPDX-License-Identifier: BSD-2-Clause
#include "spin.h"

#include <sys/sysinfo.h>

#define MISSED_MAX  4
#define REST	    256
#define REST_STOLEN 4096

/* So much of a short sleep may be the wake-up: 30 us on a virtual machine, one in a hundred 65. */
#define WAKE_NS 50000

/*
 * A nap is to find a train's worth of packets (train.h); below that rate they would wait too long. Linux lets a
 * sleep be up to 50 us longer, unless the program said otherwise (PR_SET_TIMERSLACK).
 */
#define NAP_RATE    87500 /* a second */
#define NAP_PACKETS 20
#define NAP_SLACK   50000
#define NAP_MIN	    10000
#define WINDOW_NS   4000000
#define HELD_LONG   64
#define BAD_MAX	    3
#define PAUSE_NS    8000000
#define PAUSE_MAX   1024000000

void spin_found(struct spin *s)
{
	s->missed = 0;
}

void spin_missed(struct spin *s)
{
	if (s->keen && ++s->missed >= MISSED_MAX) {
		s->missed = 0;
		s->rest = REST;
	}
}

void spin_stolen(struct spin *s)
{
	s->keen = false;
	s->rest = REST_STOLEN;
}

/* On one processor whoever sends to it waits for it to sleep. */
static bool has_others(void)
{
	static int processors;

	if (!processors)
		processors = get_nprocs_conf();
	return processors > 1;
}

void spin_slept(struct spin *s, int64_t ns, int64_t busy)
{
	if (s->rest)
		s->rest--;
	s->keen = !s->rest && busy && ns < busy + WAKE_NS && has_others();
}

/*
 * Packets that answer others, and wait, make those wait, too, and come slower then: fewer than before is a bad sign,
 * but once in a while whoever sends them has just been held up.
 */
static bool still_good(struct spin *s, uint64_t rate)
{
	if (rate < NAP_RATE || rate < s->rate - s->rate / 8)
		return ++s->bad < BAD_MAX;
	s->bad = 0;
	if (s->held < HELD_LONG && ++s->held == HELD_LONG)
		s->pause = 0;
	return true;
}

static int64_t nap_at(uint64_t rate)
{
	const int64_t ns = (int64_t)(NAP_PACKETS * 1000000000ull / rate) - NAP_SLACK;

	return ns > NAP_MIN ? ns : NAP_MIN;
}

int64_t spin_naps(struct spin *s, int64_t now)
{
	const int64_t past = now - s->since;
	uint64_t rate;

	if (past < WINDOW_NS)
		return s->nap;
	rate = s->taken * 1000000000ull / (uint64_t)past;
	s->since = now;
	s->taken = 0;
	if (!s->nap) {
		s->nap = rate >= NAP_RATE && now >= s->then ? nap_at(rate) : 0;
		s->rate = rate;
		s->held = s->bad = 0;
	} else if (rate < NAP_RATE / 8) { /* that is no answer to naps, but the end */
		s->nap = 0;
	} else if (still_good(s, rate)) {
		s->nap = nap_at(rate > NAP_RATE ? rate : NAP_RATE);
	} else {
		s->nap = 0;
		s->pause = s->pause ? s->pause * 2 : PAUSE_NS;
		if (s->pause > PAUSE_MAX)
			s->pause = PAUSE_MAX;
		s->then = now + s->pause;
	}
	return s->nap;
}
