// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw's grammar: lines and what they are printed as, lines and why they are refused; the set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "rules/rules.h"

static struct rule *must_parse(const char *line)
{
	struct rules_error err;
	struct rule *r;

	if (rule_parse(line, &r, &err))
		fail_msg("%s: refused: %s", line, err.text);
	return r;
}

/* ---- what is understood ---- */

static const struct {
	const char *line, *text;
} prints[] = {
	{"allow ip from any to any", "allow ip from any to any"},
	{"100 accept all from any to any", "allow ip from any to any"},
	{"pass ip from any to any", "allow ip from any to any"},
	{"permit ip from any to any", "allow ip from any to any"},
	{"deny ip from any to any", "deny ip from any to any"},
	{"drop ip from any to any", "deny ip from any to any"},
	{"count ip from any to any", "count ip from any to any"},
	{"00100 divert 8668 ip from any to any via eth0",
	 "divert 8668 ip from any to any via eth0"},
	{"divert natd all from any to any", "divert 8668 ip from any to any"},
	{"tee 5 ip from any to any", "tee 5 ip from any to any"},
	{"divert 65535 ip from any to any", "divert 65535 ip from any to any"},
	{"skipto 65535 ip from any to any", "skipto 65535 ip from any to any"},
	{"call 500 ip from any to any in", "call 500 ip from any to any in"},
	{"return ip from any to any", "return ip from any to any"},
	{"return via lo", "return via lo"},
	{"  allow\tip  from any to any\n", "allow ip from any to any"},

	/* protocols */
	{"allow ip4 from any to any", "allow ip4 from any to any"},
	{"allow ipv4 from any to any", "allow ip4 from any to any"},
	{"allow ipv6 from any to any", "allow ip6 from any to any"},
	{"allow not ip6 from any to any", "allow not ip6 from any to any"},
	{"allow 6 from any to any", "allow tcp from any to any"},
	{"allow 1 from any to any", "allow icmp from any to any"},
	{"allow icmp6 from any to any", "allow ipv6-icmp from any to any"},
	{"allow 58 from any to any", "allow ipv6-icmp from any to any"},
	{"allow 255 from any to any", "allow 255 from any to any"},
	{"allow 0 from any to any", "allow 0 from any to any"},
	{"allow not tcp from any to any", "allow not tcp from any to any"},
	{"allow ip from any to any proto tcp", "allow tcp from any to any"},
	{"allow ip4 from any to any not proto udp", "allow ip4 from any to any not proto udp"},
	{"allow ip from any to any proto ip", "allow ip from any to any"},

	/* addresses */
	{"allow ip from 10.1.2.3 to 10.0.0.1/32", "allow ip from 10.1.2.3 to 10.0.0.1"},
	{"allow ip from 10.1.2.3/8 to any", "allow ip from 10.0.0.0/8 to any"},
	{"allow ip from 10.1.2.3:255.255.0.0 to any", "allow ip from 10.1.0.0/16 to any"},
	{"allow ip from 10.1.2.3:255.0.255.0 to any", "allow ip from 10.0.2.0:255.0.255.0 to any"},
	{"allow ip from 10.1.2.3/0 to any", "allow ip from 0.0.0.0/0 to any"},
	{"allow ip from 10.1.2.3/31 to any", "allow ip from 10.1.2.2/31 to any"},
	{"allow ip from not 10.0.0.0/8 to not 2001:DB8::1",
	 "allow ip from not 10.0.0.0/8 to not 2001:db8::1"},
	{"allow ip from 2001:db8:ffff::1/33 to ::/0", "allow ip from 2001:db8:8000::/33 to ::/0"},
	{"allow ip from 10.0.0.1,10.0.0.2 to any", "allow ip from 10.0.0.1,10.0.0.2 to any"},
	{"allow ip from 10.0.0.1 , ::1 to any", "allow ip from 10.0.0.1,::1 to any"},
	{"allow ip from any to any src-ip 10.0.0.1", "allow ip from 10.0.0.1 to any"},
	{"allow ip from ::1 to any src-ip ::2", "allow ip from ::1 to any src-ip ::2"},
	{"allow ip from any to any not dst-ip 10.0.0.1", "allow ip from any to not 10.0.0.1"},

	/* ports */
	{"allow tcp from any 80 to any", "allow tcp from any 80 to any"},
	{"allow tcp from any to any 80, 443,1000-2000",
	 "allow tcp from any to any 80,443,1000-2000"},
	{"allow tcp from any not 80 to any not 0-1023",
	 "allow tcp from any not 80 to any not 0-1023"},
	{"allow tcp from any 5-5 to any", "allow tcp from any 5 to any"},
	{"allow tcp from any any to any 80 in", "allow tcp from any to any 80 in"},
	{"allow udp from any to any dst-port 53", "allow udp from any to any 53"},
	{"allow udp from any to any 53 dst-port 54", "allow udp from any to any 53 dst-port 54"},
	{"allow ip from any to any src-port 1 src-port 2",
	 "allow ip from any to any src-port 1 src-port 2"},
	{"allow sctp from any 9 to any", "allow sctp from any 9 to any"},
	{"allow ip6 from any 9 to any", "allow ip6 from any 9 to any"},

	/* options */
	{"allow ip from any to any in", "allow ip from any to any in"},
	{"allow ip from any to any not in", "allow ip from any to any out"},
	{"allow ip from any to any not out", "allow ip from any to any in"},
	{"allow ip from any to any out xmit eth0 recv eth1",
	 "allow ip from any to any out xmit eth0 recv eth1"},
	{"allow ip from any to any not via eth*", "allow ip from any to any not via eth*"},
	{"allow ip from any to any via any", "allow ip from any to any"},
	{"allow ip from any to any recv *", "allow ip from any to any recv *"},
	{"allow ip from any to any via fifteen-letters",
	 "allow ip from any to any via fifteen-letters"},
	{"allow ip from any to any via fifteen-letters*",
	 "allow ip from any to any via fifteen-letters*"},
	{"allow icmp from any to any icmptypes 8, 0,8", "allow icmp from any to any icmptypes 0,8"},
	{"allow ip from any to any icmp6type 128", "allow ip from any to any icmp6types 128"},
	{"allow ip from any to any diverted", "allow ip from any to any diverted"},
	{"allow ip from any to any not diverted-loopback diverted-output",
	 "allow ip from any to any not diverted-loopback diverted-output"},
	{"divert 5 ip from any to any bypass in via eth0",
	 "divert 5 ip from any to any bypass in via eth0"},
	{"divert 5 ip from any to any bypass bypass", "divert 5 ip from any to any bypass"},
	{"allow ip from any to any fwmark 7", "allow ip from any to any fwmark 7"},
	{"allow ip from any to any not fwmark 0x10/0xF0",
	 "allow ip from any to any not fwmark 0x10/0xf0"},
	{"allow ip from any to any fwmark 4294967295",
	 "allow ip from any to any fwmark 4294967295"},

	/* options only */
	{"allow via lo0", "allow via lo0"},
	{"divert 5 not in bypass", "divert 5 out bypass"},
	{"deny proto tcp dst-port 22", "deny proto tcp dst-port 22"},
	{"allow via any", "allow ip from any to any"},

	/* comments */
	{"allow ip from any to any // as   it  is", "allow ip from any to any // as it is"},
	{"allow ip from any to any //1 , 2 # 3", "allow ip from any to any // 1 , 2 # 3"},
	{"allow ip from any to any //", "allow ip from any to any"},
	{"allow ip from any to any # not kept", "allow ip from any to any"},
};

