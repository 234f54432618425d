/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After fork(2) two processes read one ring: what each of them knows of it counts no more, every call
 * takes the lock, and nothing waits to be sent. A program that becomes a daemon is alone again as
 * soon as the processes that it came from have ended.
 */
#ifndef LIB_FORKS_H
#define LIB_FORKS_H

#include <stdbool.h>

/* From now on forks are watched. Any number of times. */
void forks_watch(void);

/* Is it alone again? To be asked with each packet. Without effect in a process with threads. */
void forks_look(void);

/* No other process shares sockets with this one. */
bool forks_alone(void);

#endif
