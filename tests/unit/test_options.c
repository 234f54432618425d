// sources: rules/*.c tests/random/packet.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All options of ipfw, by enum rule_match_type: each is in the table of options and in the manual,
 * matches a packet that it should, and no other. An option without one of these fails here by name.
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

#include "rules/parse.h"
#include "rules/rules.h"
#include "tests/random/packet.h"

static int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	const struct random_bytes *b = from;

	if (offset > b->n || len > b->n - offset)
		return -1;
	memcpy(to, b->byte + offset, len);
	return 0;
}

#include "engine/field.h"
#include "engine/match.h"

/* ---- each option, and packets ---- */

#define ICMP	   .proto = 1
#define TCP	   .proto = 6
#define UDP	   .proto = 17
#define ICMP6	   .six = true, .proto = 58
#define TCP6	   .six = true, .proto = 6
#define OUT	   .out = true, .xmit = "eth1"
#define FIRST_FRAG .offset_bits = RULE_FRAG_MF
#define RPF(what)  (1 << DIVERT_RPF_##what)

/* Without other addresses and directions, from 10.0.0.1 or fd00::1 to .2 or ::2, in on eth0. */
static void fill_in(struct random_sample *s)
{
	static const unsigned char net[2][16] = {{10}, {0xfd}};
	const unsigned int last = s->six ? 15 : 3;

	memcpy(s->src, net[s->six], last);
	memcpy(s->dst, net[s->six], last);
	s->src[last] = s->src[last] ? s->src[last] : 1;
	s->dst[last] = s->dst[last] ? s->dst[last] : 2;
	if (!s->out && !s->recv)
		s->recv = "eth0";
}