static void test_print(void **state)
{
	unsigned int i;

	for (i = 0; i < sizeof(prints) / sizeof(*prints); i++) {
		struct rule *r = must_parse(prints[i].line), *again;

		assert_string_equal(r->text, prints[i].text);
		again = must_parse(r->text);
		assert_string_equal(again->text, r->text);
		rule_free(again);
		rule_free(r);
	}
}

/* ---- what is refused ---- */

#define OPTIONS                                                                                    \
	"in, out, via, recv, xmit, proto, src-ip, dst-ip, src-port, dst-port, icmptypes, "         \
	"icmp6types, diverted, diverted-loopback, diverted-output, fwmark, bypass"
#define NOT_PORTS   "not ports: expected 0 to 65535, names of /etc/services, ranges, lists"
#define NOT_ADDRESS "not an IPv4 or IPv6 address (names are not looked up)"
#define NOT_PROTOCOL                                                                               \
	"unknown protocol; expected ip, ip4, ip6, tcp, udp, icmp, another of /etc/protocols, or "  \
	"0 to 255"
#define NOT_DIVERT_PORT "not a divert port: expected 1 to 65535 or a name of /etc/services"
#define NOT_NAME	"not an interface's name: up to 15 characters, no / and no :"
#define IP		"ip from any to any "

