/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words that we keep in a ring's consumer page: the flag that the engine was removed, and the
 * reader's position.
 */
#ifndef DIVERT_ENGINE_DOWN_H
#define DIVERT_ENGINE_DOWN_H

#include "engine.h"

/*
 * The flag that the engine is gone: not 0 from then on. Every process with the socket has mapped
 * the ring's consumer page, of which the kernel reads the first word only. A flag in memory also
 * reaches readers that did not sleep, and cannot get lost.
 */
static inline uint32_t *down_flag(void *consumer_page)
{
	return (uint32_t *)((char *)consumer_page + 2048);
}

/*
 * The reader's position, which may be ahead of what the kernel was told (lib/core/ring.h). Records
 * from there on count as unread when the reader dies.
 */
static inline unsigned long *read_place(void *consumer_page)
{
	return (unsigned long *)((char *)consumer_page + 2056);
}

/*
 * Set down_flag() in all bound sockets and wake their readers. The hooks of lo must still be there.
 * Needs ENGINE_LOCK.
 */
void engine_down(struct engine *e);

#endif
