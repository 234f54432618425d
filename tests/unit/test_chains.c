// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains: command lines, the numbered rules that chains become, and what packets meet there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/ip.h>

#include "rules/chains.h"

/* ---- doing what a command line says ---- */

static int look_up(const char *name, struct in_addr *addr, int max)
{
	if (!strcmp(name, "two")) {
		addr[0].s_addr = inet_addr("10.0.0.1");
		addr[1].s_addr = inet_addr("10.0.0.2");
		return 2;
	}
	addr[0].s_addr = inet_addr("10.9.9.9");
	return strcmp(name, "one") ? 0 : 1;
}

static const struct chain_names names = {.host = look_up};

static int command(struct chains *c, const char *line, struct chain_command *cmd,
		   struct rules_error *err)
{
	char *copy = strdup(line), *rest = copy, *w;
	const char *word[64];
	unsigned int n = 0;
	int rc;

	while ((w = strsep(&rest, " ")))
		if (*w)
			word[n++] = w;
	err->text[0] = 0;
	rc = chain_command_read(cmd, n, word, &names, err);
	if (!rc && c)
		rc = chain_command_run(c, cmd, err);
	if (rc)
		assert_true(*err->text && err->status);
	free(copy);
	return rc;
}

/* Commands, each on its line. */
static void script(struct chains *c, const char *lines)
{
	char *copy = strdup(lines), *rest = copy, *line;
	struct chain_command cmd;
	struct rules_error err;

	while ((line = strsep(&rest, "\n"))) {
		if (command(c, line, &cmd, &err))
			fail_msg("%s: %s", line, err.text);
		chain_command_free(&cmd);
	}
	free(copy);
}

/* ---- lines ---- */

#define ANY "0.0.0.0/0.0.0.0"

