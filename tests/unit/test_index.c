// sources: rules/*.c engine/index.c engine/walk.c engine/alike.c
// libs: -lbpf
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The index of a rule set: which rules a packet may match. net/random tests that it has all the
 * rules that the packet does match.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/index.h"
#include "engine/indexed.h"
#include "rules/rules.h"

/* ---- rule sets ---- */

static struct rules set;
static struct rules_compiled compiled;
static struct indexed indexed;

static void add(const char *line)
{
	struct rules_error err;
	struct rule *rule;

	if (rule_parse(line, &rule, &err) || rules_add(&set, rule, &err))
		fail_msg("%s: %s", line, err.text);
}

static void addf(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	add(line);
}

/* Makes the index of the rules that were added since done(). */
static void make(void)
{
	struct engine_rules r = {0};

	assert_int_equal(rules_compile(&set, &compiled), 0);
	r.insn = compiled.insn;
	r.insns = compiled.insns;
	r.entry = compiled.entry;
	r.entries = compiled.entries;
	assert_int_equal(index_make(&r, &indexed), 0);
}

static void done(void)
{
	index_free(&indexed);
	rules_compiled_free(&compiled);
	rules_free(&set);
	rules_init(&set);
}

/* ---- packets ---- */

#define IN_UDP4	 DIVERT_KIND_UDP
#define IN_TCP4	 DIVERT_KIND_TCP
#define IN_TCP6	 (DIVERT_KIND_TCP | DIVERT_KIND_V6)
#define IN_ICMP4 DIVERT_KIND_ICMP
#define OUT_TCP4 (DIVERT_KIND_TCP | DIVERT_KIND_OUT)

static void places_of(const char *text, uint32_t *net, uint32_t *host)
{
	uint32_t a[4];
	int i;

	if (inet_pton(AF_INET, text, a) == 1) {
		*net = index_net4(ntohl(*a));
		*host = index_place(ntohl(*a));
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, text, a), 1);
	for (i = 0; i < 4; i++)
		a[i] = ntohl(a[i]);
	*net = index_net6(a);
	*host = index_host6(a);
}

/* The sections that a packet may match, as bits: looked up as the kernel half does it. */
static uint64_t sections(uint32_t kind, const char *src, uint32_t sport, const char *dst,
			 uint32_t dport)
{
	uint64_t of = indexed.head.kind[kind];
	uint32_t net, host;

	if (kind % DIVERT_KIND_V6 <= DIVERT_KIND_UDP)
		of &= indexed.head.index[DIVERT_INDEX_SPORT][index_place(sport)] &
		      indexed.head.index[DIVERT_INDEX_DPORT][index_place(dport)];
	places_of(src, &net, &host);
	of &= indexed.head.index[DIVERT_INDEX_SRC_NET][net] &
	      indexed.head.index[DIVERT_INDEX_SRC_HOST][host];
	places_of(dst, &net, &host);
	return of & indexed.head.index[DIVERT_INDEX_DST_NET][net] &
	       indexed.head.index[DIVERT_INDEX_DST_HOST][host];
}

static void test_kinds(void **state)
{
	add("divert 1 tcp from any to any in");
	add("divert 1 ip6 from any to any");
	add("divert 1 ip from any to any out");
	add("divert 1 udp from any to any");
	make();
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 1, "10.0.0.2", 2), 1);
	assert_int_equal(sections(OUT_TCP4, "10.0.0.1", 1, "10.0.0.2", 2), 4);
	assert_int_equal(sections(IN_TCP6, "fd00::1", 1, "fd00::2", 2), 1 | 2);
	assert_int_equal(sections(IN_UDP4, "10.0.0.1", 1, "10.0.0.2", 2), 8);
	assert_int_equal(sections(IN_ICMP4, "10.0.0.1", 1, "10.0.0.2", 2), 0);
	assert_int_equal(indexed.head.asks, 0);
	done();
}

