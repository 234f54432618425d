/* SPDX-License-Identifier: BSD-2-Clause */
/* All counters of ports and of rules at one moment. */
#ifndef DIVERTCTL_COUNTERS_H
#define DIVERTCTL_COUNTERS_H

#include "ruleset/transaction.h"

struct counters {
	struct transaction *t; /* the engine, open, and its rules */
	struct engine_port *port;
	int ports;
	struct divert_port_stats none;	  /* of no port */
	struct divert_rule_counter *rule; /* as t->rules.rule; the last one is the default rule's */
};

/* EXIT_OK, or an exit status, and the reason is reported; without an engine only if tell is set. */
int counters_read(struct counters *c, bool tell);
void counters_free(struct counters *c);

/* The i-th rule's number and text; i is up to t->rules.n, which is the default rule. */
unsigned int counters_number(const struct counters *c, unsigned int i);
const char *counters_text(const struct counters *c, unsigned int i);

#endif
