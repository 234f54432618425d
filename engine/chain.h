/* SPDX-License-Identifier: BSD-2-Clause */
/* The chain of programs on one side of an interface: TCX, Linux 6.6 and later. -errno everywhere. */
#ifndef DIVERT_ENGINE_CHAIN_H
#define DIVERT_ENGINE_CHAIN_H

#include <stdint.h>

#include "hook.h"

/* Ids of the programs, from the first on; at most max. How many there are. -EINVAL: this kernel has no chain. */
int chain_list(uint32_t ifindex, enum hook_side side, uint32_t *id, uint32_t max);

/* Put the program before all others, or, with an old_fd that is not -1, in the place of that one. No packet meets neither. */
int chain_attach(uint32_t ifindex, enum hook_side side, int prog_fd, int old_fd);
int chain_detach(uint32_t ifindex, enum hook_side side, int prog_fd);

#endif
