/* SPDX-License-Identifier: BSD-2-Clause */
/* Refuses a rule whose next hop is this host itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "ipfw.h"

static bool is_hop(const struct rule_hop *hop, const struct ifaddrs *a)
{
	const struct sockaddr *addr = a->ifa_addr;

	if (!addr || addr->sa_family != (hop->six ? AF_INET6 : AF_INET))
		return false;
	if (!hop->six)
		return ((const struct sockaddr_in *)addr)->sin_addr.s_addr == hop->ip.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)addr)->sin6_addr, &hop->ip6,
		       sizeof(hop->ip6)) &&
	       (!*hop->iface || !strcmp(a->ifa_name, rules_iface_name(hop->iface)));
}

int refuse_own_hop(const struct rule *r, struct rules_error *err)
{
	char text[INET6_ADDRSTRLEN];
	struct ifaddrs *all, *a;

	if (r->action != RULE_FWD || r->tablearg)
		return 0;
	if (getifaddrs(&all))
		return rules_fail(err, EX_OSERR, "the addresses of this host: %s", strerror(errno));
	for (a = all; a && !is_hop(&r->hop, a); a = a->ifa_next)
		;
	if (a)
		rules_fail(err, EX_DATAERR,
			   "fwd %s: an address of this host (%s) is no next hop: for a port on "
			   "this host use nftables' tproxy",
			   inet_ntop(r->hop.six ? AF_INET6 : AF_INET,
				     r->hop.six ? (const void *)&r->hop.ip6
						: (const void *)&r->hop.ip,
				     text, sizeof(text)),
			   a->ifa_name);
	freeifaddrs(all);
	return a ? -1 : 0;
}
