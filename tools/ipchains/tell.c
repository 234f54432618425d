// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include "ipchains.h"
#include "lib/unheard.h"

void tell_unheard(struct chainset *s, uint16_t port)
{
	const struct rules *rules = &s->change->rules;
	uint16_t *ports = calloc(rules->n + 1, sizeof(*ports));
	char text[UNHEARD_TEXT];
	unsigned int i;
	int n = 0;

	for (i = 0; ports && i < rules->n; i++)
		if (unheard_rule(rules->rule[i]) && (!port || rules->rule[i]->arg == port))
			ports[n++] = rules->rule[i]->arg;
	if (n && s->change->open)
		n = unheard_ports(&s->change->engine, ports, n);
	if (n) {
		unheard_text(ports, n, text);
		fprintf(stderr,
			"ipchains: nobody listens on divert %s: packets that match are dropped "
			"until a program does; 'divertctl set pass-through on' lets them pass\n",
			text);
	}
	free(ports);
}

void tell_interface(const struct chain_spec *spec)
{
	char text[UNHEARD_TEXT];

	if (*spec->iface && !(spec->flags & CHAIN_WILD) && unseen_interface(spec->iface, text))
		fprintf(stderr, "ipchains: %s\n", text);
}
