// sources: rules/*.c tests/unit/chains.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains: the numbered rules that chains become, their counters, and chains that cannot exist. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chains.h"

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
	 "50001 unreach port ip4 from not 10.0.0.1:255.0.0.255 0-4,6-65535 to any "
	 "dst-port 81-65535 proto tcp in not via eth* // input 1\n"
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
	 "60001 deny ip4 from any to any proto tcp out tcpflags syn,!fin,!ack // output 1\n"
	 "60002 count ip4 from any to any proto tcp out not tcpflags syn,!fin,!ack // output 2\n"
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
		/* saved and loaded again: the same chains, the same rules */
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

/* ipfw's own rules stay, and rules that it adds do not go behind the chains. */
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

/* A rule keeps its counters wherever it moves; new counters are reported. */
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
	/* 1: to user; 2: otherwise; 3: user's rule 1; 4: the rule that was the first */
	assert_int_equal(slot_of(&s, 50004), first);
	assert_int_equal(slot_of(&s, 54999), policy);
	assert_int_equal(slot_of(&s, 50003), in_user); /* one of its places now */
	assert_false(fresh[first] || fresh[policy] || fresh[in_user]);
	assert_true(fresh[slot_of(&s, 50001)] && fresh[slot_of(&s, 50006)]);
	chains_free(&c);

	assert_int_equal(chains_load(&c, &s, &err), 0);
	assert_int_equal(chains_find(&c, "user", &err)->rule[0]->slots, 3);
	/* no two rules share a counter */
	memset(fresh, 0, sizeof(fresh));
	for (i = 0; i < s.n; i++)
		assert_false(fresh[s.rule[i]->counter]++);
	chains_free(&c);
	rules_free(&s);
}

/* ---- models that are refused ---- */

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

	/* each chain leads to the next one twice: 2^40 rules, which are refused at once */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_beside_ipfw),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