static const struct {
	const char *line, *text;
	int status;
} errors[] = {
	{"", "missing action", EX_USAGE},
	{"100", "missing action after 100", EX_USAGE},
	{"0 allow " IP, "0: not a rule number: expected 1 to 65534", EX_DATAERR},
	{"65536 allow " IP, "65536: not a rule number: expected 1 to 65534", EX_DATAERR},
	{"1x allow " IP, "1x: not a rule number: expected 1 to 65534", EX_DATAERR},
	{"alow " IP,
	 "alow: unknown action; expected allow, deny, count, divert, tee, skipto, call or return",
	 EX_USAGE},
	{"nat 1 " IP, "nat: ipdivert does not have it: use nftables' nat, or divert to a natd",
	 EX_DATAERR},
	{"pipe 1 " IP, "pipe: ipdivert does not have it: use tc(8) to shape traffic", EX_DATAERR},
	{"check-state",
	 "check-state: ipdivert does not have it: use nftables' conntrack (ct state)", EX_DATAERR},
	{"netgraph 1 " IP, "netgraph: ipdivert does not have it", EX_DATAERR},
	{"reass " IP "in", "reass: not there yet", EX_DATAERR},
	{"call", "missing rule number after call", EX_USAGE},
	{"call x " IP, "x: not a rule number: expected 1 to 65535", EX_DATAERR},
	{"set 1 allow " IP, "set: not there yet", EX_DATAERR},
	{"prob 0.5 allow " IP, "prob: not there yet", EX_DATAERR},
	{"allow log " IP, "log: not there yet", EX_DATAERR},
	{"divert", "missing port after divert", EX_USAGE},
	{"divert 0 " IP, "0: " NOT_DIVERT_PORT, EX_DATAERR},
	{"divert 65536 " IP, "65536: " NOT_DIVERT_PORT, EX_DATAERR},
	{"tee no-such-service " IP, "no-such-service: " NOT_DIVERT_PORT, EX_DATAERR},
	{"divert tablearg " IP, "tablearg: not there yet", EX_DATAERR},
	{"skipto x " IP, "x: not a rule number: expected 1 to 65535", EX_DATAERR},

	{"allow", "missing protocol after allow", EX_USAGE},
	{"allow frobnicate from any to any", "frobnicate: " NOT_PROTOCOL, EX_DATAERR},
	{"allow 256 from any to any", "256: " NOT_PROTOCOL, EX_DATAERR},
	{"allow not ip from any to any", "not ip: never matches", EX_DATAERR},
	{"allow tcp", "missing from after tcp", EX_USAGE},
	{"allow tcp form any", "form: expected from", EX_USAGE},
	{"allow tcp from", "missing address after from", EX_USAGE},
	{"allow tcp from any", "missing to after any", EX_USAGE},
	{"allow tcp from any to", "missing address after to", EX_USAGE},
	{"allow { tcp or udp } from any to any", "{: not there yet: blocks with \"or\"",
	 EX_DATAERR},
	{"allow ip from { ::1 or ::2 } to any", "{: not there yet: blocks with \"or\"", EX_DATAERR},
	{"allow ip from me to any", "me: not there yet", EX_DATAERR},
	{"allow ip from any to table(1)", "table(1): not there yet", EX_DATAERR},
	{"allow ip from not any to any", "not any: never matches", EX_DATAERR},
	{"allow ip from example.org to any", "example.org: " NOT_ADDRESS, EX_DATAERR},
	{"allow ip from 10.0.0.256 to any", "10.0.0.256: " NOT_ADDRESS, EX_DATAERR},
	{"allow ip from 10.0.0.1/33 to any", "10.0.0.1/33: " NOT_ADDRESS, EX_DATAERR},
	{"allow ip from 10.0.0.1,10/8 to any", "10/8: " NOT_ADDRESS, EX_DATAERR},
	{"allow ip from 10.0.0.1,, to any", "10.0.0.1,,to: " NOT_ADDRESS, EX_DATAERR},
	{"allow ip from ::1/129 to any", "::1/129: " NOT_ADDRESS, EX_DATAERR},
	{"allow ip6 from 10.0.0.1 to any",
	 "10.0.0.1 and ip6: no packet is of IPv4 and of IPv6 at once", EX_DATAERR},
	{"allow ip from 10.0.0.1 to ::1",
	 "10.0.0.1 and ::1: no packet is of IPv4 and of IPv6 at once", EX_DATAERR},
	{"allow ip4 from any to any icmp6types 1",
	 "ip4 and 1: no packet is of IPv4 and of IPv6 at once", EX_DATAERR},

	{"allow tcp from any 65536 to any", "65536: " NOT_PORTS, EX_DATAERR},
	{"allow tcp from any to any 1,,2", "1,,2: " NOT_PORTS, EX_DATAERR},
	{"allow tcp from any to any 9-5", "9-5: a range that runs backwards", EX_DATAERR},
	{"allow tcp from any to any dst-port x-y", "x-y: " NOT_PORTS, EX_DATAERR},
	{"allow icmp from any 80 to any",
	 "ports: only with tcp, udp, sctp, dccp, udplite and ip, not with icmp", EX_DATAERR},
	{"allow ip from any to any 80 proto 99",
	 "ports: only with tcp, udp, sctp, dccp, udplite and ip, not with 99", EX_DATAERR},

	{"allow " IP "frobnicate", "frobnicate: unknown option; expected one of " OPTIONS,
	 EX_USAGE},
	{"allow " IP "not", "missing option after not", EX_USAGE},
	{"allow " IP "setup", "setup: not there yet", EX_DATAERR},
	{"allow " IP "uid 5", "uid: not there yet", EX_DATAERR},
	{"allow " IP "mac any any", "mac: not there yet", EX_DATAERR},
	{"allow tcp from any to any keep-state",
	 "keep-state: ipdivert does not have it: use nftables' conntrack (ct state)", EX_DATAERR},
	{"allow tcp from any to any limit src-addr 2",
	 "limit: ipdivert does not have it: use nftables' ct count", EX_DATAERR},
	{"allow " IP "via", "missing interface after via", EX_USAGE},
	{"allow " IP "via sixteen-letters-", "sixteen-letters-: " NOT_NAME, EX_DATAERR},
	{"allow " IP "via a/b", "a/b: " NOT_NAME, EX_DATAERR},
	{"allow " IP "via 10.0.0.1", "10.0.0.1: not there yet: an address for an interface",
	 EX_DATAERR},
	{"allow " IP "via ::1", "::1: not there yet: an address for an interface", EX_DATAERR},
	{"allow " IP "recv table(5)", "table(5): not there yet", EX_DATAERR},
	{"allow " IP "via e*0", "e*0: not there yet: a pattern other than a name's beginning and *",
	 EX_DATAERR},
	{"allow " IP "not via any", "not any: never matches", EX_DATAERR},
	{"allow " IP "in xmit eth0", "in and xmit: a packet on its way in has no sending interface",
	 EX_DATAERR},
	{"allow " IP "in out", "in and out: no packet is both", EX_DATAERR},
	{"allow " IP "icmptypes 256", "256: not ICMP types: expected 0 to 255, or a list",
	 EX_DATAERR},
	{"allow " IP "bypass", "bypass: only for the action divert", EX_USAGE},
	{"tee 5 " IP "bypass", "bypass: only for the action divert", EX_USAGE},
	{"divert 5 " IP "not bypass", "not bypass: leave bypass out instead", EX_USAGE},
	{"allow " IP "fwmark 1/", "1/: not a mark: expected VALUE[/MASK]", EX_DATAERR},
	{"allow " IP "fwmark 0x100000000", "0x100000000: not a mark: expected VALUE[/MASK]",
	 EX_DATAERR},
	{"allow " IP "fwmark 0x11/0x10",
	 "0x11/0x10: never matches: the value has bits that the mask has not", EX_DATAERR},
	{"allow " IP "\033[2J", "control character 0x1b in a rule", EX_DATAERR},
};

