/* SPDX-License-Identifier: BSD-2-Clause */
/* How a bound socket learns that its engine has been removed. */
#ifndef DIVERT_ENGINE_DOWN_H
#define DIVERT_ENGINE_DOWN_H

#include "engine.h"

/*
 * A ring's consumer page is memory that each process with the socket has mapped. The kernel reads its first word
 * only. This one is not 0 once the engine is gone: it also tells readers that did not sleep, and never gets lost.
 */
static inline uint32_t *down_flag(void *consumer_page)
{
	return (uint32_t *)((char *)consumer_page + 2048);
}

/* Set it in all sockets that are bound, and wake their readers. lo has its hooks still. Needs ENGINE_LOCK. */
void engine_down(struct engine *e);

#endif
