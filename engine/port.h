/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of ports, for the files here that are about ports. */
#ifndef DIVERT_ENGINE_PORT_H
#define DIVERT_ENGINE_PORT_H

#include "engine.h"

/* An entry. -ENOENT, without a sentence: the port has none. */
int port_get(struct engine *e, uint32_t key, struct divert_port *port);
int port_put(struct engine *e, uint32_t key, const struct divert_port *port);

/* Its sockets that live; or -errno (engine/bind.c). */
int port_alive(struct engine *e, const struct divert_port *port);

/* What the rules in place name (engine/ruleset.c). */
struct named {
	bool port[65536];
	bool any; /* one diverts to what a table says */
};
int ruleset_named(struct engine *e, struct named *named);

#endif
