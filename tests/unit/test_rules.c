// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw's grammar by its corpus; the rule set, and the form in which it is stored. */
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

/* ---- the corpus: lines that are understood, and lines that are refused ---- */

/*
 * tests/unit/rules.corpus has a rule, and then, behind a tab, one of two things. "=" is followed by
 * what is printed (nothing: the same). "!" is followed by the exit status and the reason why it is
 * refused ("..." at its end: and so on). Other lines that begin with # are comments.
 */
static void check_printed(const char *line, const char *text)
{
	struct rule *r = must_parse(line), *again;

	if (strcmp(r->text, *text ? text : line))
		fail_msg("%s: printed as '%s', not '%s'", line, r->text, *text ? text : line);
	again = must_parse(r->text);
	assert_string_equal(again->text, r->text);
	rule_free(again);
	rule_free(r);
}

static bool is_reason(const char *text, const char *why)
{
	size_t len = strlen(why);

	if (len < 3 || strcmp(why + len - 3, "..."))
		return !strcmp(text, why);
	return !strncmp(text, why, len - 3);
}

static void check_refused(const char *line, const char *why)
{
	struct rule *const untouched = (struct rule *)&check_refused, *r = untouched;
	struct rules_error err;
	char *text;
	long status = strtol(why, &text, 10);

	if (!rule_parse(line, &r, &err))
		fail_msg("%s: not refused", line);
	if (!is_reason(err.text, text + 1) || err.status != status)
		fail_msg("%s: refused with %d '%s', not %ld '%s'", line, err.status, err.text,
			 status, text + 1);
	assert_ptr_equal(r, untouched);
	assert_int_equal(rule_parse(line, &r, NULL), -1);
}

static void test_corpus(void **state)
{
	FILE *f = fopen("tests/unit/rules.corpus", "re");
	char *line = NULL, *what = NULL;
	size_t room = 0, what_room = 0;
	unsigned int n = 0;

	assert_non_null(f);
	while (getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (!*line || *line == '#')
			continue;
		assert_true(getline(&what, &what_room, f) > 2);
		what[strcspn(what, "\n")] = 0;
		assert_int_equal(what[0], '\t');
		if (what[1] == '=')
			check_printed(line, what + 2 + (what[2] == ' '));
		else
			check_refused(line, what + 3);
		n++;
	}
	assert_true(n >= 400);
	free(line);
	free(what);
	fclose(f);
}

/*
 * How FreeBSD's ipfw lists rules, by kind: what is entered, and what is listed; NULL: the same.
 * FreeBSD lists users and protocols by name; here they are stored as numbers.
 */
