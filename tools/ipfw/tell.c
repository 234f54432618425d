/* SPDX-License-Identifier: BSD-2-Clause */
/* Warnings about added rules, on stderr; the exit status stays 0. */
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"
#include "ruleset/no_listener.h"

/* ---- interfaces that never see packets ---- */

static bool was_told(struct session *s, const char *name)
{
	char(*more)[DIVERT_NAME_LEN];
	unsigned int i;

	for (i = 0; i < s->names; i++)
		if (!strcmp(s->name[i], name))
			return true;
	more = realloc(s->name, (s->names + 1) * sizeof(*more));
	if (more) {
		s->name = more;
		snprintf(s->name[s->names++], sizeof(*more), "%s", name);
	}
	return false;
}

void tell_interfaces(struct session *s, const struct rule *r)
{
	const struct rule_match *m;
	char text[NO_LISTENER_TEXT];

	for (m = r->match; m; m = m->next)
		if ((m->type == RULE_VIA || m->type == RULE_RECV || m->type == RULE_XMIT) &&
		    m->iface.kind == RULE_IFACE_NAME && !was_told(s, m->iface.name) &&
		    unseen_interface(rules_iface_name(m->iface.name), text))
			fprintf(stderr, "ipfw: %s\n", text);
}

/* ---- ports without a listener ---- */

static int added_ports(const struct session *s, uint16_t *port)
{
	const struct rules *rules = &s->change->rules;
	const struct rule *r;
	unsigned int i;
	int n = 0;

	for (i = 0; i < rules->n && !rules->off; i++) {
		r = rules->rule[i];
		if (s->added[r->counter] && no_listener_rule(r) && !(rules->disabled >> r->set & 1))
			port[n++] = r->arg;
	}
	return n;
}

void tell_no_listener(struct session *s)
{
	uint16_t *port = calloc(s->change->rules.n + 1, sizeof(*port));
	char text[NO_LISTENER_TEXT], names[256];
	bool several;
	int n;

	n = port ? no_listener_ports(&s->change->engine, port, added_ports(s, port)) : 0;
	if (n) {
		no_listener_text(port, n, text);
		fprintf(stderr,
			"ipfw: nobody listens on divert %s: packets that match are dropped until a "
			"program does; 'bypass' in the rule lets them pass\n",
			text);
		if (engine_raw_sockets(names, sizeof(names))) {
			several = strstr(names, "), ");
			fprintf(stderr,
				"ipfw: %s %s of protocol 258 or 254: start %s with 'divert-run' to "
				"have %s listen\n",
				*names ? names : "a program",
				several ? "have ordinary raw sockets"
					: "has an ordinary raw socket",
				several ? "them" : "it", several ? "them" : "it");
		}
	}
	free(port);
}
