/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_DEAD_H
#define LIB_DEAD_H

#include "engine/engine.h"
#include "rules/rules.h"

/* Take the rules out whose owner has ended. How many there were, or -errno. */
int drop_dead(struct engine *e, struct rules *s);

#endif
