// SPDX-License-Identifier: BSD-2-Clause
/* Random rule sets. */
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "packet.h"
#include "ruleset.h"

static const char *const actions[] = {
	"allow",
	"deny",
	"count",
	"count",
	"count",
	"count",
	"divert 5",
	"divert tablearg",
	"skipto 20",
	"skipto tablearg",
	"call 25",
	"call 5",
	"call tablearg",
	"return",
	"reass",
	"reject",
	"unreach6 4",
	"reset",
	"reset6",
	"unreach port",
	"unreach needfrag 1400",
	"skipto 700",
	"call 500",
	"tee 5",
	"tee 25",
	"tee tablearg",
	"divert 10",
	"divert 25",
};

static const char *const places[] = {
	"any",
	"any",
	"any",
	"10.0.0.1",
	"10.0.0.0/24",
	"not 10.0.0.2",
	"10.0.0.0:255.255.0.255",
	"10.0.0.0/24{1,5-9}",
	"10.0.0.2,192.0.2.0/24{7,200},fd00::1",
	"fd00::/64",
	"::/0",
	"me",
	"not me",
	"me6",
	"table(ta)",
	"table(ta,10)",
	"me,10.0.1.1,table(ta,5)",
	"{ 10.0.0.1 or not fd00::1 }",
	"{ me or 192.0.2.7 or table(ta) }",
	"0.0.0.0/0",
	"table(ta),10.0.0.1,fd00::1",
	"fd00::1/ffff::ffff",
	"10.0.0.1,fd00::1:0:0:2/ff::ff:0:0:f,fd00::2",
};

static const char *const heads[] = {
	"ip",
	"ip",
	"ip",
	"ip4",
	"ip6",
	"tcp",
	"udp",
	"icmp",
	"ipv6-icmp",
	"not tcp",
	"{ tcp or udp }",
	"{ ip6 or not udp }",
	"47",
};

static const char *const options[] = {
	"in",
	"out",
	"via eth0",
	"via eth*",
	"not via lo",
	"recv tun0",
	"xmit eth1",
	"recv *",
	"via table(ti)",
	"recv table(ti,5)",
	"not xmit table(ti)",
	"via 10.0.0.1",
	"recv fd00::1",
	"xmit 10.0.0.1",
	"not via fd00::1",
	"{ in or via eth0 }",
	"proto tcp",
	"not proto 17",
	"src-ip me",
	"dst-ip 10.0.0.0/8",
	"src-ip 10.0.0.1,fd00::2",
	"src-port 53",
	"dst-port 22,53,80,1000,1001,3",
	"not dst-port 0-100",
	"{ src-port 80 or dst-port 80 }",
	"icmptypes 8",
	"icmp6types 128",
	"icmpcodes 1-2",
	"not icmptypes 0",
	"diverted",
	"diverted-loopback",
	"not diverted-output",
	"fwmark 1",
	"fwmark 0x2/0x2",
	"established",
	"setup",
	"not setup",
	"tcpflags syn,!ack",
	"tcpflags fin",
	"not tcpflags psh,!urg",
	"tcpoptions mss",
	"tcpoptions window,!sack",
	"tcpoptions !ts,!cc",
	"tcpseq 1",
	"tcpack 2",
	"tcpwin 1-2",
	"tcpmss 1000-1001",
	"not tcpmss 1000",
	"tcpdatalen 0",
	"tcpdatalen 1-9",
	"ipid 1",
	"ipid 2-3",
	"iplen 20-41",
	"iplen 42-500",
	"ipttl 2",
	"not ipttl 1-2",
	"iptos lowdelay",
	"iptos throughput,!reliability",
	"ipprecedence 5",
	"ipprecedence 0,1,2",
	"dscp ef",
	"dscp be,af11,46",
	"not dscp ef",
	"ipoptions rr",
	"ipoptions ts,!lsrr",
	"ipoptions !ssrr",
	"frag",
	"not frag",
	"frag mf",
	"frag df,!offset",
	"frag rf,offset",
	"not frag !mf",
	"ext6hdr frag",
	"ext6hdr hopopt,rthdr0",
	"ext6hdr rthdr2",
	"not ext6hdr route",
	"ext6hdr dstopt,ah",
	"flow-id 1",
	"flow-id 0,2",
	"uid 0",
	"not uid 1",
	"gid 1",
	"verrevpath",
	"not versrcreach",
	"antispoof",
	"not antispoof",
	"lookup src-ip ta",
	"lookup dst-ip table(ta,10)",
	"lookup dst-port tn",
	"not lookup src-port tn",
	"lookup uid tn",
	"lookup dscp tn",
	"lookup fwmark table(tn,10)",
	"flow table(tf)",
	"not flow table(tf,10)",
	"{ lookup src-ip ta or not established or frag }",
	"{ frag mf or dst-port 80 or dst-ip me }",
	"ip6",
	"not ip4",
	"ipversion 6",
	"ipversion 4",
	"not ipver 5",
	"via lo0",
	"not recv lo0",
	"not sockarg",
	"{ sockarg or src-port 53 }",
	"iptos congestion",
	"iptos ecntransport",
	"not iptos !congestion,mincost",
	"not tcpflags syn,!syn",
	"not dst-port 99-1",
	"src-ip localhost",
	"src-ip6 fd00::1,fd00::2",
	"dst-ip6 me6",
};

/* Of the same, those that do not tell the packets of a flow apart: for the verdict cache. */
static const char *const alike_actions[] = {
	"allow",   "allow",  "deny",   "count",	 "count",  "count", "divert 5",	 "skipto 20",
	"call 25", "call 5", "return", "reject", "tee 25", "allow", "divert 10", "skipto 700",
};