static void test_errors(void **state)
{
	struct rule *const untouched = (struct rule *)&errors, *r;
	struct rules_error err;
	unsigned int i;

	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		r = untouched;
		if (!rule_parse(errors[i].line, &r, &err))
			fail_msg("%s: not refused", errors[i].line);
		assert_string_equal(err.text, errors[i].text);
		assert_int_equal(err.status, errors[i].status);
		assert_ptr_equal(r, untouched);
		assert_int_equal(rule_parse(errors[i].line, &r, NULL), -1);
	}
}

static void test_long(void **state)
{
	char line[3 * RULES_TEXT_MAX], *at = line;
	struct rules_error err;
	struct rule *r;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	assert_int_equal(rule_parse(line, &r, &err), -1);
	at += sprintf(at, "allow tcp from any to any 1");
	while (at < line + RULES_TEXT_MAX - 2)
		at += sprintf(at, ",2");
	r = must_parse(line);
	assert_int_equal(strlen(r->text), strlen(line));
	rule_free(r);
	/* short as entered, long as printed */
	at = line + sprintf(line, "allow ip from any to any");
	while (at < line + RULES_TEXT_MAX - 20)
		at += sprintf(at, " proto 58");
	assert_int_equal(rule_parse(line, &r, &err), -1);
	assert_string_equal(err.text, "rule too long, 4000 characters at most");
	/* a comment */
	memset(line, 'x', sizeof(line));
	memcpy(line, "allow via lo // ", 16);
	line[16 + RULES_COMMENT_MAX] = 0;
	r = must_parse(line);
	assert_int_equal(strlen(r->comment), RULES_COMMENT_MAX);
	rule_free(r);
	line[16 + RULES_COMMENT_MAX] = 'x';
	line[17 + RULES_COMMENT_MAX] = 0;
	assert_int_equal(rule_parse(line, &r, &err), -1);
}