/* The rules that a line gives, as ipchains-save has them; or what is wrong, behind "? ". */
static const struct {
	const char *line, *text;
} lines[] = {
	/* the HOWTO's */
	{"-A input -p ICMP -j DIVERT 1234", "-A input -s " ANY " -d " ANY " -p 1 -j DIVERT 1234"},
	{"-A output -p TCP -s -j DIVERT 4321",
	 "-A output -s " ANY " -d " ANY " -p 6 -j DIVERT 4321"},
	{"-A output -p TCP -s -j DENY", "? -s: address missing"},
	{"-A output -d -j DENY", "? -d: address missing"},
	{"-A output -s", "? -s: address missing"},
	{"-A output -s ! -j DIVERT 5", "? !: not with --jump"},

	/* commands and flags */
	{"", "? a command is missing: one of -A -D -R -I -L -F -Z -N -X -P -C"},
	{"-j DENY", "? a command is missing: one of -A -D -R -I -L -F -Z -N -X -P -C"},
	{"-A", "? --append: argument missing"},
	{"-A input -A output", "? -A and -A: only one command at a time"},
	{"-A input -L", "? -A and -L: only one command at a time"},
	{"-A none -j DENY", "? none: no chain by that name"},
	{"-A ninechars", "? ninechars: chain name too long, 8 characters at most"},
	{"-A input", "-A input -s " ANY " -d " ANY},
	{"-A input what", "? what: unknown argument"},
	{"-A input -q", "? -q: unknown flag"},
	{"-A input -1", "? -1: unknown flag"},
	{"-A input --what", "? --what: unknown flag"},
	{"-A input --s 10.0.0.1", "? --s: could be --set and --source"},
	{"-A input !", "? !: nothing follows it"},
	{"-A input ! ! -y", "? !: given twice"},
	{"-A input ! -p ! tcp", "? !: given twice"},
	{"-A input ! -j DENY", "? !: not with --jump"},
	{"! -A input", "? !: not with --append"},
	{"--append input --protocol udp --jump user",
	 "-A input -s " ANY " -d " ANY " -p 17 -j user"},
	{"--append=input --proto=udp --target=user",
	 "-A input -s " ANY " -d " ANY " -p 17 -j user"},
	{"--append input --log --numeric", "-A input -s " ANY " -d " ANY " -l"},
	{"--append input --log=5", "? --log: takes no argument"},
	{"-Ainput -pudp -jDENY -lv", "-A input -s " ANY " -d " ANY " -p 17 -j DENY -l"},
	{"-L -j DENY", "? -L: takes no rule"},
	{"-F input -p tcp", "? -F: takes no rule"},
	{"-I input 1 -j DENY", "-A input -s " ANY " -d " ANY " -j DENY"},
	{"-I input -j DENY", "-A input -s " ANY " -d " ANY " -j DENY"},
	{"-I input 2 -j DENY", "? input: no rule number 2: there are 0"},
	{"-I input 0 -j DENY", "? 0: not a rule's number in its chain"},
	{"-I input x -j DENY", "? x: not a rule's number in its chain"},
	{"-R input 1 -j DENY", "? input: no rule number 1: there are 0"},
	{"-R input -j DENY", "? (nothing): not a rule's number in its chain"},
	{"-D input 1", "? input: no rule number 1: there are 0"},
	{"-D input 1 -j DENY", "? -D: a number or a rule, not both"},
	{"-D input -j DENY", "? input: no such rule"},
	{"-D user -j DENY -p tcp", "? user: no such rule"},
	{"-N user", "? user: there is such a chain"},
	{"-N ACCEPT", "? ACCEPT: the name of a target"},
	{"-N MASQ", "? MASQ: the name of a target"},
	{"-N a,b", "? not a chain's name: character 0x2c in it"},
	{"-N -x", "? --new-chain: argument missing"},
	{"-X input", "? input: a built-in chain"},
	{"-X none", "? none: no chain by that name"},
	{"-P input", "? -P: policy missing"},
	{"-P input RETURN", "? RETURN: not a policy: expected ACCEPT, DENY or REJECT"},
	{"-P user DENY", "? user: only built-in chains have a policy"},
	{"-P forward MASQ",
	 "? MASQ: ipdivert does not masquerade: use nftables' masquerade, or DIVERT to a natd"},
	{"-M -L", "? -M: ipdivert does not masquerade: use nftables' masquerade"},
	{"-S 1 2 3", "? -S: ipdivert does not masquerade: use nftables' masquerade"},
	{"-h what", "? what: expected icmp or nothing after -h"},

	/* targets */
	{"-A forward -j MASQ",
	 "? MASQ: ipdivert does not masquerade: use nftables' masquerade, or DIVERT to a natd"},
	{"-A input -p tcp -j REDIRECT 80",
	 "? REDIRECT: ipdivert does not redirect: use nftables' redirect, or DIVERT"},
	{"-A input -p tcp -j REDIRECT",
	 "? REDIRECT: ipdivert does not redirect: use nftables' redirect, or DIVERT"},
	{"-A input -j QUEUE", "? QUEUE: ipdivert does not queue: use nftables' queue, or DIVERT"},
	{"-A input -j REJECT", "-A input -s " ANY " -d " ANY " -j REJECT"},
	{"-A input -j RETURN", "-A input -s " ANY " -d " ANY " -j RETURN"},
	{"-A input -j DIVERT", "? DIVERT: port missing"},
	{"-A input -j DIVERT 0", "? 0: not a divert port: expected 1 to 65535"},
	{"-A input -j DIVERT 65536", "? 65536: not a divert port: expected 1 to 65535"},
	{"-A input -j DENY 5", "? 5: unknown argument"},
	{"-A input -j none", "? none: no target or chain by that name"},
	{"-A input -j output", "? output: a built-in chain is no target"},
	{"-A user -j user", "? user: leads back to user"},
	{"-A input -j accept", "? accept: no target or chain by that name"},
	{"-A input -j", "? --jump: argument missing"},
	{"-A input -j DENY -j DENY", "? -j: given twice"},
	{"-A input -j ninechars", "? ninechars: target name too long, 8 characters at most"},

	/* protocols */
	{"-A input -p all", "-A input -s " ANY " -d " ANY},
	{"-A input -p 0", "-A input -s " ANY " -d " ANY},
	{"-A input -p ! tcp", "-A input -s " ANY " -d " ANY " -p ! 6"},
	{"-A input ! -p 255", "-A input -s " ANY " -d " ANY " -p ! 255"},
	{"-A input -p 256", "? 256: not a protocol: expected tcp, udp, icmp, all or 0 to 255"},
	{"-A input -p gre", "? gre: not a protocol: expected tcp, udp, icmp, all or 0 to 255"},
	{"-A input -p ! all", "? protocol: ! and all: never matches"},
	{"-A input -p tcp -p udp", "? -p: given twice"},

	/* addresses */
	{"-A input -s 10.1.2.3", "-A input -s 10.1.2.3/255.255.255.255 -d " ANY},
	{"-A input -s 10.1.2.3/8", "-A input -s 10.0.0.0/255.0.0.0 -d " ANY},
	{"-A input -s 10/8", "-A input -s 10.0.0.0/255.0.0.0 -d " ANY},
	{"-A input -s 0/0", "-A input -s " ANY " -d " ANY},
	{"-A input -s any/0", "-A input -s " ANY " -d " ANY},
	{"-A input -d ! 10.1.2.3/255.0.0.255", "-A input -s " ANY " -d ! 10.0.0.3/255.0.0.255"},
	{"-A input ! -d 10.1.2.3/32", "-A input -s " ANY " -d ! 10.1.2.3/255.255.255.255"},
	{"-A input -s ! 0/0", "? source: ! and any: never matches"},
	{"-A input -d ! 0/0", "? destination: ! and any: never matches"},
	{"-A input -s 10.1.2.256", "? 10.1.2.256: host or network not found"},
	{"-A input -s 10.1.2", "? 10.1.2: host or network not found"},
	{"-A input -s 10.1.2.3.4", "? 10.1.2.3.4: host or network not found"},
	{"-A input -s 10.0.0.0/33", "? 33: not a mask: expected 0 to 32 or 255.255.255.0"},
	{"-A input -s 10.0.0.0/", "? : not a mask: expected 0 to 32 or 255.255.255.0"},
	{"-A input -s one", "-A input -s 10.9.9.9/255.255.255.255 -d " ANY},
	{"-A input -s one/24", "-A input -s 10.9.9.0/255.255.255.0 -d " ANY},
	{"-A input -s nobody", "? nobody: host or network not found"},
	{"-A input -s two", "-A input -s 10.0.0.1/255.255.255.255 -d " ANY
			    "\n-A input -s 10.0.0.2/255.255.255.255 -d " ANY},
	{"-A input -s ! two", "? !: not with a name that has several addresses, two"},
	{"-A input -b -d two", "? -b: not with a name that has several addresses, two"},
	{"-A input -s 10.0.0.1 -s 10.0.0.2", "? -s: given twice"},

	/* ports */
	{"-A input -p tcp -s 0/0 80", "-A input -s " ANY " 80:80 -d " ANY " -p 6"},
	{"-A input -s 0/0 80 -p tcp", "-A input -s " ANY " 80:80 -d " ANY " -p 6"},
	{"-A input -p tcp -s 0/0 ! 80", "-A input -s " ANY " ! 80:80 -d " ANY " -p 6"},
	{"-A input -p tcp -d 0/0 :80", "-A input -s " ANY " -d " ANY " 0:80 -p 6"},
	{"-A input -p tcp -d 0/0 80:", "-A input -s " ANY " -d " ANY " 80:65535 -p 6"},
	{"-A input -p tcp -d 0/0 :", "-A input -s " ANY " -d " ANY " -p 6"},
	{"-A input -p tcp -d 0/0 1:80", "-A input -s " ANY " -d " ANY " 1:80 -p 6"},
	{"-A input -p tcp --sport 80", "-A input -s " ANY " 80:80 -d " ANY " -p 6"},
	{"-A input -p tcp --destination-port ! 80", "-A input -s " ANY " -d " ANY " ! 80:80 -p 6"},
	{"-A input -p tcp -d 0/0 http", "-A input -s " ANY " -d " ANY " 80:80 -p 6"},
	{"-A input -p tcp -s 0/0 ! -y", "-A input -s " ANY " -d " ANY " -p 6 ! -y"},
	{"-A input -p tcp -d 0/0 80:1", "? 80:1: the first is above the last"},
	{"-A input -p tcp -d 0/0 65536", "? 65536: not a port"},
	{"-A input -p tcp -d 0/0 nothing-at-all", "? nothing-at-all: not a port"},
	{"-A input -p tcp -d 0/0 ! 0:65535", "? ports: ! and all of them: never matches"},
	{"-A input -d 0/0 80", "? ports: only with -p tcp, udp or icmp, without !"},
	{"-A input -p ! tcp -d 0/0 80", "? ports: only with -p tcp, udp or icmp, without !"},
	{"-A input -p 47 -d 0/0 80", "? ports: only with -p tcp, udp or icmp, without !"},
	{"-A input -p tcp -d 0/0 80 --dport 81", "? port: given twice"},

	/* types and codes of ICMP */
	{"-A input -p icmp -s 0/0 8", "-A input -s " ANY " 8:8 -d " ANY " -p 1"},
	{"-A input -p icmp -s 0/0 ping", "-A input -s " ANY " 8:8 -d " ANY " -p 1"},
	{"-A input -p icmp --icmp-type host-unreachable",
	 "-A input -s " ANY " 3:3 -d " ANY " 1:1 -p 1"},
	{"-A input -p icmp -s 0/0 3 -d 0/0 0:4", "-A input -s " ANY " 3:3 -d " ANY " 0:4 -p 1"},
	{"-A input -p icmp -s 0/0 pang", "? pang: not a type of ICMP; -h icmp lists them"},
	{"-A input -p icmp -d 0/0 pang", "? pang: not a code of ICMP"},
	{"-A input -p icmp -s 0/0 ! host-unreachable",
	 "? host-unreachable: with a code in it, and !"},
	{"-A input -p icmp -s 0/0 host-unreachable -d 0/0 5",
	 "? host-unreachable: has a code in it"},

	{"-A input -p icmp -s 0/0 256", "? ICMP: types and codes are 255 at most"},
	{"-A input -p icmp -s 0/0 ! 0:255", "? ICMP: ! and all of them: never matches"},

	/* interfaces */
	{"-A input -i eth0", "-A input -s " ANY " -d " ANY " -i eth0"},
	{"-A input -i ! eth+", "-A input -s " ANY " -d " ANY " -i ! eth+"},
	{"-A input -i +", "-A input -s " ANY " -d " ANY},
	{"-A input -i ! +", "? interface: ! and any: never matches"},
	{"-A input -i abcdefghijklmnop",
	 "? abcdefghijklmnop: interface name too long, 15 characters at most"},
	{"-A input -i-a", "? -a: not an interface's name"},
	{"-A input -i a*", "? interface: character 0x2a in its name"},
	{"-A input -i eth0 -i eth1", "? -i: given twice"},

	/* -y, -f, -b, and what ipdivert has not */
	{"-A input -p tcp -y", "-A input -s " ANY " -d " ANY " -p 6 -y"},
	{"-A input -y", "? -y: only with -p tcp, without !"},
	{"-A input -p udp -y", "? -y: only with -p tcp, without !"},
	{"-A input -f", "-A input -s " ANY " -d " ANY " -f"},
	{"-A input ! -f -p tcp -d 0/0 80", "-A input -s " ANY " -d " ANY " 80:80 -p 6 ! -f"},
	{"-A input -f -p tcp -d 0/0 80", "? -f: only the first fragment has ports"},
	{"-A input -f -p tcp -y", "? -f: only the first fragment has flags for -y"},
	{"-A input -b -p tcp -s 10.0.0.1 ! 80 -d ! 10.0.0.2 1:5",
	 "-A input -s 10.0.0.1/255.255.255.255 ! 80:80 -d ! 10.0.0.2/255.255.255.255 1:5 -p 6\n"
	 "-A input -s ! 10.0.0.2/255.255.255.255 1:5 -d 10.0.0.1/255.255.255.255 ! 80:80 -p 6"},
	{"-R input 1 -b", "? -b: only with -A, -I, -D and -C"},
	{"-A input -t 01 10",
	 "? -t: ipdivert does not change a packet's TOS: use nftables' ip dscp set"},
	{"-A input -t ff 00", "-A input -s " ANY " -d " ANY},
	{"-A input -t 0x1ff 00", "? -t 0x1ff 00: expected two hexadecimal bytes"},
	{"-A input -t 01", "? -t: expected two hexadecimal bytes"},
	{"-A input -m 5", "? -m: ipdivert does not mark packets: use nftables' meta mark set"},
	{"-A input -o", "? -o: ipdivert copies packets to divert sockets only: use ipfw tee"},

	/* a packet to be checked */
	{"-C input -p tcp -s 10.0.0.1 -d 10.0.0.2 -i eth0",
	 "? -C: a packet has one port at each end"},
	{"-C input -p tcp -s 10.0.0.1 1 -d 10.0.0.2 2", "? -C: needs -p, -s, -d and -i"},
	{"-C input -s 10.0.0.1 -d 10.0.0.2 -i eth0", "? -C: needs -p, -s, -d and -i"},
	{"-C input -p all -s 10.0.0.1 -d 10.0.0.2 -i eth0",
	 "? -C: a packet has one protocol, not all"},
	{"-C input -p 47 -s 10.0.0.1/24 -d 10.0.0.2 -i eth0",
	 "? -C: a packet has one address at each end"},
	{"-C input -p 47 -s 10.0.0.1 -d ! 10.0.0.2 -i eth0",
	 "? -C: no ! and no +: it is about one packet"},
	{"-C input -p 47 -s 10.0.0.1 -d 10.0.0.2 -i eth+",
	 "? -C: no ! and no +: it is about one packet"},
};

