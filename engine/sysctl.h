/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings of lo that reinjection needs. Nothing arrives on lo from outside, so they do not affect
 * other traffic.
 */
#ifndef DIVERT_ENGINE_SYSCTL_H
#define DIVERT_ENGINE_SYSCTL_H

#include <stdint.h>

#include "layout.h"

/*
 * Check that they can be set. was: their values now; 0xff for those that need not change. Changes
 * nothing. -errno.
 */
int sysctl_look(uint8_t was[8]);
/* Change those that need it. On failure (-errno) all are as before. */
int sysctl_set(const uint8_t was[8]);
void sysctl_restore(const uint8_t was[8]);

/*
 * The lock for writers in this namespace: a descriptor to be closed, or -errno. It is an flock(2)
 * on a file of /proc/sys. Each namespace has that file for itself and only root may open it, so
 * nothing is left behind and no other program can hold the lock.
 */
int sysctl_lock(void);

/* The same, without waiting. -EAGAIN: the lock is held. */
int sysctl_try_lock(void);

/*
 * -EPERM: this process lacks the privilege to take the lock. 0: it has it, though taking the lock
 *   may still fail.
 */
int sysctl_may_lock(void);

#endif