/* The packets are as tests/random/packet.h describes them. No proto: there is no such packet. */
static const struct {
	enum rule_match_type type;
	const char *option;
	struct random_sample yes, no;
} cases[] = {
	{RULE_PROTO, "proto tcp", {TCP}, {UDP}},
	{RULE_IP4, "ip4", {TCP}, {TCP6}},
	{RULE_IP6, "ip6", {TCP6}, {TCP}},
	{RULE_SRC, "src-ip 10.0.0.1", {TCP}, {TCP, .src[3] = 3}},
	{RULE_SRC, "src-ip fd00::1", {TCP6}, {TCP}},
	{RULE_DST, "dst-ip 10.0.0.2", {TCP}, {TCP, .dst[3] = 3}},
	{RULE_SPORT, "src-port 53", {TCP, .t.sport = 53}, {TCP, .t.dport = 53}},
	{RULE_DPORT, "dst-port 53", {UDP, .t.dport = 53}, {UDP, .t.sport = 53}},
	{RULE_DPORT, "dst-port 0", {.proto = 132}, {.proto = 47}},
	{RULE_IN, "in", {TCP}, {TCP, OUT}},
	{RULE_VIA, "via eth1", {TCP, OUT}, {TCP}},
	{RULE_RECV, "recv eth0", {TCP}, {TCP, .recv = "eth1"}},
	{RULE_XMIT, "xmit eth1", {TCP, OUT}, {TCP}},
	{RULE_ICMP, "icmptypes 8", {ICMP, .t.type = 8}, {ICMP, .t.type = 0}},
	{RULE_ICMP, "icmptypes 8", {ICMP, .t.type = 8}, {ICMP6, .t.type = 8}},
	{RULE_ICMP6, "icmp6types 128", {ICMP6, .t.type = 128}, {ICMP6, .t.type = 129}},
	{RULE_ICMP6, "icmp6types 128", {ICMP6, .t.type = 128}, {.proto = 58, .t.type = 128}},
	{RULE_ICMPCODES, "icmpcodes 2-3", {ICMP, .t.code = 2}, {ICMP, .t.code = 1}},
	{RULE_ICMPCODES, "icmpcodes 2-3", {ICMP6, .t.code = 3}, {UDP}},
	{RULE_DIVERTED, "diverted", {TCP, .reinject = DIVERT_IS_REINJECTED_IN}, {TCP}},
	{RULE_DIVERTED_LOOPBACK,
	 "diverted-loopback",
	 {TCP, .reinject = DIVERT_IS_REINJECTED_IN},
	 {TCP, .reinject = DIVERT_IS_REINJECTED_OUT}},
	{RULE_DIVERTED_OUTPUT,
	 "diverted-output",
	 {TCP, .reinject = DIVERT_IS_REINJECTED_OUT},
	 {TCP, .reinject = DIVERT_IS_REINJECTED_IN}},
	{RULE_FWMARK, "fwmark 2/6", {TCP, .mark = 3}, {TCP, .mark = 7}},
	{RULE_BYPASS, "bypass", {TCP}, {}},
	{RULE_ESTABLISHED, "established", {TCP, .t.tcp_flags = TH_ACK}, {TCP}},
	{RULE_ESTABLISHED, "established", {TCP, .t.tcp_flags = TH_RST}, {UDP}},
	{RULE_SETUP, "setup", {TCP, .t.tcp_flags = TH_SYN}, {TCP, .t.tcp_flags = TH_SYN | TH_ACK}},
	{RULE_TCPFLAGS,
	 "tcpflags fin,!rst",
	 {TCP, .t.tcp_flags = 0x01},
	 {TCP, .t.tcp_flags = 0x05}},
	{RULE_TCPOPTIONS, "tcpoptions mss", {TCP, .t.tcp_options = DIVERT_TCPOPT_MSS}, {TCP}},
	{RULE_TCPOPTIONS, "tcpoptions !ts", {TCP}, {UDP}},
	{RULE_TCPSEQ, "tcpseq 70000", {TCP, .t.seq = 70000}, {TCP, .t.ack = 70000}},
	{RULE_TCPACK, "tcpack 70000", {TCP, .t.ack = 70000}, {TCP, .t.seq = 70000}},
	{RULE_TCPWIN, "tcpwin 2-3", {TCP, .t.window = 2}, {TCP, .t.window = 4}},
	{RULE_TCPMSS,
	 "tcpmss 2-3",
	 {TCP, .t.tcp_options = DIVERT_TCPOPT_MSS, .t.mss = 2},
	 {TCP, .t.tcp_options = DIVERT_TCPOPT_MSS, .t.mss = 4}},
	{RULE_TCPMSS,
	 "tcpmss 0",
	 {TCP, .t.tcp_options = DIVERT_TCPOPT_MSS},
	 {TCP, .t.tcp_options = DIVERT_TCPOPT_TS}},
	{RULE_TCPDATALEN, "tcpdatalen 2-3", {TCP6, .t.data = 2}, {TCP6, .t.data = 1}},
	{RULE_TCPDATALEN, "tcpdatalen 0", {TCP}, {UDP}},
	{RULE_IPID, "ipid 2-3", {UDP, .id = 2}, {UDP, .id = 4}},
	{RULE_IPLEN, "iplen 40-41", {TCP, .t.data = 1}, {TCP, .t.data = 2}},
	{RULE_IPLEN, "iplen 60", {TCP6}, {TCP}},
	{RULE_IPTTL, "ipttl 64", {TCP, .ttl = 64}, {TCP, .ttl = 63}},
	{RULE_IPTTL, "ipttl 64", {TCP, .ttl = 64}, {TCP6, .ttl = 64}},
	{RULE_IPTOS, "iptos lowdelay", {TCP, .tos = 0x10}, {TCP, .tos = 0x08}},
	{RULE_IPTOS, "iptos !lowdelay", {TCP}, {TCP6}},
	{RULE_IPPRECEDENCE, "ipprecedence 1,5", {TCP, .tos = 0xbf}, {TCP, .tos = 0x40}},
	{RULE_IPPRECEDENCE, "ipprecedence 0", {TCP}, {TCP6}},
	{RULE_DSCP, "dscp be,ef", {TCP6, .tos = 46 << 2 | 1}, {TCP6, .tos = 45 << 2}},
	{RULE_IPOPTIONS, "ipoptions rr", {TCP, .ip_options = DIVERT_IPOPT_RR}, {TCP}},
	{RULE_IPOPTIONS, "ipoptions !rr", {TCP}, {TCP6}},
	{RULE_FRAG, "frag", {UDP, .frag_offset = 2}, {UDP, FIRST_FRAG}},
	{RULE_FRAG, "frag mf,!offset", {UDP, FIRST_FRAG}, {UDP, FIRST_FRAG, .frag_offset = 2}},
	{RULE_EXT6HDR, "ext6hdr hopopt,ah", {TCP6, .ext = DIVERT_EXT_HOPOPT}, {TCP6}},
	{RULE_FLOWID, "flow-id 1,70000", {TCP6, .flow = 70000}, {TCP6, .flow = 70001}},
	{RULE_IPVER, "ipver 6", {TCP6}, {TCP}},
	{RULE_SOCKARG, "sockarg", {}, {TCP, OUT}},
	{RULE_UID, "uid 5", {TCP, OUT, .uid = 5, .gid = 6}, {TCP, OUT, .uid = 6, .gid = 5}},
	{RULE_UID, "uid 0", {TCP, OUT}, {TCP, OUT, .uid = -1}},
	{RULE_GID, "gid 5", {TCP, OUT, .uid = 6, .gid = 5}, {TCP, OUT, .uid = 5, .gid = 6}},
	{RULE_LOOKUP, "lookup dst-port t", {UDP, .t.dport = 80}, {UDP, .t.sport = 80}},
	{RULE_LOOKUP, "lookup src-port t", {UDP, .t.sport = 80}, {UDP, .t.dport = 80}},
	{RULE_LOOKUP, "lookup fwmark t", {UDP, .mark = 80}, {UDP, .mark = 79}},
	{RULE_FLOW, "flow table(t)", {UDP, .t.dport = 80}, {UDP, .t.dport = 79}},
	{RULE_VERREVPATH, "verrevpath", {TCP, .path = RPF(REVERSE)}, {TCP}},
	{RULE_VERREVPATH, "verrevpath", {TCP, OUT}, {TCP, .path = ~RPF(REVERSE)}},
	{RULE_VERSRCREACH, "versrcreach", {TCP, .path = RPF(REACH)}, {TCP, .path = ~RPF(REACH)}},
	{RULE_ANTISPOOF, "antispoof", {TCP, .path = RPF(HONEST)}, {TCP, .path = ~RPF(HONEST)}},
	{RULE_FIRST, "first 2", {UDP, .t.dport = 2}, {UDP, .t.dport = 3}},
};