static void test_ports(void **state)
{
	add("divert 1 tcp from any to any 80,443");
	add("divert 1 tcp from any 5000-5010 to any");
	add("divert 1 tcp from any to any not 80");
	add("divert 1 tcp from any to any 1-65535");
	make();
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 9, "10.0.0.2", 80), 1 | 4 | 8);
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 9, "10.0.0.2", 443), 1 | 4 | 8);
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 5007, "10.0.0.2", 9), 2 | 4 | 8);
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 9, "10.0.0.2", 9), 4 | 8);
	assert_int_equal(indexed.head.asks, 1 << DIVERT_INDEX_DPORT | 1 << DIVERT_INDEX_SPORT);
	done();
}

static void test_addresses(void **state)
{
	add("divert 1 ip from 192.0.2.1 to any");
	add("divert 1 ip from any to 192.0.2.0/24");
	add("divert 1 ip from 2001:db8::1 to any");
	add("divert 1 ip from any to 2001:db8::/32");
	add("divert 1 ip from not 192.0.2.1 to any");
	add("divert 1 ip from 192.0.0.0/8,10.0.0.1 to any");
	make();
	assert_int_equal(sections(IN_TCP4, "192.0.2.1", 1, "10.0.0.1", 1), 1 | 16 | 32);
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 1, "192.0.2.77", 1), 2 | 16 | 32);
	assert_int_equal(sections(IN_TCP6, "2001:db8::1", 1, "fd00::1", 1), 4 | 16);
	assert_int_equal(sections(IN_TCP6, "fd00::1", 1, "2001:db8::2", 1), 8 | 16);
	done();
}

static uint64_t sections_on(const char *name, uint32_t kind)
{
	uint32_t word[DIVERT_NAME_LEN / 4] = {0};
	int i;

	memcpy(word, name, strlen(name));
	for (i = 0; i < 4; i++)
		word[i] = ntohl(word[i]);
	return indexed.head.kind[kind] &
	       indexed.head.index[DIVERT_INDEX_IFACE][index_iface(word, kind & DIVERT_KIND_OUT)];
}

static void test_interfaces(void **state)
{
	add("divert 1 ip from any to any recv eth0");
	add("divert 1 ip from any to any xmit eth0");
	add("divert 1 ip from any to any via eth0");
	add("divert 1 ip from any to any in recv eth0");
	add("divert 1 ip from any to any recv eth*");
	add("divert 1 ip from any to any not recv eth0");
	add("divert 1 ip from any to any recv *");
	make();
	assert_int_equal(sections_on("eth0", IN_TCP4), 1 | 4 | 8 | 16 | 32 | 64);
	assert_int_equal(sections_on("eth1", IN_TCP4), 16 | 32 | 64);
	assert_int_equal(sections_on("eth0", OUT_TCP4), 1 | 2 | 4 | 16 | 32 | 64);
	/* on the way out, the index does not know where the packet was received */
	assert_int_equal(sections_on("eth1", OUT_TCP4), 1 | 16 | 32 | 64);
	assert_int_equal(indexed.head.asks, 1 << DIVERT_INDEX_IFACE);
	done();
}

/* Blocks and "not" may be true whatever place the index asks for. */
static void test_blocks(void **state)
{
	add("divert 1 tcp from any to any { src-port 80 or dst-port 80 }");
	add("divert 1 tcp from any to any { dst-port 80 or iplen 0-100 }");
	add("divert 1 tcp from any to any { not dst-port 80 or not dst-port 81 }");
	add("divert 1 ip from any to any { src-ip 192.0.2.1 or dst-ip 192.0.2.1 }");
	add("divert 1 tcp from any to any { dst-port 80 or dst-port 81 }");
	make();
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 9, "10.0.0.2", 9), 15);
	assert_int_equal(sections(IN_TCP4, "10.0.0.1", 9, "10.0.0.2", 81), 31);
	done();
}

/*
 * There is a SKIP before each number. Jumps to that number lead to it, and other jumps keep their
 * targets.
 */