static void collect(const struct chains *c, char *all)
{
	const struct chain *chain;
	unsigned int i;
	char *text;

	*all = 0;
	for (chain = c->first; chain; chain = chain->next)
		for (i = 0; i < chain->n; i++) {
			text = chain_rule_text(chain, &chain->rule[i]->spec);
			sprintf(all + strlen(all), "%s%s", *all ? "\n" : "", text);
			free(text);
		}
}

static void test_lines(void **state)
{
	struct chain_command cmd;
	struct rules_error err;
	struct chains c, again;
	char got[2048], *text;
	unsigned int i;

	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(chains_init(&c, &err), 0);
		assert_int_equal(chains_new(&c, "user", &err), 0);
		if (command(&c, lines[i].line, &cmd, &err))
			snprintf(got, sizeof(got), "? %s", err.text);
		else
			collect(&c, got);
		chain_command_free(&cmd);
		if (strcmp(got, lines[i].text))
			fail_msg("%s: %s; wanted %s", lines[i].line, got, lines[i].text);
		/* and the text says the same again */
		assert_int_equal(chains_text(&c, &text), 0);
		assert_int_equal(chains_init(&again, &err), 0);
		if (text) {
			char *rest = text, *line;

			while ((line = strsep(&rest, "\n")))
				if (*line && chains_read_line(&again, line, &err))
					fail_msg("%s: %s", line, err.text);
			collect(&again, got);
			if (*lines[i].text != '?')
				assert_string_equal(got, lines[i].text);
		}
		free(text);
		chains_free(&again);
		chains_free(&c);
	}
}

