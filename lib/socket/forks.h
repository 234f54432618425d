/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After fork(2) two processes read one ring. They cache nothing about it, every call takes the
 * lock, and no packet waits to be sent. A program that becomes a daemon gets all this back once the
 * processes that it descends from have ended.
 */
#ifndef LIB_FORKS_H
#define LIB_FORKS_H

/* Start to watch for forks. May be called again. */
void forks_watch(void);

/*
 * Check whether the other processes have ended. Call it for each packet. Does nothing if the
 * process has several threads.
 */
void forks_look(void);

#endif
