/* SPDX-License-Identifier: BSD-2-Clause */
/* Host entries (full addresses) of all tables, in one hash map; for engine/table.c. */
#ifndef DIVERT_ENGINE_HOSTS_H
#define DIVERT_ENGINE_HOSTS_H

#include "engine.h"

bool hosts_are(const struct divert_table_addr *addr);

/* The prefix length of a host's address, with the bits of the table number. */
uint32_t hosts_bits(__be32 table);

/* The current map: e->hosts, which is -1 if there is none. */
int hosts_open(struct engine *e);

/*
 * Add a host. If the maps are full, larger ones replace them. -E2BIG: they have their maximum size.
 * Updates kinds->filtered, which the caller writes.
 */
int hosts_put(struct engine *e, const struct divert_table_addr *addr, uint32_t value,
	      struct divert_table_kinds *kinds);

#endif