/* ---- the set ---- */

static void add(struct rules *s, const char *line)
{
	struct rules_error err;

	if (rules_add(s, must_parse(line), &err))
		fail_msg("%s: %s", line, err.text);
}

static void expect_set(const struct rules *s, const char *want)
{
	char have[4096] = "", *at = have;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		at += sprintf(at, "%u:%u %s\n", s->rule[i]->number, s->rule[i]->counter,
			      s->rule[i]->text);
	assert_string_equal(have, want);
}

static void test_set(void **state)
{
	struct rules_error err;
	struct rule *r;
	struct rules s;

	rules_init(&s);
	add(&s, "allow via a");
	add(&s, "allow via b");
	add(&s, "150 allow via c");
	add(&s, "100 allow via d");
	add(&s, "allow via e");
	expect_set(&s, "100:1 allow via a\n100:4 allow via d\n150:3 allow via c\n"
		       "200:2 allow via b\n300:5 allow via e\n");
	assert_int_equal(rules_delete(&s, 101, 149), 0);
	assert_int_equal(rules_delete(&s, 100, 100), 2);
	assert_int_equal(rules_delete(&s, 100, 100), 0);
	expect_set(&s, "150:3 allow via c\n200:2 allow via b\n300:5 allow via e\n");
	add(&s, "allow via f"); /* the lowest free counter */
	expect_set(&s, "150:3 allow via c\n200:2 allow via b\n300:5 allow via e\n"
		       "400:1 allow via f\n");

	/* ipfw(8): where a step is too much, the same number again */
	add(&s, "65500 allow via g");
	add(&s, "allow via h");
	assert_int_equal(s.rule[s.n - 1]->number, 65500);
	assert_string_equal(s.rule[s.n - 1]->text, "allow via h");

	r = must_parse("65535 deny via x");
	assert_int_equal(rules_add(&s, r, &err), -1);
	assert_string_equal(err.text, "65535: the default rule's number; expected 1 to 65534");
	rule_free(r);
	rules_flush(&s);
	assert_int_equal(s.n, 0);
	add(&s, "allow via i");
	expect_set(&s, "100:1 allow via i\n");
	rules_free(&s);
}

