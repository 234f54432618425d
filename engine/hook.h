/* SPDX-License-Identifier: BSD-2-Clause */
/* The hooks of one interface: clsact, and our filter on each side of it. -errno everywhere. */
#ifndef DIVERT_ENGINE_HOOK_H
#define DIVERT_ENGINE_HOOK_H

#include <stdint.h>

enum hook_side {
	HOOK_IN,
	HOOK_OUT,
};

/* Our filter's program id; 0: there is none. */
int hook_query(uint32_t ifindex, enum hook_side side, uint32_t *prog_id);
/*
 * Add the qdisc; *ours: it was not there before. -EEXIST: the older ingress is there, which
 * has no egress, and would take a filter for that as one of its own.
 */
int hook_qdisc_add(uint32_t ifindex, int *ours);
/* Remove the qdisc if nothing but we used it. */
int hook_qdisc_remove(uint32_t ifindex);
int hook_attach(uint32_t ifindex, enum hook_side side, int prog_fd);
int hook_detach(uint32_t ifindex, enum hook_side side);

#endif
