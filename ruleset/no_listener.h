/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Find rules that hardly do what their author meant: divert rules for ports without a listener,
 * which drop packets, and rules for interfaces on which no packet is ever seen. Tools warn of them.
 */
#ifndef RULESET_NO_LISTENER_H
#define RULESET_NO_LISTENER_H

#include "transaction.h"

/*
 * Does the rule drop packets while its port has no listener? Not with `bypass`, nor if a table
 * gives the port.
 */
bool no_listener_rule(const struct rule *r);

/*
 * Reduce port[] to those of the n ports that have no listener and therefore drop packets; with
 * DIVERT_BYPASS or pass-through they do not. Sorts them and removes duplicates. Returns how many
 * remain; 0 also if that cannot be found out.
 */
int no_listener_ports(struct engine *e, uint16_t *port, int n);

/* Writes "port 2000" or "ports 2000, 2001"; of many ports only the first ones. */
#define NO_LISTENER_TEXT 128
void no_listener_text(const uint16_t *port, int n, char text[NO_LISTENER_TEXT]);

/* If the interface does not exist, or is a port of another one: true, with a message in text. */
bool unseen_interface(const char *name, char text[NO_LISTENER_TEXT]);

#endif
