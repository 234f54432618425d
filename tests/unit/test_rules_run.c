// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiled rules, walked as the kernel half walks them: which rules a packet meets. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/rules.h"

static int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	return -1; /* packets in this test are made, not read */
}

#include "engine/match.h"

/* ---- packets ---- */

struct sample {
	const char *src, *dst; /* of one family; NULL: IPv4 127.0.0.1 */
	uint8_t proto;
	uint16_t sport, dport; /* 0: none */
	int type;	       /* of ICMP, ICMPv6, plus 1 */
	const char *recv, *xmit;
	uint32_t flags, mark;
	uint32_t path; /* bit i: enum divert_rpf i is true */
};

static void set_name(__u64 *wide, const char *name)
{
	unsigned char bytes[DIVERT_NAME_LEN] = {0};
	int i;

	strcpy((char *)bytes, name ? name : "");
	wide[0] = wide[1] = 0;
	for (i = 0; i < DIVERT_NAME_LEN; i++)
		wide[i / 8] = wide[i / 8] << 8 | bytes[i];
}

static void set_address(struct divert_packet *p, const char *text, enum divert_field field4,
			enum divert_wide field6)
{
	struct in6_addr a;
	struct in_addr a4;

	p->field[field4] = DIVERT_ABSENT;
	if (inet_pton(AF_INET, text ? text : "127.0.0.1", &a4) == 1) {
		p->field[DIVERT_F_FLAGS] |= DIVERT_IS_V4;
		p->field[field4] = a4.s_addr;
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	p->field[DIVERT_F_FLAGS] |= DIVERT_IS_V6;
	p->wide[field6][0] = packet_wide(a.s6_addr32[0], a.s6_addr32[1]);
	p->wide[field6][1] = packet_wide(a.s6_addr32[2], a.s6_addr32[3]);
}

static void make_packet(const struct sample *s, struct divert_packet *p)
{
	memset(p, 0, sizeof(*p));
	p->field[DIVERT_F_FLAGS] = s->flags;
	p->field[DIVERT_F_PROTO] = s->proto;
	p->field[DIVERT_F_SPORT] = s->sport ? s->sport : DIVERT_ABSENT;
	p->field[DIVERT_F_DPORT] = s->dport ? s->dport : DIVERT_ABSENT;
	p->field[DIVERT_F_ICMP] = s->proto == 1 && s->type ? s->type - 1u : DIVERT_ABSENT;
	p->field[DIVERT_F_ICMP6] = s->proto == 58 && s->type ? s->type - 1u : DIVERT_ABSENT;
	p->field[DIVERT_F_MARK] = s->mark;
	p->field[DIVERT_F_LOCAL] = s->path * DIVERT_LOCAL_RPF;
	set_address(p, s->src, DIVERT_F_SRC4, DIVERT_W_SRC6);
	set_address(p, s->dst, DIVERT_F_DST4, DIVERT_W_DST6);
	set_name(p->wide[DIVERT_W_RECV], s->recv);
	set_name(p->wide[DIVERT_W_XMIT], s->xmit);
}

/* ---- the walk ---- */

enum { NOBODY = 1 }; /* nobody listens */

static int match(const struct divert_insn *in, const struct divert_packet *p)
{
	if (in->op == DIVERT_OP_RPF)
		return (p->field[DIVERT_F_LOCAL] & DIVERT_LOCAL_RPF << in->field) != 0;
	return match_insn(in, p);
}

/*
 * The rules that were met, as "100 count, 200 divert 5": number, action, port; '+' and the counter.
 */
static void walk(const struct rules_compiled *c, const struct divert_packet *p, uint32_t tag,
		 int nobody, char *met)
{
	static const char *const names[] = {
		[DIVERT_OP_GO] = "go",	       [DIVERT_OP_ALLOW] = "allow",
		[DIVERT_OP_DENY] = "deny",     [DIVERT_OP_DIVERT] = "divert",
		[DIVERT_OP_TEE] = "tee",       [DIVERT_OP_CALL] = "call",
		[DIVERT_OP_RETURN] = "return", [DIVERT_OP_REJECT] = "answer",
	};
	uint32_t back[DIVERT_CALLS_MAX], depth = 0;
	const struct divert_insn *in;
	uint32_t pc, next, i;

	for (i = 0; i < c->entries && c->entry[i].rule <= tag; i++)
		;
	*met = 0;
	for (pc = i < c->entries ? c->entry[i].insn : c->insns; pc < c->insns; pc = next) {
		in = &c->insn[pc];
		next = in->yes;
		if (in->op < DIVERT_OP_GO) {
			if (!match(in, p))
				next = in->no;
		} else {
			met += sprintf(met, "%s%u %s", *met || i == ~0u ? ", " : "", in->rule,
				       names[in->op]);
			i = ~0u;
			if (in->op == DIVERT_OP_DIVERT || in->op == DIVERT_OP_TEE)
				met += sprintf(met, " %u", in->action.port);
			if (in->op == DIVERT_OP_ALLOW || in->op == DIVERT_OP_DENY ||
			    in->op == DIVERT_OP_REJECT)
				return;
			if (in->op == DIVERT_OP_DIVERT && !nobody)
				return;
			if (in->op == DIVERT_OP_DIVERT && !(in->action.flags & DIVERT_ACT_BYPASS)) {
				strcpy(met, " drop");
				return;
			}
		}
		if (in->op == DIVERT_OP_CALL) {
			if (depth < DIVERT_CALLS_MAX)
				back[depth++] = in->no;
			else
				next = pc + 1;
		} else if (in->op == DIVERT_OP_RETURN) {
			if (depth)
				next = back[--depth];
		} else {
			assert_true(next > pc);
		}
	}
}

/* One rule a line. */
static void compile(const char *text, struct rules *s, struct rules_compiled *c)
{
	char *copy = strdup(text), *rest = copy, *line;
	struct rules_error err;
	struct rule *r;

	rules_init(s);
	while ((line = strsep(&rest, "\n"))) {
		if (rule_parse(line, &r, &err) || rules_add(s, r, &err))
			fail_msg("%s: %s", line, err.text);
	}
	free(copy);
	assert_int_equal(rules_compile(s, c), 0);
}

#define IN(name)  .recv = name
#define OUT(name) .xmit = name, .flags = DIVERT_IS_OUT
#define TCP(a, b) .proto = 6, .sport = a, .dport = b

static const struct {
	const char *rules;
	struct sample packet;
	uint32_t tag;
	int nobody;
	const char *met;
} cases[] = {
	/* order, and the default rule */
	{"200 deny ip from any to any\n100 count ip from any to any",
	 {IN("a")},
	 0,
	 0,
	 "100 go, 200 deny"},
	{"count ip from any to any", {IN("a")}, 0, 0, "100 go, 65535 allow"},
	{"100 count via a\n100 count via b\n100 count via a",
	 {IN("a")},
	 0,
	 0,
	 "100 go, 100 go, 65535 allow"},

	/* written back: it begins at the first rule numbered above the tag */
	{"100 divert 5 in\n100 deny in\n101 count in\n200 deny in",
	 {IN("a")},
	 0,
	 0,
	 "100 divert 5"},
	{"100 divert 5 in\n100 deny in\n101 count in\n200 deny in",
	 {IN("a")},
	 100,
	 0,
	 "101 go, 200 deny"},
	{"100 divert 5 in\n100 deny in\n101 count in\n200 deny in",
	 {IN("a")},
	 99,
	 0,
	 "100 divert 5"},
	{"100 divert 5 in\n100 deny in\n101 count in\n200 deny in", {IN("a")}, 150, 0, "200 deny"},
	{"100 divert 5 in\n200 deny in", {IN("a")}, 200, 0, "65535 allow"},
	{"100 divert 5 in\n200 deny in", {IN("a")}, 65535, 0, ""},

	/* nobody listens */
	{"100 divert 5 in\n200 deny in", {IN("a")}, 0, NOBODY, "100 divert 5 drop"},
	{"100 divert 5 in bypass\n100 count in",
	 {IN("a")},
	 0,
	 NOBODY,
	 "100 divert 5, 100 go, 65535 allow"},
	{"100 tee 5 in\n200 deny in", {IN("a")}, 0, NOBODY, "100 tee 5, 200 deny"},

	/* skipto */
	{"100 skipto 300 in\n200 deny in\n300 count in",
	 {IN("a")},
	 0,
	 0,
	 "100 go, 300 go, 65535 allow"},
	{"100 skipto 250 in\n200 deny in\n300 count in",
	 {IN("a")},
	 0,
	 0,
	 "100 go, 300 go, 65535 allow"},
	{"100 skipto 65535 in\n200 deny in", {IN("a")}, 0, 0, "100 go, 65535 allow"},
	{"100 skipto 50 in\n200 deny in", {IN("a")}, 0, 0, "100 go, 200 deny"},
	/*
	 * a skipto that is not forward goes to the next number, as in FreeBSD, whatever rules share
	 * this one
	 */
	{"100 skipto 100 in\n100 deny in", {IN("a")}, 0, 0, "100 go, 65535 allow"},
	{"100 skipto 50 in\n100 deny in\n101 count in",
	 {IN("a")},
	 0,
	 0,
	 "100 go, 101 go, 65535 allow"},
	{"100 skipto 300 out\n200 deny in", {IN("a")}, 0, 0, "200 deny"},

	/* call: also backwards; it returns behind all rules with the call's number */
	{"100 skipto 200 in\n150 count in\n160 return in\n200 call 150 in\n200 count in\n300 "
	 "deny in",
	 {IN("a")},
	 0,
	 0,
	 "100 go, 200 call, 150 go, 160 return, 300 deny"},
	{"100 call 300 in\n200 deny in\n300 call 400 in\n350 return in\n400 count in\n500 return "
	 "in",
	 {IN("a")},
	 0,
	 0,
	 "100 call, 300 call, 400 go, 500 return, 350 return, 200 deny"},
	{"100 return in\n200 deny in", {IN("a")}, 0, 0, "100 return, 200 deny"},
	{"100 call 65535 in\n200 deny in", {IN("a")}, 0, 0, "100 call, 65535 allow"},
	{"100 call 100 in\n200 deny in",
	 {IN("a")},
	 0,
	 0,
	 "100 call, 100 call, 100 call, 100 call, 100 call, 100 call, 100 call, 100 call, 100 "
	 "call, 100 call, 100 call, 100 call, 100 call, 100 call, 100 call, 100 call, 100 call, "
	 "200 deny"},

	/* directions and interfaces */
	{"100 deny in", {IN("a")}, 0, 0, "100 deny"},
	{"100 deny in", {OUT("a")}, 0, 0, "65535 allow"},
	{"100 deny out", {OUT("a")}, 0, 0, "100 deny"},
	{"100 deny out", {IN("a")}, 0, 0, "65535 allow"},
	{"100 deny via eth0", {IN("eth0")}, 0, 0, "100 deny"},
	{"100 deny via eth0", {IN("eth01")}, 0, 0, "65535 allow"},
	{"100 deny via eth0", {IN("eth")}, 0, 0, "65535 allow"},
	{"100 deny via eth0", {OUT("eth0")}, 0, 0, "100 deny"},
	{"100 deny via eth0", {OUT("eth1"), .recv = "eth0"}, 0, 0, "65535 allow"},
	{"100 deny recv eth0", {OUT("eth1"), .recv = "eth0"}, 0, 0, "100 deny"},
	{"100 deny recv eth0", {OUT("eth0")}, 0, 0, "65535 allow"},
	{"100 deny xmit eth0", {OUT("eth0")}, 0, 0, "100 deny"},
	{"100 deny xmit eth0", {IN("eth0"), .xmit = "eth0"}, 0, 0, "65535 allow"},
	{"100 deny not xmit eth0", {IN("eth0"), .xmit = "eth0"}, 0, 0, "100 deny"},
	{"100 deny not via eth0", {IN("eth0")}, 0, 0, "65535 allow"},
	{"100 deny not via eth0", {OUT("eth1")}, 0, 0, "100 deny"},
	{"100 deny via eth*", {IN("eth0")}, 0, 0, "100 deny"},
	{"100 deny via eth*", {IN("eth")}, 0, 0, "100 deny"},
	{"100 deny via eth*", {IN("et")}, 0, 0, "65535 allow"},
	{"100 deny via fifteen-letters", {IN("fifteen-letters")}, 0, 0, "100 deny"},
	{"100 deny via fifteen-letters", {IN("fifteen-letterz")}, 0, 0, "65535 allow"},
	{"100 deny via fifteen-*", {IN("fifteen-letters")}, 0, 0, "100 deny"},
	{"100 deny via fifteen-le*", {IN("fifteen-ladders")}, 0, 0, "65535 allow"},
	{"100 deny recv *", {IN("a")}, 0, 0, "100 deny"},
	{"100 deny recv *", {OUT("a")}, 0, 0, "65535 allow"},
	{"100 deny out not recv *", {OUT("a")}, 0, 0, "100 deny"},

	/* families and addresses */
	{"100 deny ip4 from any to any", {.src = "::1", .dst = "::1"}, 0, 0, "65535 allow"},
	{"100 deny ip6 from any to any", {.src = "::1", .dst = "::1"}, 0, 0, "100 deny"},
	{"100 deny not ip6 from any to any", {IN("a")}, 0, 0, "100 deny"},
	{"100 deny ip from 10.0.0.0/8 to any", {.src = "10.255.0.1"}, 0, 0, "100 deny"},
	{"100 deny ip from 10.0.0.0/8 to any", {.src = "11.0.0.1"}, 0, 0, "65535 allow"},
	{"100 deny ip from any to 10.0.0.1", {.dst = "10.0.0.1"}, 0, 0, "100 deny"},
	{"100 deny ip from any to 10.0.0.1", {.src = "10.0.0.1"}, 0, 0, "65535 allow"},
	{"100 deny ip from 255.255.255.255 to any",
	 {.src = "::1", .dst = "::1"},
	 0,
	 0,
	 "65535 allow"},
	{"100 deny ip from 0.0.0.0/0 to any", {.src = "::1", .dst = "::1"}, 0, 0, "65535 allow"},
	{"100 deny ip from not 10.0.0.1 to any", {.src = "::1", .dst = "::1"}, 0, 0, "100 deny"},
	{"100 deny ip from not 10.0.0.1 to any", {.src = "10.0.0.1"}, 0, 0, "65535 allow"},
	{"100 deny ip from 10.0.0.1:255.0.0.255 to any", {.src = "10.9.9.1"}, 0, 0, "100 deny"},
	{"100 deny ip from ::/0 to any", {.src = "2001:db8::1", .dst = "::1"}, 0, 0, "100 deny"},
	{"100 deny ip from ::/0 to any", {IN("a")}, 0, 0, "65535 allow"},
	{"100 deny ip from 2001:db8::/33 to any",
	 {.src = "2001:db8:7fff::1", .dst = "::1"},
	 0,
	 0,
	 "100 deny"},
	{"100 deny ip from 2001:db8::/33 to any",
	 {.src = "2001:db8:8000::1", .dst = "::1"},
	 0,
	 0,
	 "65535 allow"},
	{"100 deny ip from any to ::1", {.src = "::2", .dst = "::1"}, 0, 0, "100 deny"},
	{"100 deny ip from any to ::1", {.src = "::1", .dst = "::2"}, 0, 0, "65535 allow"},
	{"100 deny ip from ::/100 to any", {.src = "::fff:ffff", .dst = "::2"}, 0, 0, "100 deny"},
	{"100 deny ip from ::/100 to any",
	 {.src = "::1fff:ffff", .dst = "::2"},
	 0,
	 0,
	 "65535 allow"},
	{"100 deny ip from 10.0.0.1,::1,10.0.0.2,::2 to any",
	 {.src = "10.0.0.2"},
	 0,
	 0,
	 "100 deny"},
	{"100 deny ip from 10.0.0.1,::1,10.0.0.2,::2 to any",
	 {.src = "::2", .dst = "::1"},
	 0,
	 0,
	 "100 deny"},
	{"100 deny ip from 10.0.0.1,::1,10.0.0.2,::2 to any",
	 {.src = "::3", .dst = "::1"},
	 0,
	 0,
	 "65535 allow"},
	{"100 deny ip from not 10.0.0.1,::1,10.0.0.2,::2 to any",
	 {.src = "10.0.0.3"},
	 0,
	 0,
	 "100 deny"},
	{"100 deny ip from not 10.0.0.1,::1,10.0.0.2,::2 to any",
	 {.src = "::1", .dst = "::1"},
	 0,
	 0,
	 "65535 allow"},

	/* protocols and ports */
	{"100 deny tcp from any to any", {TCP(1, 2)}, 0, 0, "100 deny"},
	{"100 deny not tcp from any to any", {TCP(1, 2)}, 0, 0, "65535 allow"},
	{"100 deny 17 from any to any", {TCP(1, 2)}, 0, 0, "65535 allow"},
	{"100 deny tcp from any 5 to any", {TCP(5, 2)}, 0, 0, "100 deny"},
	{"100 deny tcp from any to any 5", {TCP(5, 2)}, 0, 0, "65535 allow"},
	{"100 deny tcp from any to any 0-65535", {TCP(5, 2)}, 0, 0, "100 deny"},
	{"100 deny tcp from any to any 0-65535", {.proto = 6}, 0, 0, "65535 allow"},
	{"100 deny tcp from any to any not 5", {.proto = 6}, 0, 0, "100 deny"},
	{"100 deny tcp from any to any 1,3,5,7,9,11-20,30", {TCP(5, 1)}, 0, 0, "100 deny"},
	{"100 deny tcp from any to any 1,3,5,7,9,11-20,30", {TCP(5, 10)}, 0, 0, "65535 allow"},
	{"100 deny tcp from any to any 1,3,5,7,9,11-20,30", {TCP(5, 20)}, 0, 0, "100 deny"},
	{"100 deny tcp from any to any 1,3,5,7,9,11-20,30", {TCP(5, 30)}, 0, 0, "100 deny"},
	{"100 deny tcp from any to any not 1,3,5,7,9,11-20,30", {TCP(5, 30)}, 0, 0, "65535 allow"},
	{"100 deny tcp from any to any not 1,3,5,7,9,11-20,30", {TCP(5, 31)}, 0, 0, "100 deny"},
	{"100 deny icmp from any to any icmptypes 0,8",
	 {.proto = 1, .type = 8 + 1},
	 0,
	 0,
	 "100 deny"},
	{"100 deny icmp from any to any icmptypes 0,8",
	 {.proto = 1, .type = 3 + 1},
	 0,
	 0,
	 "65535 allow"},
	{"100 deny icmp6types 128",
	 {.src = "::1", .dst = "::1", .proto = 58, .type = 128 + 1},
	 0,
	 0,
	 "100 deny"},
	{"100 deny icmp6types 128", {.proto = 58, .type = 128 + 1}, 0, 0, "65535 allow"},
	{"100 deny not icmp6types 128", {.proto = 58, .type = 128 + 1}, 0, 0, "100 deny"},

	/* reinjected packets, marks, several conditions at once */
	{"100 deny diverted", {.flags = DIVERT_IS_REINJECTED_IN}, 0, 0, "100 deny"},
	{"100 deny diverted", {.flags = DIVERT_IS_REINJECTED_OUT}, 0, 0, "100 deny"},
	{"100 deny diverted", {.flags = 0}, 0, 0, "65535 allow"},
	{"100 deny not diverted", {.flags = 0}, 0, 0, "100 deny"},
	{"100 deny diverted-loopback", {.flags = DIVERT_IS_REINJECTED_IN}, 0, 0, "100 deny"},
	{"100 deny diverted-loopback", {.flags = DIVERT_IS_REINJECTED_OUT}, 0, 0, "65535 allow"},
	{"100 deny diverted-output", {.flags = DIVERT_IS_REINJECTED_OUT}, 0, 0, "100 deny"},
	{"100 deny verrevpath", {.path = 1 << DIVERT_RPF_REVERSE}, 0, 0, "100 deny"},
	{"100 deny verrevpath", {.path = ~(1u << DIVERT_RPF_REVERSE)}, 0, 0, "65535 allow"},
	{"100 deny not verrevpath", {.path = 0}, 0, 0, "100 deny"},
	{"100 deny not verrevpath", {.flags = DIVERT_IS_OUT}, 0, 0, "65535 allow"},
	{"100 deny versrcreach", {.path = 1 << DIVERT_RPF_REACH}, 0, 0, "100 deny"},
	{"100 deny versrcreach", {.path = ~(1u << DIVERT_RPF_REACH)}, 0, 0, "65535 allow"},
	{"100 deny antispoof", {.path = 1 << DIVERT_RPF_HONEST}, 0, 0, "100 deny"},
	{"100 deny antispoof", {.path = ~(1u << DIVERT_RPF_HONEST)}, 0, 0, "65535 allow"},
	{"100 deny not antispoof in", {.flags = DIVERT_IS_OUT}, 0, 0, "65535 allow"},
	{"100 deny fwmark 7", {.mark = 7}, 0, 0, "100 deny"},
	{"100 deny fwmark 0x10/0xf0", {.mark = 0x71f}, 0, 0, "100 deny"},
	{"100 deny fwmark 0x10/0xf0", {.mark = 0x2f}, 0, 0, "65535 allow"},
	{"100 deny not fwmark 4294967295", {.mark = ~0u}, 0, 0, "65535 allow"},
	{"100 deny tcp from 10.0.0.0/8 1-9 to not 10.0.0.1 80 in via eth0 not diverted",
	 {.src = "10.1.1.1", .dst = "10.0.0.2", TCP(9, 80), IN("eth0")},
	 0,
	 0,
	 "100 deny"},
	{"100 deny tcp from 10.0.0.0/8 1-9 to not 10.0.0.1 80 in via eth0 not diverted",
	 {.src = "10.1.1.1", .dst = "10.0.0.1", TCP(9, 80), IN("eth0")},
	 0,
	 0,
	 "65535 allow"},
};

static void test_walk(void **state)
{
	struct divert_packet p;
	struct rules_compiled c;
	char met[512], what[1024];
	struct rules s;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		compile(cases[i].rules, &s, &c);
		make_packet(&cases[i].packet, &p);
		walk(&c, &p, cases[i].tag, cases[i].nobody, met);
		snprintf(what, sizeof(what), "case %u (%s): %s", i, cases[i].rules, met);
		if (strcmp(met, cases[i].met))
			fail_msg("%s; wanted %s", what, cases[i].met);
		rules_compiled_free(&c);
		rules_free(&s);
	}
}

