/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERPOSE_CHILD_H
#define INTERPOSE_CHILD_H

#include <stdbool.h>

/* This process has made a divert socket: watch for vfork(2) from now on. */
void watch_children(void);

/* Has this process made a divert socket? */
bool children_watched(void);

/*
 * Is this a child of vfork(2), which has its parent's memory but its own descriptors? Preserves
 * errno.
 */
bool in_vfork_child(void);

/*
 * Does this process have divert sockets that its calls can concern? False in a child of vfork(2),
 * whose parent has them.
 */
bool has_sockets(void);

/* A seccomp(2) filter is about to be installed: stop coalescing (interpose/filter.c). */
void before_filter(void);

/* Send the waiting packets, because this process or its program ends (interpose/exit.c). */
void let_packets_go(void);

#endif