/* ---- numbered rules ---- */

static void list(const struct rules *s, char *all)
{
	unsigned int i;

	*all = 0;
	for (i = 0; i < s->n; i++)
		sprintf(all + strlen(all), "%u %s\n", s->rule[i]->number, s->rule[i]->text);
}

static const struct {
	const char *script, *rules;
} numbered[] = {
	{"-P input ACCEPT", ""},
	{"-N user", ""},
	{"-P output DENY", "64999 deny ip4 from any to any out // output policy\n"},
	{"-P forward REJECT",
	 "59999 unreach port ip4 from any to any out recv * // forward policy\n"},
	{"-A input -p icmp -j DIVERT 1234",
	 "50001 divert 1234 ip4 from any to any proto icmp in // input 1\n"
	 "54999 allow ip4 from any to any in // input policy\n"},
	{"-A forward -s 10/8 -j ACCEPT\n-A forward -j RETURN\n-P forward DENY\n-A output",
	 "55001 skipto 60000 ip4 from 10.0.0.0/8 to any out recv * // forward 1\n"
	 "55002 skipto 59999 ip4 from any to any out recv * // forward 2\n"
	 "59999 deny ip4 from any to any out recv * // forward policy\n"
	 "60001 count ip4 from any to any out // output 1\n"
	 "64999 allow ip4 from any to any out // output policy\n"},
	{"-A input -p tcp -s ! 10.0.0.1/255.0.0.255 ! 5 -d 0/0 ! 0:80 -i ! eth+ -j REJECT",
	 "50001 unreach port ip4 from not 10.0.0.1:255.0.0.255 0-4,6-65535 to any 81-65535 proto "
	 "tcp in "
	 "not via eth* // input 1\n"
	 "54999 allow ip4 from any to any in // input policy\n"},
	{"-A input -p icmp -s 0/0 3:5",
	 "50001 count ip4 from any to any proto icmp icmptypes 3,4,5 in // input 1\n"
	 "54999 allow ip4 from any to any in // input policy\n"},
	{"-A input -p icmp -s 0/0 253: -d 0/0 ! 3:5 -l -j DENY",
	 "50001 deny log ip4 from any to any proto icmp icmptypes 253,254,255 icmpcodes 0-2,6-255 "
	 "in // input 1\n"
	 "54999 allow ip4 from any to any in // input policy\n"},
	{"-A input -p icmp -s 0/0 ! 3:254\n-A output -p tcp -y -j DENY\n-A output -p tcp ! -y\n"
	 "-A forward -f -l\n-A forward ! -f",
	 "50001 count ip4 from any to any proto icmp icmptypes 0,1,2,255 in // input 1\n"
	 "54999 allow ip4 from any to any in // input policy\n"
	 "55001 count log ip4 from any to any out recv * frag // forward 1\n"
	 "55002 count ip4 from any to any out recv * not frag // forward 2\n"
	 "59999 skipto 60000 ip4 from any to any out recv * // forward policy\n"
	 "60001 deny ip4 from any to any proto tcp out tcpflags !fin,syn,!ack // output 1\n"
	 "60002 count ip4 from any to any proto tcp out not tcpflags !fin,syn,!ack // output 2\n"
	 "64999 allow ip4 from any to any out // output policy\n"},
	{"-N a\n-N b\n-N empty\n-A a -p udp -j b\n-A a -j RETURN\n-A a -j DENY\n-A b -j DIVERT 5\n"
	 "-A b -s 10/8 -j RETURN\n-A input -j a\n-A input -p tcp -j empty\n-A input -p tcp -j b",
	 "50001 count ip4 from any to any in // input 1\n"
	 "50002 skipto 50004 ip4 from any to any proto udp in // input 1: a 1\n"
	 "50003 skipto 50006 ip4 from any to any in // input 1: a 1: else\n"
	 "50004 divert 5 ip4 from any to any in // input 1: a 1: b 1\n"
	 "50005 skipto 50006 ip4 from 10.0.0.0/8 to any in // input 1: a 1: b 2\n"
	 "50006 skipto 50008 ip4 from any to any in // input 1: a 2\n"
	 "50007 deny ip4 from any to any in // input 1: a 3\n"
	 "50008 count ip4 from any to any proto tcp in // input 2\n"
	 "50009 skipto 50011 ip4 from any to any proto tcp in // input 3\n"
	 "50010 skipto 50013 ip4 from any to any in // input 3: else\n"
	 "50011 divert 5 ip4 from any to any in // input 3: b 1\n"
	 "50012 skipto 50013 ip4 from 10.0.0.0/8 to any in // input 3: b 2\n"
	 "54999 allow ip4 from any to any in // input policy\n"},
};