#define N_CASES (sizeof(cases) / sizeof(*cases))

/* ---- a packet, and a rule's instructions ---- */

struct packet {
	struct random_sample s;
	struct random_bytes b;
	struct divert_packet p;
};

static void set_name(__u64 *wide, const char *name)
{
	unsigned char bytes[DIVERT_NAME_LEN] = {0};
	int i;

	strcpy((char *)bytes, name ? name : "");
	for (i = 0; i < DIVERT_NAME_LEN; i++)
		wide[i / 8] = wide[i / 8] << 8 | bytes[i];
}

static void make_packet(const struct random_sample *s, struct packet *k)
{
	struct packet_shape shape = {0};

	memset(k, 0, sizeof(*k));
	k->s = *s;
	fill_in(&k->s);
	random_packet(&k->b, &k->s);
	k->p.field[DIVERT_F_FLAGS] = (s->out ? DIVERT_IS_OUT : 0) | s->reinject;
	k->p.field[DIVERT_F_MARK] = s->mark;
	set_name(k->p.wide[DIVERT_W_RECV], k->s.recv);
	set_name(k->p.wide[DIVERT_W_XMIT], k->s.xmit ? k->s.xmit : k->s.recv);
	assert_int_equal(packet_read(&k->b, s->six ? 6 : 4, k->b.n, &k->p, &shape), 0);
}

static bool load(const struct divert_insn *in, struct packet *k)
{
	int64_t id = in->field == DIVERT_LOAD_UID ? k->s.uid : k->s.gid;

	if (in->field != DIVERT_LOAD_UID && in->field != DIVERT_LOAD_GID)
		return packet_slow_match(&k->b, in, &k->p);
	k->p.field[DIVERT_F_LOADED] = id;
	return id >= 0;
}

