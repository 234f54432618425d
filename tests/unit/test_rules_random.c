// sources: rules/*.c tests/random/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random rule sets against random packets. The compiled form runs on a packet's bytes. A plain
 * evaluator walks the rule model and looks at what the packet was made of. Both must agree.
 * RANDOM_PAIRS and RANDOM_SEED in the environment ask for other numbers than usual.
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
#include "tests/random/plain.h"
#include "tests/random/ruleset.h"

#define PACKETS 250 /* for each rule set */
#define PAIRS	1000000

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

/* ---- the tables, as the kernel has them ---- */

static struct rules_entry kernel[RANDOM_ENTRIES];

static void set_entries(const struct rules *s)
{
	struct rules_error err;
	unsigned int i;

	for (i = 0; i < RANDOM_ENTRIES; i++) {
		const struct rules_table *t = rules_table_find(s, random_entry[i].table);

		assert_non_null(t);
		assert_int_equal(rules_entry_parse(t, random_entry[i].key, &err, &kernel[i]), 0);
		kernel[i].value = random_entry[i].value;
	}
}

/* The key of an LPM trie: the number of bits, and then the bits. */
static bool has_prefix(const struct divert_table_addr *key, const struct divert_table_addr *prefix)
{
	const unsigned char *x = (const void *)&key->table, *y = (const void *)&prefix->table;
	unsigned int i;

	for (i = 0; i < prefix->bits; i++)
		if ((x[i / 8] ^ y[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return prefix->bits <= key->bits;
}

static bool is_addr_entry(unsigned int i)
{
	return !strcmp(random_entry[i].table, "ta");
}

static const uint32_t *kernel_addr(const struct divert_table_addr *key)
{
	const struct rules_entry *best = NULL;
	unsigned int i;

	for (i = 0; i < RANDOM_ENTRIES; i++)
		if (is_addr_entry(i) && has_prefix(key, &kernel[i].addr) &&
		    (!best || kernel[i].addr.bits > best->addr.bits))
			best = &kernel[i];
	return best ? &best->value : NULL;
}

static const uint32_t *kernel_key(const struct divert_table_key *key)
{
	unsigned int i;

	for (i = 0; i < RANDOM_ENTRIES; i++)
		if (!is_addr_entry(i) && !memcmp(key, &kernel[i].key, sizeof(*key)))
			return &kernel[i].value;
	return NULL;
}

static const uint32_t *kernel_flow(const struct divert_table_flow *flow)
{
	unsigned int i;

	for (i = 0; i < RANDOM_ENTRIES; i++)
		if (!memcmp(flow, &kernel[i].flow, sizeof(*flow)))
			return &kernel[i].value;
	return NULL;
}

static void wide_bytes(const __u64 *wide, void *to)
{
	unsigned char *byte = to;
	unsigned int i;

	for (i = 0; i < 16; i++)
		byte[i] = wide[i / 8] >> (56 - i % 8 * 8);
}

/* ---- the compiled form, as the kernel half runs it ---- */

static bool graph_lookup(const struct divert_insn *in, struct divert_packet *p)
{
	bool six = p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6, src = in->lookup.key == DIVERT_KEY_SRC;
	struct divert_table_addr addr = {.bits = six ? 160 : 64};
	struct divert_table_key key = {.table = in->lookup.table};
	struct divert_table_flow flow = {.table = in->lookup.table};
	const uint32_t *value;

	if (in->lookup.key <= DIVERT_KEY_DST) {
		addr.table = htonl(in->lookup.table << 1 | six);
		if (six)
			wide_bytes(p->wide[src ? DIVERT_W_SRC6 : DIVERT_W_DST6], addr.addr);
		else
			addr.addr[0] = p->field[src ? DIVERT_F_SRC4 : DIVERT_F_DST4];
		value = kernel_addr(&addr);
	} else if (in->lookup.key == DIVERT_KEY_FLOW) {
		assert_int_equal(in->lookup.flow,
				 DIVERT_FLOW_SRC | DIVERT_FLOW_PROTO | DIVERT_FLOW_DPORT);
		if (six)
			wide_bytes(p->wide[DIVERT_W_SRC6], flow.src);
		else
			flow.src[0] = p->field[DIVERT_F_SRC4];
		flow.six = six;
		flow.proto = p->field[DIVERT_F_PROTO];
		flow.dport = p->field[DIVERT_F_DPORT];
		value = p->field[DIVERT_F_DPORT] == DIVERT_ABSENT ? NULL : kernel_flow(&flow);
	} else {
		if (in->lookup.key == DIVERT_KEY_NAME)
			wide_bytes(p->wide[in->field], key.name);
		else
			key.number = p->field[in->field];
		value = kernel_key(&key);
	}
	if (!value || (in->lookup.check && *value != in->lookup.value))
		return false;
	p->field[DIVERT_F_TABLEARG] = *value;
	return true;
}

static bool graph_own(const struct divert_insn *in, const struct divert_packet *p)
{
	bool src = in->field == DIVERT_W_SRC6;
	struct in6_addr a, mine;

	if (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		wide_bytes(p->wide[in->field], &a);
		inet_pton(AF_INET6, random_own[1], &mine);
		return !memcmp(&a, &mine, 16);
	}
	inet_pton(AF_INET, random_own[0], &mine);
	return !memcmp(&p->field[src ? DIVERT_F_SRC4 : DIVERT_F_DST4], &mine, 4);
}

static bool graph_iface(const struct divert_insn *in, const struct random_sample *s)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t word[4];
	int i;

	for (i = 0; i < 4; i++)
		word[i] = htonl(in->prefix.word[i]);
	inet_ntop(in->prefix.bits > 32 ? AF_INET6 : AF_INET, word, text, sizeof(text));
	return random_iface_has(in->field == DIVERT_W_RECV ? s->recv : s->xmit, text);
}

static bool graph_load(const struct divert_insn *in, struct random_bytes *b,
		       const struct random_sample *s, struct divert_packet *p)
{
	int64_t id = in->field == DIVERT_LOAD_UID ? s->uid : s->gid;

	switch (in->field) {
	case DIVERT_LOAD_UID:
	case DIVERT_LOAD_GID:
		p->field[DIVERT_F_LOADED] = id;
		return id >= 0;
	case DIVERT_LOAD_RANDOM:
		p->field[DIVERT_F_LOADED] = s->random;
		return true;
	}
	return packet_slow_match(b, in, p);
}

static bool graph_match(const struct divert_insn *in, struct random_bytes *b,
			const struct random_sample *s, struct divert_packet *p)
{
	switch (in->op) {
	case DIVERT_OP_LOAD:
		return graph_load(in, b, s, p);
	case DIVERT_OP_LOOKUP:
		return graph_lookup(in, p);
	case DIVERT_OP_LOCAL:
		return graph_own(in, p);
	case DIVERT_OP_IFADDR:
		return graph_iface(in, s);
	case DIVERT_OP_RPF:
		return s->path >> in->field & 1;
	case DIVERT_OP_FRAGMENT: /* nothing is known of other fragments */
		return true;
	default:
		return match_insn(in, p);
	}
}

static uint32_t entry_above(const struct rules_compiled *c, uint32_t tag)
{
	uint32_t i;

	for (i = 0; i < c->entries && c->entry[i].rule <= tag; i++)
		;
	return i < c->entries ? c->entry[i].insn : c->insns - 1;
}

static uint32_t graph_aim(const struct rules_compiled *c, const struct divert_insn *in, uint32_t pc,
			  const struct divert_packet *p)
{
	uint32_t to = p->field[DIVERT_F_TABLEARG];

	if (in->op != DIVERT_OP_CALL && to <= in->rule)
		to = in->rule + 1;
	to = to && to <= 65535 ? entry_above(c, to - 1) : c->insns - 1;
	return to > pc + 1 || in->op == DIVERT_OP_CALL ? to : pc + 1;
}

static void set_name(__u64 *wide, const char *name)
{
	char bytes[16] = "";
	int i;

	if (name)
		strcpy(bytes, name);
	for (i = 0; i < 16; i++)
		wide[i / 8] = wide[i / 8] << 8 | (unsigned char)bytes[i];
}

static void run_graph(const struct rules_compiled *c, struct random_bytes *b,
		      const struct random_sample *s, struct plain_met *met)
{
	uint32_t back[DIVERT_CALLS_MAX], depth = 0, pc, next;
	struct packet_shape shape = {0};
	struct divert_packet p = {0};
	const struct divert_insn *in;
	struct plain_copy copy;
	bool arg, nobody;

	met->n = met->copies = met->port = 0;
	p.field[DIVERT_F_FLAGS] = (s->out ? DIVERT_IS_OUT : 0) | s->reinject |
				  (s->forwarded ? DIVERT_IS_FORWARDED : 0);
	p.field[DIVERT_F_MARK] = s->mark;
	set_name(p.wide[DIVERT_W_RECV], s->recv);
	set_name(p.wide[DIVERT_W_XMIT], s->xmit ? s->xmit : s->recv);
	assert_int_equal(packet_read(b, s->six ? 6 : 4, b->n, &p, &shape), 0);
	for (pc = entry_above(c, s->tag);; pc = next) {
		assert_true(pc < c->insns);
		in = &c->insn[pc];
		next = in->yes;
		if (in->op < DIVERT_OP_GO || in->op == DIVERT_OP_FRAGMENT) {
			if (!graph_match(in, b, s, &p))
				next = in->no;
			assert_true(next > pc);
			continue;
		}
		if (met->n == PLAIN_MET_MAX) {
			met->verdict = PLAIN_ENDLESS;
			return;
		}
		met->counter[met->n++] = in->action.counter;
		arg = in->action.flags & DIVERT_ACT_TABLEARG;
		met->rule = in->rule;
		switch (in->op) {
		case DIVERT_OP_ALLOW:
			met->verdict = PLAIN_ALLOWED;
			return;
		case DIVERT_OP_DENY:
			met->verdict = PLAIN_DENIED;
			return;
		case DIVERT_OP_REJECT:
			met->verdict = PLAIN_ANSWERED;
			met->port = in->action.port;
			return;
		case DIVERT_OP_GO:
			if (arg)
				next = graph_aim(c, in, pc, &p);
			break;
		case DIVERT_OP_DIVERT:
			met->port = arg ? (uint16_t)p.field[DIVERT_F_TABLEARG] : in->action.port;
			nobody = random_nobody(s, met->port);
			if (nobody && in->action.flags & DIVERT_ACT_BYPASS)
				break;
			met->verdict = nobody ? PLAIN_DROPPED : PLAIN_DIVERTED;
			return;
		case DIVERT_OP_TEE:
			copy.rule = in->rule;
			copy.port = arg ? (uint16_t)p.field[DIVERT_F_TABLEARG] : in->action.port;
			if (!random_nobody(s, copy.port))
				met->copy[met->copies++] = copy;
			break;
		case DIVERT_OP_CALL:
			if (depth == DIVERT_CALLS_MAX) {
				next = pc + 1;
				break;
			}
			back[depth++] = in->no;
			if (arg)
				next = graph_aim(c, in, pc, &p);
			break;
		case DIVERT_OP_RETURN:
			if (depth)
				next = back[--depth];
			break;
		}
	}
}

/* ---- both of them, and the difference ---- */

static bool is_same(const struct plain_met *a, const struct plain_met *b)
{
	return a->verdict == b->verdict && a->rule == b->rule && a->port == b->port &&
	       a->n == b->n && !memcmp(a->counter, b->counter, a->n * sizeof(*a->counter)) &&
	       a->copies == b->copies && !memcmp(a->copy, b->copy, a->copies * sizeof(*a->copy));
}

static void explain(const struct rules *s, const struct random_sample *p, const struct plain_met *a,
		    const struct plain_met *b, uint64_t from)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		print_message("%05u set %u %s\n", s->rule[i]->number, s->rule[i]->set,
			      s->rule[i]->text);
	print_message("graph: verdict %d rule %u port %u, %u met; plain: verdict %d rule %u port "
		      "%u, %u met; IPv%d proto %u tag %u offset %u\n",
		      a->verdict, a->rule, a->port, a->n, b->verdict, b->rule, b->port, b->n,
		      p->six ? 6 : 4, p->proto, p->tag, p->frag_offset);
	fail_msg("a difference; RANDOM_SEED=%llu", (unsigned long long)from);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 10) : otherwise;
}

