// SPDX-License-Identifier: BSD-2-Clause
/* Tells what happens to packets once nobody listens any more. */
#include "interceptor.h"
#include "lib/unheard.h"

/* The first rule that diverts to the port and drops what matches from now on; 0: none does. */
static unsigned int first_rule(struct change *c, uint16_t port)
{
	const struct rules *rules = &c->rules;
	const struct rule *r;
	unsigned int i;

	if (!c->open || rules->off || !unheard_ports(&c->engine, &port, 1))
		return 0;
	for (i = 0; i < rules->n; i++) {
		r = rules->rule[i];
		if (unheard_rule(r) && r->arg == port && !(rules->disabled >> r->set & 1))
			return r->number;
	}
	return 0;
}

void tell_end(uint16_t port)
{
	struct rules_error err;
	struct change *c = change_open(0, &err);
	unsigned int number;

	if (!c)
		return; /* without privilege, say: it cannot be told */
	number = first_rule(c, port);
	if (number)
		fprintf(stderr,
			"interceptor: rule %u diverts to port %u still: packets that match are "
			"dropped from now on; 'ipfw delete %u' removes it\n",
			number, port, number);
	change_close(c);
}
