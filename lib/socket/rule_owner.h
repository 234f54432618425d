/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lifetime token for rules owned by this process: an unused ring buffer. The kernel half notices
 * when the last descriptor is closed, which only this process has.
 */
#ifndef LIB_RULE_OWNER_H
#define LIB_RULE_OWNER_H

#include "engine/engine.h"

/*
 * Get the slot of this process's ring in the engine; create the ring if there is none. The engine
 * is open with ENGINE_LOCK. Beforehand, no rule in place may refer to an owner that has ended. 0 or
 * -errno.
 */
int rule_owner_slot(struct engine *e, uint32_t *slot);

/* Does this process have a ring in the engine? If so, gives its slot. */
bool rule_owner_has(const struct engine *e, uint32_t *slot);

/* An inner descriptor has got another number. */
void rule_owner_moved(int from, int to);

#endif
