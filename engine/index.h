/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hash functions for the index of a rule set (enum divert_index): the places of ports, addresses
 * and interfaces. engine/index.c fills in the index, and the kernel half looks it up. All numbers
 * are in host order.
 */
#ifndef DIVERT_ENGINE_INDEX_H
#define DIVERT_ENGINE_INDEX_H

#include <linux/types.h>

#include "layout.h"

/* Multiplicative hash: spreads adjacent numbers. */
static inline __u32 index_place(__u32 number)
{
	return (__u32)(number * 2654435761u) >> (32 - DIVERT_INDEX_BITS);
}

static inline __u32 index_net4(__u32 addr)
{
	return index_place(addr >> 16);
}

static inline __u32 index_net6(const __u32 *addr)
{
	return index_place(addr[0]);
}

static inline __u32 index_host6(const __u32 *addr)
{
	return index_place(addr[0] + 3 * addr[1] + 5 * addr[2] + 7 * addr[3]);
}

/*
 * Hash an interface's name, in words as in enum divert_wide. Each direction has half of the index.
 */
static inline __u32 index_iface(const __u32 *name, int out)
{
	return index_host6(name) / 2 + (out ? DIVERT_INDEX_ROOM / 2 : 0);
}

#endif
