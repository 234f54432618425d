/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERPOSE_CHILD_H
#define INTERPOSE_CHILD_H

#include <stdbool.h>

/* A divert socket was made here: from now on vfork(2) matters. */
void watch_children(void);

/* Has this process made a divert socket? */
bool children_watched(void);

/* Is this a child of vfork(2), with the memory of its parent but descriptors of its own? Keeps errno. */
bool in_vfork_child(void);

/* What waits to be sent goes: this process, or its program, ends. */
void let_packets_go(void);

#endif