static void test_full(void **state)
{
	struct rules_error err;
	struct rules s;
	struct rule *r;
	unsigned int i;

	rules_init(&s);
	for (i = 1; i < DIVERT_RULES_MAX; i++)
		add(&s, "5 allow in");
	r = must_parse("5 allow in");
	assert_int_equal(rules_add(&s, r, &err), -1);
	assert_string_equal(err.text, "too many rules, 16383 at most");
	rule_free(r);
	rules_free(&s);
}

/* ---- the store ---- */

static void test_store(void **state)
{
	struct rules_error err;
	struct rules s, t;
	char *blob, *twin;
	uint32_t len, twin_len;

	rules_init(&s);
	rules_init(&t);
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	assert_null(blob);
	assert_int_equal(rules_load(&t, blob, len, &err), 0);
	add(&s, "divert 8668 ip from any to any via eth0 bypass // natd");
	add(&s, "100 tee 5 tcp from 10.0.0.0/8 to ::1,10.0.0.1 80");
	add(&s, "7 allow via lo");
	rules_delete(&s, 7, 7);
	add(&s, "9 deny in");
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	assert_int_equal(rules_load(&t, blob, len, &err), 0);
	expect_set(&t, "9:3 deny in\n"
		       "100:1 divert 8668 ip from any to any via eth0 bypass // natd\n"
		       "100:2 tee 5 tcp from 10.0.0.0/8 to ::1,10.0.0.1 80\n");
	assert_int_equal(rules_save(&t, &twin, &twin_len), 0);
	assert_int_equal(len, twin_len);
	assert_memory_equal(blob, twin, len);
	free(twin);

	/* what rules had when it was loaded, may still be counting: others first */
	rules_flush(&t);
	add(&t, "5 allow in");
	expect_set(&t, "5:4 allow in\n");
	free(blob);
	rules_free(&s);
	rules_free(&t);
}

static void test_damage(void **state)
{
	struct rules_error err;
	struct rules s, t;
	char *blob, *copy;
	uint32_t len, i;

	rules_init(&s);
	add(&s, "divert 8668 ip from any to any via eth0 bypass // natd");
	add(&s, "tee 5 tcp from 10.0.0.0/8 to any 80");
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	rules_init(&t);
	for (i = 1; i < len; i++) {
		copy = malloc(i); /* of its size, for the sanitizer */
		memcpy(copy, blob, i);
		assert_int_equal(rules_load(&t, copy, i, &err), -1);
		assert_int_equal(t.n, 0);
		free(copy);
	}
	copy = malloc(len);
	for (i = 0; i < len * 8; i++) {
		memcpy(copy, blob, len);
		copy[i / 8] ^= 1 << i % 8;
		if (rules_load(&t, copy, len, &err))
			assert_int_equal(t.n, 0);
		rules_free(&t);
	}
	free(copy);
	free(blob);
	rules_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),  cmocka_unit_test(test_errors),
		cmocka_unit_test(test_long),   cmocka_unit_test(test_set),
		cmocka_unit_test(test_full),   cmocka_unit_test(test_store),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
