/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings of lo that the way back needs; nothing arrives on lo from outside,
 * so they mean nothing to others.
 */
#ifndef DIVERT_ENGINE_SYSCTL_H
#define DIVERT_ENGINE_SYSCTL_H

#include <stdint.h>

#include "layout.h"

/* Set them; was gets what they were before, 0xff for those that did not change. -errno. */
int sysctl_set(uint8_t was[8]);
void sysctl_restore(const uint8_t was[8]);

/*
 * The lock of the namespace's writers: a descriptor to be closed, or -errno. It is an flock(2)
 * on a file of /proc/sys that every namespace has for itself and that only root may
 * open, so nothing is left behind and nobody else can hold it.
 */
int sysctl_lock(void);

/* -EPERM: this process lacks the privilege to take the lock. 0: it does not; it may fail for another reason. */
int sysctl_may_lock(void);

#endif