static void test_numbered(void **state)
{
	struct rules_error err;
	struct chains c;
	struct rules s, t;
	char got[4096], *blob;
	uint32_t len;
	unsigned int i;

	for (i = 0; i < sizeof(numbered) / sizeof(*numbered); i++) {
		rules_init(&s);
		assert_int_equal(chains_load(&c, &s, &err), 0);
		script(&c, numbered[i].script);
		if (chains_apply(&c, &s, NULL, &err))
			fail_msg("%s: %s", numbered[i].script, err.text);
		list(&s, got);
		assert_string_equal(got, numbered[i].rules);
		/* kept, and had again: the same chains, the same rules */
		assert_int_equal(rules_save(&s, &blob, &len), 0);
		rules_init(&t);
		assert_int_equal(rules_load(&t, blob, len, &err), 0);
		chains_free(&c);
		assert_int_equal(chains_load(&c, &t, &err), 0);
		assert_int_equal(chains_apply(&c, &t, NULL, &err), 0);
		list(&t, got);
		assert_string_equal(got, numbered[i].rules);
		free(blob);
		chains_free(&c);
		rules_free(&s);
		rules_free(&t);
	}
}

/* ipfw's own rules stay, and what it adds does not go behind the chains. */
static void test_beside_ipfw(void **state)
{
	struct rules_error err;
	struct chains c;
	struct rules s;
	struct rule *r;
	char got[1024];

	rules_init(&s);
	assert_int_equal(rule_parse("100 count ip from any to any", &r, &err), 0);
	assert_int_equal(rules_add(&s, r, &err), 0);
	assert_int_equal(chains_load(&c, &s, &err), 0);
	script(&c, "-A input -j DENY");
	assert_int_equal(chains_apply(&c, &s, NULL, &err), 0);
	assert_int_equal(rule_parse("count udp from any to any", &r, &err), 0);
	assert_int_equal(rules_add(&s, r, &err), 0);
	assert_int_equal(r->number, 200);
	script(&c, "-F");
	assert_int_equal(chains_apply(&c, &s, NULL, &err), 0);
	list(&s, got);
	assert_string_equal(got, "100 count ip from any to any\n200 count udp from any to any\n");
	assert_null(s.chains);
	chains_free(&c);
	rules_free(&s);
}