static void test_instructions(void **state)
{
	const struct divert_insn *in;
	uint32_t i, skips = 0, e = 0;

	for (i = 0; i < 200; i++)
		addf("%u divert 1 tcp from any to any %u iplen %u", 10 + i / 2 * 2, 80 + i % 2,
		     100 + i);
	add("5 skipto 30 tcp from any to any");
	make();
	assert_int_equal(compiled.entries, 1 + 100 + 1);
	assert_int_equal(indexed.insns, compiled.insns + 101);
	assert_int_equal(indexed.values, 0); /* few ports, so they are not alike */
	for (i = 0; i < indexed.insns; i++) {
		in = &indexed.insn[i];
		if (in->op != DIVERT_OP_SKIP) {
			assert_memory_equal(in, &compiled.insn[i - skips],
					    offsetof(struct divert_insn, yes));
			continue;
		}
		assert_int_equal(indexed.entry[e].insn, i);
		assert_int_equal(in->rule, indexed.entry[e].rule);
		assert_int_equal(in->skip.section, e * DIVERT_SECTIONS / 101);
		assert_int_equal(in->skip.n, 0);
		assert_int_equal(in->yes, i + 1);
		if (!e || in->skip.section != (e - 1) * DIVERT_SECTIONS / 101)
			assert_int_equal(indexed.head.section[in->skip.section], i);
		skips++;
		e++;
	}
	assert_int_equal(skips, 101);
	/* the rule that skips leads to the SKIP of 30 */
	for (i = 0; indexed.insn[i].op != DIVERT_OP_GO; i++)
		;
	in = &indexed.insn[indexed.insn[i].yes];
	assert_int_equal(in->op, DIVERT_OP_SKIP);
	assert_int_equal(in->rule, 30);
	/*
	 * a rule that does not match leads to the next number's SKIP; FRAGMENT leads to its action
	 */
	for (i = 0; i < indexed.insns; i++) {
		in = &indexed.insn[i];
		if (in->op == DIVERT_OP_FRAGMENT)
			assert_int_equal(indexed.insn[in->fragment.action].op, DIVERT_OP_DIVERT);
		if (in->op == DIVERT_OP_RANGE && indexed.insn[in->no].rule != in->rule &&
		    indexed.insn[in->no].rule != RULES_DEFAULT)
			assert_int_equal(indexed.insn[in->no].op, DIVERT_OP_SKIP);
	}
	done();
}

/* The entries for this value in the run with this SKIP, as rule numbers. */
static void wanted(const struct divert_insn *skip, uint32_t value, char *rules)
{
	const struct divert_entry *v = &indexed.value[skip->skip.first];
	uint32_t i;

	*rules = '\0';
	for (i = 0; i < skip->skip.n; i++) {
		if (i)
			assert_true(v[i].rule > v[i - 1].rule ||
				    (v[i].rule == v[i - 1].rule && v[i].insn > v[i - 1].insn));
		if (v[i].rule == value) {
			assert_int_equal(indexed.insn[v[i].insn].op, DIVERT_OP_SKIP);
			rules += sprintf(rules, "%u ", indexed.insn[v[i].insn].rule);
		}
	}
}

/* Rules that are alike are one section, and are looked up. */
static void test_alike(void **state)
{
	const struct divert_insn *first, *second;
	char rules[256];
	uint32_t i;

	add("10 deny udp from any to any 53");
	for (i = 0; i < 1000; i++)
		addf("%u deny udp from 198.51.%u.%u to 10.2.0.1", i + 100, i >> 8, i & 255);
	add("1200 deny icmp from any to any");
	for (i = 0; i < 20; i++)
		addf("%u deny tcp from any to any %u,%u", i + 2000, 80 + i, 443);
	for (i = 0; i < 100;
	     /* too many values each, a wide range, a wide network, not: these are not alike */
	     i++)
		addf("%u deny tcp from not 10.0.0.%u to 10.0.%u.0/24 %u-60000", i + 3000, i, i, i);
	make();
	assert_int_equal(indexed.insn[indexed.entry[compiled.entries - 2].insn].skip.section + 1,
			 64);
	first = &indexed.insn[indexed.entry[1].insn];
	assert_int_equal(first->field, DIVERT_F_SRC4);
	assert_int_equal(first->skip.n, 1000);
	assert_int_equal(indexed.insn[first->no].rule, 1200);
	assert_int_equal(first->skip.section, indexed.insn[indexed.entry[1000].insn].skip.section);
	wanted(first, inet_addr("198.51.2.1"), rules);
	assert_string_equal(rules, "613 ");
	second = &indexed.insn[indexed.entry[1002].insn];
	assert_int_equal(second->field, DIVERT_F_DPORT);
	assert_int_equal(second->skip.n, 40);
	assert_int_equal(indexed.insn[second->no].rule, 3000);
	wanted(second, 443, rules);
	assert_memory_equal(rules, "2000 2001 2002 ", 15);
	assert_int_equal(indexed.values, 1040);
	done();
}