static const char *const alike_places[] = {
	"any",
	"any",
	"any",
	"10.0.0.1",
	"10.0.0.0/24",
	"not 10.0.0.2",
	"10.0.0.0:255.255.0.255",
	"fd00::/64",
	"10.0.0.2,192.0.2.0/24{7,200},fd00::1",
	"{ 10.0.0.1 or not fd00::1 }",
};

static const char *const alike_options[] = {
	"in",
	"out",
	"via eth0",
	"via eth*",
	"not via lo",
	"recv tun0",
	"xmit eth1",
	"recv *",
	"{ in or via eth0 }",
	"proto 17",
	"not proto tcp",
	"src-ip 10.0.0.1,fd00::2",
	"src-port 53",
	"not dst-port 0-100",
	"{ src-port 80 or dst-port 80 }",
	"icmptypes 8",
	"diverted",
	"not diverted-output",
	"frag",
	"not frag",
	"ext6hdr frag",
	"not ext6hdr route",
	"ip6",
	"not ip4",
};

static const char *const names[] = {"", "", " :a", " :b", " :default"};

static const char *const limits[] = {
	"src-addr", "dst-addr", "src-port", "dst-port", "src-addr dst-port", "all",
};

/* What the rule does with states, if it does. */
static char *put_state(char *at)
{
	static const char *const states[] = {"keep-state", "record-state", "limit", "set-limit"};
	unsigned int i = random_chance(8);

	if (i >= 4)
		return at;
	at += sprintf(at, " %s", states[i]);
	if (i >= 2)
		at += sprintf(at, " %s %u", RANDOM_PICK(limits), 1 + random_chance(3));
	at += sprintf(at, "%s", RANDOM_PICK(names));
	if (!random_chance(4))
		at += sprintf(at, " defer-action");
	return at;
}

static struct rule *random_check(unsigned int last)
{
	struct rules_error err;
	struct rule *r;
	char line[128];

	sprintf(line, "%u set %u check-state%s", 1 + random_chance(last), random_chance(3),
		random_chance(4) ? RANDOM_PICK(names) : " :any");
	return rule_parse(line, &r, &err) ? NULL : r;
}

#define FEW 30 /* the last number, where there are few rules */

/* One of the first list, or of the other one. */
#define PICK_ALIKE(alike, all) (may & ALIKE ? RANDOM_PICK(alike) : RANDOM_PICK(all))
#define ALIKE		       0x100 /* added to what random_rules() may */

static struct rule *random_rule(unsigned int last, unsigned int may)
{
	char line[512], *at = line;
	struct rules_error err;
	unsigned int i, n;
	struct rule *r;

	if (may & RANDOM_STATES && !random_chance(8))
		return random_check(last);
	do {
		at = line + sprintf(line, "%u set %u ", 1 + random_chance(last), random_chance(3));
		if (!random_chance(10) && may & RANDOM_PROB)
			at += sprintf(at, "prob 0.%u ", 1 + random_chance(9));
		at += sprintf(at, "%s ", PICK_ALIKE(alike_actions, actions));
		if (random_chance(
			    2)) { /* what is so special that few packets match, and what is not */
			at += sprintf(at, "%s from %s", RANDOM_PICK(heads),
				      PICK_ALIKE(alike_places, places));
			if (!random_chance(8))
				at += sprintf(at, " %s",
					      random_chance(2) ? "53" : "not 1000-65535");
			at += sprintf(at, " to %s", PICK_ALIKE(alike_places, places));
			n = random_chance(4);
		} else {
			at += sprintf(at, "ip from any to any");
			n = 1 + random_chance(2);
		}
		for (i = 0; i < n; i++)
			at += sprintf(at, " %s", PICK_ALIKE(alike_options, options));
		if (may & RANDOM_FIRST && !random_chance(last == FEW ? 4 : 32))
			at += sprintf(at, " %sfirst %u", random_chance(4) ? "" : "not ",
				      1 + random_chance(4));
		if (may & RANDOM_STATES)
			at = put_state(at);
		if (strstr(line, "divert") == strstr(line, "di") && !random_chance(2))
			at += sprintf(at, " bypass");
	} while (rule_parse(line, &r, &err)); /* "not ip" and its kin are refused */
	return r;
}

int random_rules(struct rules *s, unsigned int may)
{
	struct rules_error err;
	struct rule *r;
	/*
	 * a few rules close together, or so many that they take pages of instructions and of
	 * entries
	 */
	bool many = !random_chance(16);
	unsigned int i, n = 1 + random_chance(many ? RANDOM_RULES_MAX : 16),
			last = many ? 900 : FEW;
	struct rules_table *flows;

	rules_init(s);
	if (!rules_table_add(s, "ta", RULES_TABLE_ADDR, &err) ||
	    !rules_table_add(s, "tn", RULES_TABLE_NUMBER, &err) ||
	    !rules_table_add(s, "ti", RULES_TABLE_IFACE, &err))
		return -1;
	flows = rules_table_add(s, "tf", RULES_TABLE_FLOW, &err);
	if (!flows || rules_table_type_parse(flows, RANDOM_FLOW, &err))
		return -1;
	if (random_chance(2))
		may &= ~RANDOM_STATES;
	if (random_chance(2))
		may &= ~RANDOM_FIRST;
	else if (random_chance(2))
		may = (may & RANDOM_FIRST) | ALIKE;
	for (i = 0; i < n; i++) {
		r = random_rule(last, may);
		if (!r || rules_add(s, r, &err))
			return -1;
	}
	if (!random_chance(3))
		s->disabled = 1u << random_chance(3);
	return 0;
}
