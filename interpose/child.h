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

/* Has this process divert sockets that a call here is about: made here, and not the parent's of vfork(2)? */
bool has_sockets(void);

/* A filter of system calls is about to be set up: nothing waits to be sent any more (interpose/filter.c). */
void before_filter(void);

/* What waits to be sent goes: this process, or its program, ends (interpose/exit.c). */
void let_packets_go(void);

#endif