static uint32_t slot_of(const struct rules *s, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (s->rule[i]->number == number)
			return s->rule[i]->counter;
	fail_msg("no rule %u", number);
	return 0;
}

/* A rule keeps its counters wherever it moves; new ones are told. */
static void test_counters(void **state)
{
	static uint8_t fresh[DIVERT_RULES_MAX];
	uint32_t first, policy, in_user, marked = 0, i;
	struct rules_error err;
	struct chains c;
	struct rules s;

	rules_init(&s);
	assert_int_equal(chains_load(&c, &s, &err), 0);
	script(&c, "-N user\n-A user -j DIVERT 5\n-A input -p tcp -j DENY\n-A input -j user");
	assert_int_equal(chains_apply(&c, &s, fresh, &err), 0);
	for (i = 0; i < DIVERT_RULES_MAX; i++)
		marked += fresh[i];
	assert_int_equal(marked, s.n);
	first = slot_of(&s, 50001);
	in_user = slot_of(&s, 50003);
	policy = slot_of(&s, 54999);
	chains_free(&c);

	assert_int_equal(chains_load(&c, &s, &err), 0);
	assert_int_equal(c.first->rule[0]->slots, 1);
	assert_int_equal(c.first->rule[0]->slot[0], first);
	assert_int_equal(c.first->end.slot[0], policy);
	memset(fresh, 0, sizeof(fresh));
	script(&c, "-I input -p udp -j user\n-A output -j user");
	assert_int_equal(chains_apply(&c, &s, fresh, &err), 0);
	/* 1 user, 2 else, 3 user 1, 4 was the first */
	assert_int_equal(slot_of(&s, 50004), first);
	assert_int_equal(slot_of(&s, 54999), policy);
	assert_int_equal(slot_of(&s, 50003), in_user); /* one of its places now */
	assert_false(fresh[first] || fresh[policy] || fresh[in_user]);
	assert_true(fresh[slot_of(&s, 50001)] && fresh[slot_of(&s, 50006)]);
	chains_free(&c);

	assert_int_equal(chains_load(&c, &s, &err), 0);
	assert_int_equal(chains_find(&c, "user", &err)->rule[0]->slots, 3);
	/* no two rules have one counter */
	memset(fresh, 0, sizeof(fresh));
	for (i = 0; i < s.n; i++)
		assert_false(fresh[s.rule[i]->counter]++);
	chains_free(&c);
	rules_free(&s);
}