static const struct {
	const char *entered, *listed;
} freebsd[] = {
	/* a source's ports stand bare behind the address, those of options behind their word */
	{"allow udp from any to any 53", "allow udp from any to any dst-port 53"},
	{"allow udp from any to any dst-port 53", NULL},
	{"allow udp from any 53 to any", NULL},
	{"allow udp from 0.0.0.0 68 to 255.255.255.255 67 out",
	 "allow udp from 0.0.0.0 68 to 255.255.255.255 dst-port 67 out"},
	{"allow udp from any to any src-port 53", NULL},
	{"allow udp from any to any src-port 53 dst-port 1024-65535", NULL},
	{"allow tcp from any to me not 22,80", "allow tcp from any to me not dst-port 22,80"},
	/* things that were given as options */
	{"allow ip from any to any proto udp", NULL},
	{"allow ip from any to any in proto tcp src-ip 10.0.0.1 dst-ip 10.0.0.0/8", NULL},
	{"allow ip from any to any src-ip 2001:db8::1 dst-ip6 me6",
	 "allow ip from any to any src-ip6 2001:db8::1 dst-ip6 me6"},
	{"allow ip from any to any ip4", "allow ip from any to any proto ip4"},
	{"allow ip from any to any ipversion 6", "allow ip from any to any ipver 6"},
	{"allow proto udp dst-port 53", NULL},
	/* flags */
	{"allow tcp from any to any tcpflags syn,!ack", "allow tcp from any to any setup"},
	{"allow tcp from any to any tcpflags !ack,syn", "allow tcp from any to any setup"},
	{"allow tcp from any to any not tcpflags syn,!ack", "allow tcp from any to any not setup"},
	{"allow tcp from any to any tcpflags syn", NULL},
	{"deny tcp from any to any tcpflags urg,rst,psh,!ack,fin,!syn",
	 "deny tcp from any to any tcpflags !syn,fin,!ack,psh,rst,urg"},
	{"deny tcp from any to any tcpoptions cc,!timestamp,sack,window,maxseg",
	 "deny tcp from any to any tcpoptions mss,window,sack,!ts,cc"},
	{"deny ip from any to any ipoptions ts,rr,lsrr,!ssrr",
	 "deny ip from any to any ipoptions !ssrr,lsrr,rr,ts"},
	{"deny ip from any to any iptos mincost,reliability,!throughput,lowdelay",
	 "deny ip from any to any iptos lowdelay,!throughput,reliability,mincost"},
	{"count ip from any to any iptos ecntransport", "count ip from any to any iptos mincost"},
	{"count ip from any to any iptos congestion",
	 "count ip from any to any iptos mincost,congestion"},
	{"deny ip from any to any frag mf,df,!rf", "deny ip from any to any frag !rf,df,mf"},
	/* lists and sets */
	{"allow icmp from any to any icmptypes 11,3,0,8",
	 "allow icmp from any to any icmptypes 0,3,8,11"},
	{"allow ip from any to any dscp ef,af11,0", "allow ip from any to any dscp be,af11,ef"},
	{"allow ip from 10.0.0.0/24{1,2,5,6,7} to any",
	 "allow ip from 10.0.0.0/24{1,2,5-7} to any"},
	/* names */
	{"allow ip from any to any uid root", NULL},
	{"allow ip from any to any uid 0 gid 0", "allow ip from any to any uid root gid root"},
	{"allow 112 from any to any", "allow vrrp from any to any"},
	{"allow 240 from any to any proto 108", "allow pfsync from any to any proto ipcomp"},
	{"allow log all from any to any", "allow log ip from any to any"},
	{"allow ip from any to any not in via lo0", "allow ip from any to any out via lo0"},
	{"unreach host log logamount 5 { tcp or udp } from { me or 10.0.0.1 } to any",
	 "reject log logamount 5 { tcp or udp } from { me or 10.0.0.1 } to any"},
};

static void test_as_freebsd(void **state)
{
	const char *listed;
	unsigned int i;
	char *text;

	for (i = 0; i < sizeof(freebsd) / sizeof(*freebsd); i++) {
		struct rule *r = must_parse(freebsd[i].entered), *again;

		listed = freebsd[i].listed ? freebsd[i].listed : freebsd[i].entered;
		text = rule_print(r, RULE_PRINT_LIST);
		assert_non_null(text);
		assert_string_equal(text, listed);
		again = must_parse(text);
		assert_string_equal(again->text, r->text);
		rule_free(again);
		rule_free(r);
		free(text);
	}
}