/* Is it a condition, and not the action? */
static bool is_test(const struct divert_insn *in)
{
	return in->op < DIVERT_OP_GO || in->op == DIVERT_OP_FRAGMENT || in->op == DIVERT_OP_FIRST;
}

/*
 * Tables have the number 80, and the flows to port 80. A packet is the first one of its flow if it
 * goes to port 1, the second one if it goes to port 2, and so on.
 */
static bool test_insn(const struct divert_insn *in, struct packet *k)
{
	switch (in->op) {
	case DIVERT_OP_LOAD:
		return load(in, k);
	case DIVERT_OP_LOOKUP:
		return k->p.field[in->lookup.key == DIVERT_KEY_FIELD ? in->field
								     : DIVERT_F_DPORT] == 80;
	case DIVERT_OP_RPF:
		return k->s.path >> in->field & 1;
	case DIVERT_OP_FRAGMENT: /* nothing is known of the first one */
		return true;
	case DIVERT_OP_FIRST:
		return k->p.field[DIVERT_F_DPORT] <= in->state.limit;
	default:
		return match_insn(in, &k->p);
	}
}

static void compile(const char *option, struct rules *s, struct rules_compiled *c)
{
	struct rules_error err;
	struct rule *r;
	char line[128];

	snprintf(line, sizeof(line), "100 divert 5 ip from any to any %s", option);
	rules_init(s);
	if (rule_parse(line, &r, &err) || rules_add(s, r, &err))
		fail_msg("option %s: %s", option, err.text);
	assert_int_equal(rules_compile(s, c), 0);
}

static bool matches(const struct rules_compiled *c, struct packet *k)
{
	uint32_t pc = 0;

	while (is_test(&c->insn[pc]))
		pc = test_insn(&c->insn[pc], k) ? c->insn[pc].yes : c->insn[pc].no;
	return c->insn[pc].op == DIVERT_OP_DIVERT;
}

static const struct rule_match *condition(const struct rules *s)
{
	return s->rule[0]->match;
}

/* ---- tests ---- */

static void test_rows(void **state)
{
	unsigned int i;

	for (i = 0; i < RULE_TYPES; i++)
		if (!rule_kind[i].name)
			fail_msg("enum rule_match_type %u (behind '%s') has no row in "
				 "rules/kinds.c",
				 i, i ? rule_kind[i - 1].name : "");
}

/* Each version of IP has a header of its own. */
static void test_versions(void **state)
{
	unsigned int i;

	for (i = 0; i < RULE_TYPES; i++)
		if (rule_kind[i].field == DIVERT_F_LOADED &&
		    (rule_kind[i].load == DIVERT_LOAD_IP ||
		     rule_kind[i].load == DIVERT_LOAD_IPOPTIONS) &&
		    !(rule_kind[i].only & (ONLY_V4 | ONLY_V6)))
			fail_msg("option %s reads the IP header: ONLY_V4 or ONLY_V6 in "
				 "rules/kinds.c",
				 rule_kind[i].name);
}

static void test_cases(void **state)
{
	bool has[RULE_TYPES] = {0};
	unsigned int i;

	for (i = 0; i < N_CASES; i++)
		has[cases[i].type] = true;
	for (i = 0; i < RULE_TYPES; i++)
		if (!has[i])
			fail_msg("option %s has no line in tests/unit/test_options.c",
				 rule_kind[i].name);
}

static void test_match(void **state)
{
	struct rules_compiled c;
	struct packet k;
	struct rules s;
	unsigned int i;

	for (i = 0; i < N_CASES; i++) {
		compile(cases[i].option, &s, &c);
		assert_int_equal(condition(&s)->type, cases[i].type);
		make_packet(&cases[i].yes, &k);
		if (k.s.proto && !matches(&c, &k))
			fail_msg("case %u, option %s: does not match", i, cases[i].option);
		make_packet(&cases[i].no, &k);
		if (k.s.proto && matches(&c, &k))
			fail_msg("case %u, option %s: matches another packet", i, cases[i].option);
		rules_compiled_free(&c);
		rules_free(&s);
	}
}

