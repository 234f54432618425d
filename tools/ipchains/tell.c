// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "ipchains.h"
#include "ruleset/no_listener.h"

int complain(const char *program, const struct rules_error *err)
{
	fprintf(stderr, "%s: %s\n", program, err->text);
	return err->status == EPROTO ? STATUS_VERSION : STATUS_OTHER;
}

void warn_interface(const char *name, const char *why, void *arg)
{
	fprintf(stderr, "ipchains: warning: %s\n", why); /* `why` names the interface */
}

void tell_no_listener(struct chainset *s, uint16_t port)
{
	const struct rules *rules = &s->change->rules;
	uint16_t *ports = calloc(rules->n + 1, sizeof(*ports));
	char text[NO_LISTENER_TEXT];
	unsigned int i;
	int n = 0;

	for (i = 0; ports && i < rules->n; i++)
		if (no_listener_rule(rules->rule[i]) && (!port || rules->rule[i]->arg == port))
			ports[n++] = rules->rule[i]->arg;
	if (n && s->change->open)
		n = no_listener_ports(&s->change->engine, ports, n);
	if (n) {
		no_listener_text(ports, n, text);
		fprintf(stderr,
			"ipchains: nobody listens on divert %s: packets that match are dropped "
			"until a program does; 'divertctl set pass-through on' lets them pass\n",
			text);
	}
	free(ports);
}

void tell_interface(const struct chain_spec *spec)
{
	char text[NO_LISTENER_TEXT];

	if (*spec->iface && !(spec->flags & CHAIN_WILD) && unseen_interface(spec->iface, text))
		fprintf(stderr, "ipchains: %s\n", text);
}
