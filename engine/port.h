/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of ports, for the files of engine/ that handle ports. */
#ifndef DIVERT_ENGINE_PORT_H
#define DIVERT_ENGINE_PORT_H

#include "engine.h"

/* -ENOENT, without a sentence for engine_error(): the port has no entry. */
int port_get(struct engine *e, uint32_t key, struct divert_port *port);
int port_put(struct engine *e, uint32_t key, const struct divert_port *port);

/* How many of its sockets are alive; or -errno (engine/slot.c). */
int port_alive(struct engine *e, const struct divert_port *port);

/* List the slots of sockets, or of rule owners, alive or dead; returns how many (engine/slot.c). */
uint32_t port_slots(const struct engine *e, bool owners, uint32_t slot[DIVERT_SOCKETS_MAX]);

/*
 * Wait for packets that still use old map contents: begin before the change, which returns a
 * descriptor; then change the maps, wait, and close the descriptor. After the wait no packet uses
 * the old contents.
 */
int port_settle_begin(struct engine *e);
int port_settle(struct engine *e, int map);

/*
 * Free the slots of all dead sockets, and count their unread packets. Returns how many. Needs
 * ENGINE_LOCK.
 */
int port_sweep(struct engine *e);
/*
 * The same without returning errors. Takes the lock if it is not held and there is something to do.
 */
void engine_sweep(struct engine *e);
/* The same for one dead socket. */
int port_bury(struct engine *e, uint32_t key, uint32_t slot);

/* The ports that the installed rules name (engine/ruleset.c). */
struct named {
	bool port[65536];
	bool any; /* a rule diverts to a port from a table */
};
int ruleset_named(struct engine *e, struct named *named);

/*
 * The instructions and entries of the installed rules; empty if there are none. The caller frees
 * them (engine/ruleset.c).
 */
int ruleset_code(struct engine *e, struct engine_rules *r);
void ruleset_code_free(struct engine_rules *r);

#endif
