/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps of flows: of states, while rules make them, and of released ones, for bound sockets. */
#ifndef DIVERT_ENGINE_FLOWS_H
#define DIVERT_ENGINE_FLOWS_H

#include "engine.h"

enum flows_kind {
	FLOWS_STATES,
	FLOWS_RELEASED,
};

/* Before rules that make states are in place, or a socket is bound: there is a map. */
int flows_begin(const struct engine *e, enum flows_kind k);
/* After the last of them has gone. */
void flows_end(const struct engine *e, enum flows_kind k);
/* Remove the states that none of these rules made, which are listed by id. */
int flows_sweep(struct engine *e, const struct divert_entry *rules, uint32_t n);

#define FLOWS_BATCH 1024 /* entries of a map that are read at a time */

/* A map, read entry by entry. */
struct flows_reader {
	int map;
	struct divert_flow_key key[FLOWS_BATCH];
	uint64_t value[FLOWS_BATCH * sizeof(struct divert_flow) / sizeof(uint64_t)];
	uint32_t size; /* of a value */
	uint32_t n, next;
	uint64_t place;
	bool begun;
	int rc; /* -errno: why it ended */
};

/* NULL: no memory. */
struct flows_reader *flows_reader_begin(const struct engine *e, enum flows_kind k);
/* The next value, and its key. NULL: no more, or rc says why not. */
const void *flows_reader_next(struct flows_reader *r, struct divert_flow_key *key);
/* 0, or rc. */
int flows_reader_end(struct flows_reader *r);
/* Room for one more in a list of n; NULL: no memory. */
void *flows_grow(void *list, int n, size_t size);

/*
 * For the first socket of a port with these counters: struct divert_port's generation. Flows that
 * the port's earlier sockets released have another one.
 */
uint32_t flows_generation(const struct engine *e, uint32_t stats);

#endif
