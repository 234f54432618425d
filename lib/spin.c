// SPDX-License-Identifier: BSD-2-Clause
#include "spin.h"

#include <sys/sysinfo.h>

#define MISSED_MAX  4
#define REST	    256
#define REST_STOLEN 4096

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
	s->keen = !s->rest && ns < busy && has_others();
}
