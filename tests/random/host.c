// SPDX-License-Identifier: BSD-2-Clause
/* The host that packets and rules are for. */
#include <arpa/inet.h>
#include <string.h>

#include "host.h"

const char *const random_own[2] = {"10.0.0.1", "fd00::1"};

/* One address is on every interface whose name begins with e, the other one on tun0. */
bool random_iface_has(const char *name, const char *addr)
{
	return name && ((*name == 'e' && !strcmp(addr, random_own[0])) ||
			(*name == 't' && !strcmp(addr, random_own[1])));
}

const struct random_entry random_entry[RANDOM_ENTRIES] = {
	{"ta", "10.0.0.0/8", 5},
	{"ta", "10.0.0.0/24", 10},
	{"ta", "10.0.0.2", 25},
	{"ta", "fd00::/64", 5},
	{"ta", "fd00::1", 10},
	{"tn", "53", 5},
	{"tn", "0", 10},
	{"tn", "46", 25},
	{"tn", "1", 5},
	{"ti", "eth0", 5},
	{"ti", "lo", 10},
	{"tf", "10.0.0.1,6,80", 5},
	{"tf", "10.0.0.2,17,53", 10},
	{"tf", "fd00::1,6,53", 25},
	{"tf", "fd00::2,17,80", 10},
};

/*
 * A source. The interface that a route to it leads by, the default route or another; and the
 * interfaces whose network it is in.
 */
static const struct source {
	const char *addr, *meta; /* NULL: no route, as it is this host's address */
	bool by_default;
	char network; /* of the interfaces whose name begins with this; 0: of none */
} sources[] = {
	{"10.0.0.1", NULL, false, 'e'},	  {"10.0.0.2", "eth0", false, 'e'},
	{"10.0.1.1", "eth1", false, 0},	  {"192.0.2.7", "tun0", true, 0},
	{"192.0.2.200", "tun0", true, 0}, {"fd00::1", NULL, false, 't'},
	{"fd00::2", "tun0", false, 't'},  {"fd00:0:0:1::1", "eth0", false, 0},
	{"2001:db8::7", "eth1", true, 0},
};

/* On lo all questions are answered yes. */
uint8_t random_path(const struct random_sample *s)
{
	const struct source *a = sources;
	char text[INET6_ADDRSTRLEN];
	bool lo;

	if (!s->recv)
		return 0;
	lo = !strcmp(s->recv, "lo");
	inet_ntop(s->six ? AF_INET6 : AF_INET, s->src, text, sizeof(text));
	while (strcmp(a->addr, text))
		a++;
	return (lo || (a->meta && !strcmp(a->meta, s->recv))) << DIVERT_RPF_REVERSE |
	       (lo || (a->meta && !a->by_default)) << DIVERT_RPF_REACH |
	       (lo || !a->network || a->network == *s->recv) << DIVERT_RPF_HONEST;
}
