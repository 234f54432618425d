/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classic filters of the kind bpf on one side of an interface, in the clsact qdisc. All calls
 * return -errno on failure.
 */
#ifndef DIVERT_ENGINE_FILTER_H
#define DIVERT_ENGINE_FILTER_H

#include "hook.h"

/*
 * Call add for each filter, in the order in which packets meet them, with prog_id, prio, handle,
 * protocol, bpf and name set.
 */
int filter_list(uint32_t ifindex, enum hook_side side, int (*add)(const struct hook *h, void *arg),
		void *arg);

/* Attach the program at this place. A bpf filter with this handle is replaced. */
int filter_attach(uint32_t ifindex, enum hook_side side, uint32_t prio, uint32_t handle,
		  int prog_fd);
int filter_detach(uint32_t ifindex, enum hook_side side, uint32_t prio, uint32_t handle);

#endif