static void see_types(const struct rules *s, bool seen[RULE_TYPES])
{
	const struct rule_match *m;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		for (m = s->rule[i]->match; m; m = m->next)
			seen[m->type] = true;
}

static void test_random(void **state)
{
	uint64_t pairs = setting("RANDOM_PAIRS", PAIRS), done = 0, from;
	unsigned int i, verdicts[PLAIN_ENDLESS + 1] = {0};
	bool seen[RULE_TYPES] = {0};
	static struct plain_met graph, plain;
	static struct plain_states none;
	struct rules_compiled c;
	struct random_sample p;
	struct random_bytes b;
	struct rules s;

	random_seed = setting("RANDOM_SEED", 1);
	while (done < pairs) {
		from = random_seed;
		assert_int_equal(random_rules(&s, RANDOM_PROB), 0);
		set_entries(&s);
		see_types(&s, seen);
		assert_int_equal(rules_compile(&s, &c), 0);
		for (i = 0; i < PACKETS; i++, done++) {
			random_sample(&p);
			random_packet(&b, &p);
			run_graph(&c, &b, &p, &graph);
			plain_run(&s, &p, &plain, NULL, &none);
			if (!is_same(&graph, &plain))
				explain(&s, &p, &graph, &plain, from);
			verdicts[graph.verdict]++;
		}
		rules_compiled_free(&c);
		rules_free(&s);
	}
	/* tests/net/random.sh has RULE_FIRST */
	for (i = 0; i < RULE_TYPES && pairs >= PAIRS; i++)
		if (!seen[i] && i != RULE_FIRST)
			fail_msg("no random rule has %s: tests/random/ruleset.c",
				 rule_kind[i].name);
	/* each way to end must have been seen often */
	for (i = 0; i < PLAIN_ENDLESS; i++)
		assert_true(verdicts[i] > pairs / 1000);
	print_message("%llu pairs: %u allowed, %u denied, %u answered, %u diverted, %u "
		      "dropped, %u endless\n",
		      (unsigned long long)done, verdicts[PLAIN_ALLOWED], verdicts[PLAIN_DENIED],
		      verdicts[PLAIN_ANSWERED], verdicts[PLAIN_DIVERTED], verdicts[PLAIN_DROPPED],
		      verdicts[PLAIN_ENDLESS]);
}