/* ---- models that must not be ---- */

static int status_of(struct chains *c, const char *line)
{
	struct chain_command cmd;
	struct rules_error err;
	int rc = command(c, line, &cmd, &err);

	chain_command_free(&cmd);
	return rc ? err.status : 0;
}

static void test_chains(void **state)
{
	struct rules_error err;
	struct chains c;
	struct rules s;
	unsigned int i;
	char line[64];

	assert_int_equal(chains_init(&c, &err), 0);
	script(&c, "-N a\n-N b\n-A a -j b\n-A input -j a");
	assert_int_equal(status_of(&c, "-A b -j a"), ELOOP);
	assert_int_equal(status_of(&c, "-X a"), ENOTEMPTY);
	assert_int_equal(status_of(&c, "-X b"), EBUSY);
	assert_int_equal(chain_references(&c, chains_find(&c, "b", &err)), 1);
	script(&c, "-F\n-X");
	assert_null(chains_find(&c, "a", &err));
	assert_int_equal(err.status, ENOENT);

	/* each chain leads to the next one twice: 2^40 rules, refused at once */
	for (i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "-N c%u", i);
		script(&c, line);
	}
	script(&c, "-A c0 -j DENY");
	for (i = 1; i < 40; i++) {
		snprintf(line, sizeof(line), "-A c%u -p tcp -j c%u", i, i - 1);
		script(&c, line);
		script(&c, line);
	}
	rules_init(&s);
	assert_int_equal(chains_apply(&c, &s, NULL, &err), 0);
	script(&c, "-A input -j c39");
	assert_int_not_equal(chains_apply(&c, &s, NULL, &err), 0);
	assert_int_equal(err.status, ENOSPC);
	assert_string_equal(err.text,
			    "input: with the chains that it leads to more than 4998 rules");
	rules_free(&s);
	chains_free(&c);
}

/* ---- packets ---- */

