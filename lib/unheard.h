/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules that their author may not have meant so: of divert ports on which nobody listens, so that packets are dropped,
 * and of interfaces on which none is ever seen. For tools, which tell it.
 */
#ifndef LIB_UNHEARD_H
#define LIB_UNHEARD_H

#include "change.h"

/* A rule that drops what it matches while nobody listens: not one with bypass, nor one whose port a table says. */
bool unheard_rule(const struct rule *r);

/*
 * Keep of n ports those on which nobody listens, and whose packets do not pass all the same, as they do with
 * DIVERT_BYPASS or pass-through: sorted, each once. How many; 0 also where it cannot be told.
 */
int unheard_ports(struct engine *e, uint16_t *port, int n);

/* "port 2000", "ports 2000, 2001"; of many the first ones. */
#define UNHEARD_TEXT 128
void unheard_text(const uint16_t *port, int n, char text[UNHEARD_TEXT]);

/* An interface that is not there, or is a port of another: true, and a sentence. */
bool unseen_interface(const char *name, char text[UNHEARD_TEXT]);

#endif
