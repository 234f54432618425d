// SPDX-License-Identifier: BSD-2-Clause
/* Warns about rules that drop packets once this program has ended. */
#include "interceptor.h"
#include "ruleset/no_listener.h"

/* The first rule that diverts to the port, and from now on drops what it matches; 0: none. */
static unsigned int first_rule(struct transaction *c, uint16_t port)
{
	const struct rules *rules = &c->rules;
	const struct rule *r;
	unsigned int i;

	if (!c->open || rules->off || !no_listener_ports(&c->engine, &port, 1))
		return 0;
	for (i = 0; i < rules->n; i++) {
		r = rules->rule[i];
		if (no_listener_rule(r) && r->arg == port && !(rules->disabled >> r->set & 1))
			return r->number;
	}
	return 0;
}

void tell_end(uint16_t port)
{
	struct rules_error err;
	struct transaction *c = transaction_open(0, &err);
	unsigned int number;

	if (!c)
		return; /* for example without privilege: unknown */
	number = first_rule(c, port);
	if (number)
		fprintf(stderr,
			"interceptor: rule %u diverts to port %u still: packets that match are "
			"dropped from now on; 'ipfw delete %u' removes it\n",
			number, port, number);
	transaction_close(c);
}