/* Rules that no packet can match are accepted, with the reason. */
static void test_never(void **state)
{
	static const struct {
		const char *line, *why;
	} lines[] = {
		{"allow ip6 from any to any ipttl 64",
		 "64 and ip6: no packet is of IPv4 and of IPv6 at once"},
		{"fwd 192.0.2.1 ip6 from any to any",
		 "192.0.2.1 and ip6: no packet is of IPv4 and of IPv6 at once"},
		{"allow ip from any to any in out", "in and out: no packet is both"},
		{"allow ip from any to any in xmit a",
		 "in and xmit: a packet on its way in has no sending interface"},
		{"allow icmp from any to any 80", "ports: icmp has none"},
		{"allow 99 from any to any 80", "ports: protocol 99 has none"},
		{"allow tcp from any to any 9-5", "dst-port: 9-5: a range that runs backwards"},
		{"allow tcp from any to any tcpflags fin,!fin",
		 "tcpflags: a flag is to be set and not to be"},
		{"allow ip from any to any ipver 5", "ipver 5: not a version of IP"},
		{"allow ip from any to any sockarg",
		 "sockarg: a socket of Linux has no such cookie"},
		{"allow tcp from any to any defer-action",
		 "defer-action: the rule makes no state that its action could wait for"},
		/* these can match */
		{"allow tcp from any to any record-state defer-action", NULL},
		{"allow ip from any to any not sockarg", NULL},
		{"allow ip from any to any not ipver 5", NULL},
		{"allow tcp from any to any 9-5,80", NULL},
		{"allow icmp from any to any not 80", NULL},
		{"allow ip from any to any { sockarg or in }", NULL},
		{"allow ip from any to any not tcpflags fin,!fin", NULL},
	};
	unsigned int i;

	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct rule *r = must_parse(lines[i].line);

		if (!lines[i].why)
			assert_null(r->never);
		else if (!r->never)
			fail_msg("%s: no reason", lines[i].line);
		else
			assert_string_equal(r->never, lines[i].why);
		rule_free(r);
	}
}

/* Characters that a corpus of lines cannot have. */
static void test_characters(void **state)
{
	struct rules_error err;
	struct rule *r;

	check_printed("  allow\tip  from any to any\n", "allow ip from any to any");
	assert_int_equal(rule_parse("", &r, &err), -1);
	assert_string_equal(err.text, "missing action");
	assert_int_equal(rule_parse("allow ip from any to any \033[2J", &r, &err), -1);
	assert_string_equal(err.text, "control character 0x1b in a rule");
}

static void test_long(void **state)
{
	char line[3 * RULES_TEXT_MAX], *at = line;
	struct rules_error err;
	struct rule *r;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	assert_int_equal(rule_parse(line, &r, &err), -1);
	at += sprintf(at, "allow tcp from any to any dst-port 1");
	while (at < line + RULES_TEXT_MAX - 2)
		at += sprintf(at, ",2");
	r = must_parse(line);
	assert_int_equal(strlen(r->text), strlen(line));
	rule_free(r);
	/* short when entered, long when printed */
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

	/* ipfw(8): if a step leads too far, the same number again */
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
		       "100:2 tee 5 tcp from 10.0.0.0/8 to ::1,10.0.0.1 dst-port 80\n");
	assert_int_equal(rules_save(&t, &twin, &twin_len), 0);
	assert_int_equal(len, twin_len);
	assert_memory_equal(blob, twin, len);
	free(twin);

	/*
	 * counters of rules that were there when it was loaded may still be counting: others are
	 * used first
	 */
	rules_flush(&t);
	add(&t, "5 allow in");
	expect_set(&t, "5:4 allow in\n");
	free(blob);
	rules_free(&s);
	rules_free(&t);
}