/* Properties that the kernel half relies on. */
static void test_form(void **state)
{
	struct rules_compiled c;
	unsigned int i, actions = 0;
	struct rules s;

	rules_init(&s);
	assert_int_equal(rules_compile(&s, &c), 0);
	assert_int_equal(c.insns, 0);
	assert_int_equal(c.entries, 0);
	assert_null(c.insn);

	compile("100 count via a\n100 divert 5 not via eth0 bypass\n200 skipto 50 tcp from "
		"10.0.0.1,::1 1,2,3,4,5,6 to any\n300 tee 6 in",
		&s, &c);
	for (i = 0; i < c.insns; i++) {
		const struct divert_insn *in = &c.insn[i];

		assert_true(in->op <= DIVERT_OP_TEE);
		if (i + 1 < c.insns) {
			assert_true(in->yes > i && in->yes < c.insns);
			assert_true(in->no > i && in->no < c.insns);
		}
		if (in->op < DIVERT_OP_GO)
			continue;
		/* each action has the counter of its rule; the default rule has slot 0 */
		if (i + 1 < c.insns)
			assert_int_equal(in->action.counter, s.rule[actions]->counter);
		else
			assert_int_equal(in->action.counter, 0);
		assert_int_equal(in->action.flags, actions == 1 ? DIVERT_ACT_BYPASS : 0);
		actions++;
	}
	assert_int_equal(actions, 5);
	assert_int_equal(c.insn[c.insns - 1].op, DIVERT_OP_ALLOW);
	assert_int_equal(c.insn[c.insns - 1].rule, 65535);
	assert_int_equal(c.entries, 4);
	assert_int_equal(c.entry[0].rule, 100);
	assert_int_equal(c.entry[0].insn, 0);
	assert_int_equal(c.entry[1].rule, 200);
	assert_int_equal(c.entry[2].rule, 300);
	assert_int_equal(c.entry[3].rule, 65535);
	assert_int_equal(c.entry[3].insn, c.insns - 1);
	rules_compiled_free(&c);
	rules_free(&s);
}

/* More instructions than the kernel half has room for: the rule set is refused as a whole. */
static void test_too_large(void **state)
{
	static char line[RULES_TEXT_MAX];
	char *at = line;
	struct rules_compiled c;
	struct rules_error err;
	struct rule *r;
	struct rules s;
	unsigned int i;

	at += sprintf(at, "allow ip from 1.1.1.1");
	while (at < line + 3000)
		at += sprintf(at, ",1.1.1.1");
	strcpy(at, " to any");
	rules_init(&s);
	for (i = 0; i < 3000; i++) {
		assert_int_equal(rule_parse(line, &r, &err), 0);
		r->number = 5;
		assert_int_equal(rules_add(&s, r, &err), 0);
	}
	assert_int_equal(rules_compile(&s, &c), -E2BIG);
	assert_null(c.insn);
	assert_int_equal(c.entries, 0);
	rules_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