/* Runs that are nearly alike, and the rules behind them. */
static void test_not_alike(void **state)
{
	uint32_t i;

	for (i = 0; i < 15; i++)
		addf("%u deny udp from any to any %u", i + 1, i);
	make();
	assert_int_equal(indexed.values, 0);
	done();
	for (i = 0; i < 1000; i++)
		addf("%u deny udp from 10.0.0.1 to any 53", i + 1);
	make();
	assert_int_equal(indexed.values, 0);
	done();
	for (i = 0; i < 40; i++)
		addf("%u deny udp from any to any 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,%u",
		     i + 1, 100 + i);
	make();
	assert_int_equal(indexed.values, 0);
	done();
	for (i = 0; i < 40; i++)
		addf("%u deny udp from any to any { dst-port %u or iplen 100 }", i + 1, 100 + i);
	make();
	assert_int_equal(indexed.values, 0);
	done();
}

static void test_empty(void **state)
{
	struct engine_rules none = {0};

	add("100 allow ip from any to any");
	make();
	assert_int_equal(sections(IN_UDP4, "10.0.0.1", 1, "10.0.0.2", 1), 1);
	done();
	assert_int_equal(index_make(&none, &indexed), 0);
	assert_int_equal(indexed.insns, 0);
	index_free(&indexed);
}

/*
 * The i-th table that the index asks: its key, and the sections that no address outside it can
 * match.
 */
static void is_asked(int i, uint32_t key, uint64_t sections)
{
	assert_int_equal(indexed.head.asked[i].key, key);
	assert_int_equal(indexed.head.asked[i].sections, sections);
}

static void test_tables_asked(void **state)
{
	add("100 allow ip from table(a) to any");
	add("200 allow ip from any to table(a)");
	add("300 deny tcp from table(a) to any 80");
	add("400 allow ip from 10.0.0.1 to any");
	make();
	is_asked(0, DIVERT_KEY_SRC, 1 << 0 | 1 << 2);
	is_asked(1, DIVERT_KEY_DST, 1 << 1);
	is_asked(2, 0, 0);
	assert_int_equal(indexed.head.asked[0].table, indexed.head.asked[1].table);
	done();
}

/* Rules that a packet may match without being in the table. */
static void test_tables_not_asked(void **state)
{
	add("100 allow ip from not table(a) to any");
	add("200 allow ip from any to { table(b) or 10.0.0.1 }");
	add("300 allow ip from table(c) to any");
	add("300 allow ip from 10.0.0.1 to any");
	add("400 allow ip from any to any lookup dst-port d");
	/* A packet's address may enter the table between the two rules. */
	add("500 allow ip from table(a) to any");
	make();
	is_asked(0, 0, 0);
	done();
}

static void test_tables_many(void **state)
{
	const char *names = "abcde";
	uint32_t i;

	add("10 allow ip from not table(z) to any");
	for (i = 0; i < 5; i++)
		addf("%u deny ip from table(%c) to any", 100 + i, names[i]);
	make();
	/* z takes a place of DIVERT_ASKED, and gives it back too late */
	for (i = 0; i < 3; i++)
		is_asked(i, DIVERT_KEY_SRC, 2ull << i);
	is_asked(3, 0, 0);
	done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_not_alike),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_tables_asked),
		cmocka_unit_test(test_tables_not_asked),
		cmocka_unit_test(test_tables_many),
	};

	rules_init(&set);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
