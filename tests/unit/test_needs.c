// sources: rules/*.c tests/random/*.c engine/needs.c engine/walk.c engine/index.c engine/alike.c
// libs: -lbpf
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The places where hooks are needed. For some rules they are written here. For random rules, a hook
 * must be wherever a random packet matches one, by the plain evaluator.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/indexed.h"
#include "engine/needs.h"
#include "engine/port.h"
#include "rules/rules.h"
#include "tests/random/packet.h"
#include "tests/random/plain.h"
#include "tests/random/ruleset.h"

/* ---- the rules in place, with their index, as the kernel has them ---- */

static struct rules_compiled compiled;
static struct indexed indexed;
static bool in_place, unreadable;

int ruleset_code(struct engine *e, struct engine_rules *r)
{
	memset(r, 0, sizeof(*r));
	if (unreadable)
		return -EIO;
	if (in_place) {
		r->insn = indexed.insn;
		r->insns = indexed.insns;
		r->entry = indexed.entry;
		r->entries = compiled.entries;
	}
	return 0;
}

void ruleset_code_free(struct engine_rules *r)
{
}

static void compile(const struct rules *set, struct engine_rules *r)
{
	assert_int_equal(rules_compile(set, &compiled), 0);
	*r = (struct engine_rules){
		.insn = compiled.insn,
		.insns = compiled.insns,
		.entry = compiled.entry,
		.entries = compiled.entries,
	};
	assert_int_equal(index_make(r, &indexed), 0);
}

static void compile_free(void)
{
	index_free(&indexed);
	rules_compiled_free(&compiled);
}

/* The result is the same for rules that are in place and for new rules. */
static bool needs(const struct engine_rules *r, const char *name, enum hook_side side)
{
	struct needs place, next;
	bool is;

	in_place = true;
	needs_begin(&place, NULL, NULL);
	in_place = false;
	needs_begin(&next, NULL, r);
	is = needs_hook(&place, name, side);
	assert_int_equal(needs_hook(&next, name, side), is);
	needs_end(&place);
	needs_end(&next);
	return is;
}

/* ---- rules ---- */

/* The sides of eth0 and eth1 on which the rule may match. */
static void rule_needs(const char *line, const char *eth0, const char *eth1)
{
	static const char *const name[] = {"eth0", "eth1"};
	const char *const want[] = {eth0, eth1};
	struct engine_rules r;
	struct rules_error err;
	struct rules set;
	struct rule *rule;
	int i;

	rules_init(&set);
	if (rule_parse(line, &rule, &err) || rules_add(&set, rule, &err))
		fail_msg("%s: %s", line, err.text);
	compile(&set, &r);
	for (i = 0; i < 2; i++) {
		if (needs(&r, name[i], HOOK_IN) != !!strchr(want[i], 'i') ||
		    needs(&r, name[i], HOOK_OUT) != !!strchr(want[i], 'o'))
			fail_msg("%s: %s: not '%s'", line, name[i], want[i]);
	}
	compile_free();
	rules_free(&set);
}

static void test_sides(void **state)
{
	rule_needs("100 count ip from any to any", "io", "io");
	rule_needs("100 deny ip from any to any in", "i", "i");
	rule_needs("100 allow ip from any to any not in", "o", "o");
	rule_needs("100 divert 8668 ip from any to any out", "o", "o");
	rule_needs("100 tee 8668 ip from any to any diverted-output", "io", "io");
	rule_needs("100 skipto 200 ip6 from any to any in frag", "i", "i");
	rule_needs("100 deny ip from any to any in out", "", "");
	rule_needs("100 deny ip from any to any verrevpath", "io", "io");
	rule_needs("100 unreach port udp from any to any 53 in", "i", "i");
}

static void test_names(void **state)
{
	rule_needs("100 deny ip from any to any in recv eth0", "i", "");
	rule_needs("100 divert 8668 udp from any to any 53 in recv eth0", "i", "");
	rule_needs("100 divert 8668 ip from any to any via eth1", "", "io");
	rule_needs("100 count ip from any to any xmit eth0", "o", "");
	rule_needs("100 count ip from any to any in xmit eth0", "", "");
	rule_needs("100 count ip from any to any not via eth0", "", "io");
	rule_needs("100 count ip from any to any in not recv eth1", "i", "");
	rule_needs("100 count ip from any to any in recv eth*", "i", "i");
	rule_needs("100 count ip from any to any in recv eth", "", "");
	rule_needs("100 count ip from any to any in recv eth01", "", "");
	rule_needs("100 count ip from any to any in { recv eth0 or recv wlan0 }", "i", "");
	rule_needs("100 count ip from any to any in { recv eth0 or src-port 80 }", "i", "i");
	rule_needs("100 count ip from any to any in recv eth0 recv eth1", "", "");
	rule_needs("100 count ip from any to any via any", "io", "io");
	rule_needs("100 count ip from any to any in recv a-name-of-15-ch", "", "");
}

/* Rules that depend on more than the name of the interface that the packet is on. */
static void test_unknown(void **state)
{
	rule_needs("100 count ip from any to any recv eth0", "io", "o");
	rule_needs("100 count ip from any to any out recv eth0 xmit eth1", "", "o");
	rule_needs("100 count ip from any to any in recv table(1)", "i", "i");
	rule_needs("100 count ip from any to any via 10.1.2.3", "io", "io");
}

/* Rules that cannot be read may be for any interface. */
static void test_unreadable(void **state)
{
	struct needs n;

	unreadable = true;
	needs_begin(&n, NULL, NULL);
	unreadable = false;
	assert_true(needs_hook(&n, "eth0", HOOK_IN));
	assert_true(needs_hook(&n, "eth0", HOOK_OUT));
	needs_end(&n);
}

/* ---- random ones ---- */

#define SETS	3000
#define PACKETS 20 /* for each set */

static bool is_for_chance(const struct rule *r, void *arg)
{
	return random_chance(64) != 0;
}

static void test_random(void **state)
{
	unsigned int i, k, matched = 0, free = 0;
	static struct plain_states states = {.life = {1, 1, 1, 1, 1, 1}};
	static struct plain_met met;
	struct random_sample p;
	struct random_bytes b;
	struct engine_rules r;
	const char *name;
	struct rules set;
	bool need;

	random_seed = 1;
	for (i = 0; i < SETS; i++) {
		assert_int_equal(random_rules(&set, RANDOM_PROB | RANDOM_STATES), 0);
		/* most of these are for all interfaces */
		rules_delete_if(&set, is_for_chance, NULL);
		compile(&set, &r);
		states.n = 0;
		random_flows();
		for (k = 0; k < PACKETS; k++) {
			random_sample(&p);
			random_packet(&b, &p);
			plain_run(&set, &p, &met, NULL, &states);
			name = p.out ? p.xmit : p.recv;
			if (!name)
				continue;
			need = needs(&r, name, p.out ? HOOK_OUT : HOOK_IN);
			/* the last rule that it meets may be the default rule */
			if (met.n > 1 || met.rule != 65535 || met.recorded) {
				if (!need)
					fail_msg("set %u: a rule matches on %s, %s", i, name,
						 p.out ? "out" : "in");
				matched++;
			}
			free += !need;
		}
		compile_free();
		rules_free(&set);
	}
	print_message("%u matched, %u need no hook\n", matched, free);
	assert_true(matched > SETS * PACKETS / 100);
	assert_true(free > SETS * PACKETS / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sides),	cmocka_unit_test(test_names),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
