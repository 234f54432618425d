/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chain of programs on one side of an interface: TCX, Linux 6.6 and later. All calls return
 * -errno on failure.
 */
#ifndef DIVERT_ENGINE_CHAIN_H
#define DIVERT_ENGINE_CHAIN_H

#include <stdint.h>

#include "hook.h"

/*
 * Ids of the programs in order, at most max. Returns how many there are. -EINVAL: this kernel has
 * no chain.
 */
int chain_list(uint32_t ifindex, enum hook_side side, uint32_t *id, uint32_t max);

/*
 * Attach the program before all others or, if old_fd is not -1, in place of that one. Every packet
 * meets the old one or the new one.
 */
int chain_attach(uint32_t ifindex, enum hook_side side, int prog_fd, int old_fd);
int chain_detach(uint32_t ifindex, enum hook_side side, int prog_fd);

#endif
