// sources: rules/*.c tests/unit/chains.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains: command lines, and the errors in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chains.h"

#define ANY "0.0.0.0/0.0.0.0"

/* The rules that a line gives, as ipchains-save prints them; or the error, after "? ". */
static const struct {
	const char *line, *text;
} lines[] = {
	/* the HOWTO's lines */
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

	/* -y, -f, -b, and options that ipdivert does not have */
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
	{"-A input -t 01 10", "-A input -s " ANY " -d " ANY " -t 01 10"},
	{"-A input --TOS 0x0f 0xb8", "-A input -s " ANY " -d " ANY " -t 0f b8"},
	{"-A input -t ff 08", "-A input -s " ANY " -d " ANY " -t ff 08"},
	{"-A input -t 00 10",
	 "? -t 00 10: changes the lowest bit of the TOS, which must stay as it is"},
	{"-A input -t 01 11",
	 "? -t 01 11: changes the lowest bit of the TOS, which must stay as it is"},
	{"-A input -t 01 10 -t 01 10", "? -t: given twice"},
	{"-L input -t 01 10", "? -L: takes no rule"},
	{"-A input -t ff 00", "-A input -s " ANY " -d " ANY},
	{"-A input -t 0x1ff 00", "? -t 0x1ff 00: expected two hexadecimal bytes"},
	{"-A input -t 01", "? -t: expected two hexadecimal bytes"},
	{"-A input -m 5", "-A input -s " ANY " -d " ANY " -m 5"},
	{"-A input -m 0 -j DENY", "-A input -s " ANY " -d " ANY " -j DENY -m 0"},
	{"-A input --mark=0xFfffffff", "-A input -s " ANY " -d " ANY " -m 4294967295"},
	{"-A input -m +5", "-A input -s " ANY " -d " ANY " -m +5"},
	{"-A input -m -5", "-A input -s " ANY " -d " ANY " -m -5"},
	{"-A input -m-0x10", "-A input -s " ANY " -d " ANY " -m -16"},
	{"-A input -m +0", "-A input -s " ANY " -d " ANY},
	{"-A input -m", "? --mark: argument missing"},
	{"-A input -m -j DENY",
	 "? -j: not a mark: expected 0 to 4294967295, + or - before it to add it"},
	{"-A input -m 4294967296",
	 "? 4294967296: not a mark: expected 0 to 4294967295, + or - before it to add it"},
	{"-A input -m 5x",
	 "? 5x: not a mark: expected 0 to 4294967295, + or - before it to add it"},
	{"-A input -m 5 -m 5", "? -m: given twice"},
	{"-L input -m 5", "? -L: takes no rule"},
	{"-A input -o", "? -o: ipdivert copies packets to divert sockets only: use ipfw tee"},

	/* a packet that -C checks */
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
		/* and the text gives the same rules again */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