/* Sets, tables and settings are stored, too. What the version before stored can be read. */
static void test_store_all(void **state)
{
	struct rules_error err;
	struct rules s, t;
	uint32_t len, version = 1, i;
	char *blob;

	rules_init(&s);
	rules_init(&t);
	assert_true(rules_empty(&s));
	add(&s,
	    "5 set 3 prob 0.5 skipto tablearg log ip from table(b,7) to not table(a) via table(i)");
	add(&s, "6 check-state :x");
	add(&s, "7 allow keep-state :x");
	add(&s, "8 allow set-limit src-addr 2 defer-action");
	assert_int_equal(s.rule[1]->state_id, 0);
	assert_int_not_equal(s.rule[2]->state_id, s.rule[3]->state_id);
	assert_non_null(rules_table_add(&s, "n", RULES_TABLE_NUMBER, &err));
	s.disabled = 1 << 3;
	s.off = true;
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	assert_int_equal(rules_load(&t, blob, len, &err), 0);
	assert_int_equal(t.disabled, 1 << 3);
	assert_true(t.off);
	assert_int_equal(t.rule[0]->set, 3);
	assert_string_equal(t.rule[0]->text, s.rule[0]->text);
	assert_int_equal(t.n, 4);
	for (i = 1; i < 4; i++) {
		assert_string_equal(t.rule[i]->text, s.rule[i]->text);
		assert_int_equal(t.rule[i]->state_id, s.rule[i]->state_id);
	}
	assert_int_equal(t.last_state, s.last_state);
	assert_int_equal(rules_table_find(&t, "b")->id, rules_table_find(&s, "b")->id);
	assert_int_equal(rules_table_find(&t, "i")->type, RULES_TABLE_IFACE);
	assert_int_equal(rules_table_find(&t, "n")->type, RULES_TABLE_NUMBER);
	assert_int_equal(t.last_table, 4);
	assert_int_equal(rules_table_delete(&t, "a", &err), -1);
	assert_string_equal(err.text, "table a: rule 5 has it");
	assert_int_equal(rules_table_delete(&t, "n", &err), 0);
	rules_free(&t);
	rules_free(&s);
	free(blob);

	add(&s, "9 deny in");
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	/* its head ended after four numbers, and its rules had no state_id */
	memmove(blob + 16, blob + 36, 12);
	memmove(blob + 16 + 12, blob + 36 + 16, len - 36 - 16);
	memcpy(blob + 4, &version, sizeof(version));
	assert_int_equal(rules_load(&t, blob, len - 20 - 4, &err), 0);
	expect_set(&t, "9:1 deny in\n");
	rules_free(&t);
	rules_free(&s);
	free(blob);
}

/* A rule keeps its id, by which states name it; no later rule gets it, also after a flush. */
static void test_store_states(void **state)
{
	const uint32_t none = 0;
	struct rules_error err;
	struct rules s, t;
	uint32_t len, id;
	char *blob;

	rules_init(&s);
	rules_init(&t);
	add(&s, "5 allow tcp from any to any setup keep-state");
	add(&s, "6 deny in");
	id = s.rule[0]->state_id;
	assert_int_not_equal(id, 0);
	assert_int_equal(s.rule[1]->state_id, 0);
	assert_int_equal(rules_save(&s, &blob, &len), 0);
	assert_int_equal(rules_load(&t, blob, len, &err), 0);
	assert_int_equal(t.rule[0]->state_id, id);
	rules_flush(&t);
	add(&t, "5 allow tcp from any to any setup keep-state");
	assert_int_equal(t.rule[0]->state_id, id + 1);
	rules_free(&t);
	/* a rule that makes states has an id */
	memcpy(blob + 36 + 12, &none, sizeof(none));
	assert_int_equal(rules_load(&t, blob, len, &err), -1);
	free(blob);
	rules_free(&s);
}

static void test_damage(void **state)
{
	struct rules_error err;
	struct rules s, t;
	char *blob, *copy;
	uint32_t len, i;

	rules_init(&s);
	add(&s, "divert 8668 ip from any to any via eth0 bypass // natd");
	add(&s, "tee 5 tcp from 10.0.0.0/8 to any 80 keep-state :web");
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
		cmocka_unit_test(test_corpus),	     cmocka_unit_test(test_characters),
		cmocka_unit_test(test_long),	     cmocka_unit_test(test_set),
		cmocka_unit_test(test_full),	     cmocka_unit_test(test_store),
		cmocka_unit_test(test_store_states), cmocka_unit_test(test_store_all),
		cmocka_unit_test(test_damage),	     cmocka_unit_test(test_as_freebsd),
		cmocka_unit_test(test_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