/* Does the option ask for what the packet has, and a later fragment of it has not? */
static bool asks_first(const struct rules_compiled *c, const struct random_sample *s)
{
	struct random_sample later = *s;
	struct packet k, l;
	uint32_t pc;

	if (s->six)
		later.ext |= DIVERT_EXT_FRAG;
	later.frag_offset = 2;
	make_packet(s, &k);
	make_packet(&later, &l);
	for (pc = 0; is_test(&c->insn[pc]); pc++) {
		const struct divert_insn *in = &c->insn[pc];

		if (in->op == DIVERT_OP_LOAD && load(in, &k) && !load(in, &l))
			return true;
		if (in->op == DIVERT_OP_LOOKUP && in->lookup.key == DIVERT_KEY_FLOW)
			return true;
		if (in->op == DIVERT_OP_FIRST) /* a later fragment does not tell its flow */
			return true;
		if ((in->op == DIVERT_OP_MASK || in->op == DIVERT_OP_RANGE) &&
		    k.p.field[in->field] != DIVERT_ABSENT && l.p.field[in->field] == DIVERT_ABSENT)
			return true;
	}
	return false;
}

/*
 * A later fragment goes where the first one went if the rule asks for ports and the like, which a
 * later fragment does not have; that takes DIVERT_OP_FRAGMENT.
 */
static void test_fragments(void **state)
{
	struct rules_compiled c;
	unsigned int i;
	struct rules s;
	uint32_t pc;
	bool has;

	for (i = 0; i < N_CASES; i++) {
		if (!cases[i].yes.proto)
			continue;
		compile(cases[i].option, &s, &c);
		has = false;
		for (pc = 0; pc < c.insns; pc++)
			has |= c.insn[pc].op == DIVERT_OP_FRAGMENT;
		if (has != asks_first(&c, &cases[i].yes))
			fail_msg("option %s: later fragments have %s: ONLY_FIRST in rules/kinds.c",
				 cases[i].option, has ? "it, too" : "no such field");
		rules_compiled_free(&c);
		rules_free(&s);
	}
}

/* ---- where options are listed ---- */

static void test_unknown(void **state)
{
	struct rules_error err;
	char word[64], all[sizeof(err.text) + 1], *from;
	struct rule *r;
	unsigned int i;

	assert_int_equal(rule_parse("deny ip from any to any frobnicate", &r, &err), -1);
	from = strstr(err.text, "expected one of ");
	assert_non_null(from);
	snprintf(all, sizeof(all), "%s,", from);
	for (i = 0; i < RULE_TYPES; i++) {
		snprintf(word, sizeof(word), " %s,", rule_kind[i].name);
		if (!strstr(all, word))
			fail_msg("option %s is not among those expected: %s", rule_kind[i].name,
				 err.text);
	}
}

/* The completions of bash and zsh take their words from there, too. */
static void test_manual(void **state)
{
	static char page[1 << 17];
	FILE *f = fopen("man/ipfw.8", "re");
	char *line, *rest = page, *word;
	bool has[RULE_TYPES] = {0};
	unsigned int i;
	size_t n;

	assert_non_null(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	fclose(f);
	assert_in_range(n, 1, sizeof(page) - 2);
	while ((line = strsep(&rest, "\n"))) {
		if (strncmp(line, ".It Cm ", 7))
			continue;
		line += 7;
		while ((word = strsep(&line, " ")))
			for (i = 0; i < RULE_TYPES; i++)
				has[i] |= !strcmp(word, rule_kind[i].name);
	}
	for (i = 0; i < RULE_TYPES; i++)
		if (!has[i])
			fail_msg("option %s has no .It Cm in man/ipfw.8", rule_kind[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	  cmocka_unit_test(test_versions),
		cmocka_unit_test(test_cases),	  cmocka_unit_test(test_match),
		cmocka_unit_test(test_fragments), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
