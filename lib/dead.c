// SPDX-License-Identifier: BSD-2-Clause
/* Rules that went with a process which has ended: the kernel half passes them by, here they go. */
#include "dead.h"

struct dead {
	struct engine *engine;
	int rc;
};

static bool is_dead(const struct rule *r, void *arg)
{
	struct dead *d = arg;
	int rc;

	if (!r->owner || d->rc < 0)
		return false;
	rc = engine_slot_alive(d->engine, r->owner - 1);
	if (rc < 0)
		d->rc = rc;
	return !rc;
}

int drop_dead(struct engine *e, struct rules *s)
{
	struct dead d = {.engine = e};
	unsigned int n = rules_delete_if(s, is_dead, &d);

	return d.rc < 0 ? d.rc : (int)n;
}
