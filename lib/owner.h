/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rules that go with this process hang on: a ring that nothing is written to, and whose
 * descriptor only this process holds. The kernel half sees when it is closed.
 */
#ifndef LIB_OWNER_H
#define LIB_OWNER_H

#include "engine/engine.h"

/*
 * The slot of this process's ring in the engine, which is open with ENGINE_LOCK; made if there
 * is none. No rule in place may name the slot of an owner that has ended. -errno.
 */
int owner_slot(struct engine *e, uint32_t *slot);

/* Is that slot this process's? */
bool owner_has(const struct engine *e, uint32_t *slot);

/* The descriptor has got another number. */
void owner_moved(int from, int to);

#endif