static const char rules_for_packets[] =
	"-N web\n-A web -s 10.0.0.0/8 -j ACCEPT\n-A web -s 11.0.0.0/8 -j RETURN\n-A web -j DIVERT "
	"9\n"
	"-A input -p tcp -d 0/0 80 -j web\n-A input -i ! eth+ -j DENY\n-A input -p tcp -s 0/0 ! "
	"1:5\n"
	"-A input -p tcp -s 0/0 ! 1:5 -j REJECT\n-A forward -s 10.0.0.1 -j ACCEPT\n-P forward DENY";

static const struct {
	const char *chain, *src, *iface;
	uint8_t proto;
	uint16_t sport, dport;
	unsigned int is;
} packets[] = {
	{"input", "10.0.0.1", "eth0", 6, 7, 80, CHAIN_ACCEPTED},
	{"input", "11.0.0.1", "eth0", 6, 3, 80, CHAIN_ACCEPTED},
	{"input", "11.0.0.1", "eth0", 6, 7, 80, CHAIN_REJECTED},
	{"input", "12.0.0.1", "eth0", 6, 7, 80, CHAIN_DIVERTED},
	{"input", "12.0.0.1", "eth0", 6, 5, 81, CHAIN_ACCEPTED},
	{"input", "12.0.0.1", "lo", 6, 5, 81, CHAIN_DENIED},
	{"input", "12.0.0.1", "lo", 6, 5, 80, CHAIN_DIVERTED},
	{"input", "12.0.0.1", "eth1", 17, 5, 80, CHAIN_ACCEPTED},
	{"forward", "10.0.0.1", "eth1", 17, 5, 80, CHAIN_ACCEPTED},
	{"forward", "10.0.0.2", "eth1", 17, 5, 80, CHAIN_DENIED},
	{"output", "10.0.0.2", "eth1", 17, 5, 80, CHAIN_ACCEPTED},
	{"web", "11.0.0.2", "eth1", 17, 5, 80, CHAIN_PASSED},
	{"web", "12.0.0.2", "eth1", 17, 5, 80, CHAIN_DIVERTED},
};

static void test_packets(void **state)
{
	struct rules_error err;
	struct chain_verdict v;
	uint8_t packet[40];
	struct iphdr ip;
	struct chains c;
	uint16_t port;
	unsigned int i;

	assert_int_equal(chains_init(&c, &err), 0);
	script(&c, rules_for_packets);
	for (i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
		memset(packet, 0, sizeof(packet));
		memset(&ip, 0, sizeof(ip));
		ip.version = 4;
		ip.ihl = 5;
		ip.tot_len = htons(sizeof(packet));
		ip.protocol = packets[i].proto;
		ip.saddr = inet_addr(packets[i].src);
		memcpy(packet, &ip, sizeof(ip));
		port = htons(packets[i].sport);
		memcpy(packet + 20, &port, 2);
		port = htons(packets[i].dport);
		memcpy(packet + 22, &port, 2);
		assert_int_equal(chain_test(&c, chains_find(&c, packets[i].chain, &err), packet,
					    sizeof(packet), packets[i].iface, &v, &err),
				 0);
		if (v.is != packets[i].is)
			fail_msg("packet %u: %d", i, v.is);
		assert_int_equal(v.port, v.is == CHAIN_DIVERTED ? 9 : 0);
	}
	/* TCP's flags, and fragments */
	script(&c, "-F input\n-A input -p tcp -y -j DENY\n-A input -f -j DIVERT 9");
	packet[0] = 0x45;
	packet[9] = 6;
	packet[32] = 5 << 4;
	packet[33] = 0x02;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_DENIED);
	packet[33] = 0x12;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_ACCEPTED);
	packet[7] = 1;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_DIVERTED);
	/* types and codes of ICMP */
	script(&c, "-F input\n-A input -p icmp -s 0/0 3 -d 0/0 ! 1:3 -j DENY");
	packet[7] = 0;
	packet[9] = 1;
	packet[20] = 3;
	packet[21] = 4;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_DENIED);
	packet[21] = 3;
	assert_int_equal(chain_test(&c, c.first, packet, 40, "eth0", &v, &err), 0);
	assert_int_equal(v.is, CHAIN_ACCEPTED);
	packet[0] = 0x46; /* shorter than its header says */
	assert_int_not_equal(chain_test(&c, c.first, packet, 20, "eth0", &v, &err), 0);
	chains_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),	    cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_beside_ipfw), cmocka_unit_test(test_counters),
		cmocka_unit_test(test_chains),	    cmocka_unit_test(test_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