/* A rule as listed, and as stored, is read as the same rule, and prints the same again. */
static void check_again(const struct rule *r)
{
	char *list = rule_print(r, RULE_PRINT_LIST);
	const char *const form[] = {r->text, list};
	struct rules_error err;
	struct rule *again;
	unsigned int i;

	assert_non_null(list);
	for (i = 0; i < 2; i++) {
		if (rule_parse(form[i], &again, &err))
			fail_msg("%s: refused: %s", form[i], err.text);
		assert_string_equal(again->text, r->text);
		rule_free(again);
	}
	free(list);
}

/* A printed rule set that is read again compiles to the same instructions. */
static void test_printed(void **state)
{
	struct rules_compiled was, is;
	struct rules_error err;
	struct rules s, again;
	unsigned int i, k;
	uint32_t len;
	char *blob;

	random_seed = setting("RANDOM_SEED", 2);
	for (i = 0; i < 300; i++) {
		assert_int_equal(random_rules(&s, RANDOM_PROB), 0);
		for (k = 0; k < s.n; k++)
			check_again(s.rule[k]);
		assert_int_equal(rules_save(&s, &blob, &len), 0);
		rules_init(&again);
		assert_int_equal(rules_load(&again, blob, len, &err), 0);
		assert_int_equal(rules_compile(&s, &was), 0);
		assert_int_equal(rules_compile(&again, &is), 0);
		assert_int_equal(was.insns, is.insns);
		assert_memory_equal(was.insn, is.insn, was.insns * sizeof(*was.insn));
		assert_int_equal(was.entries, is.entries);
		assert_memory_equal(was.entry, is.entry, was.entries * sizeof(*was.entry));
		rules_compiled_free(&was);
		rules_compiled_free(&is);
		rules_free(&again);
		rules_free(&s);
		free(blob);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
					   cmocka_unit_test(test_printed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
