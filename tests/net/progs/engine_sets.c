/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many random rule sets, each against a few random packets, judged by the kernel half (judge.h):
 * engine_sets SECONDS RATE SEED [SETS]
 *
 * RATE is the least number of rule sets a minute. A set is compiled, indexed and laid out as usual,
 * but in the map of the one before. The kernel replaces a map only when no packet can still use the
 * old one, which takes longer than all the rest.
 */
#include "engine/flows.h"
#include "judge.h"

#define PACKETS 16	  /* for each rule set */
#define PAGES	(1 << 14) /* of the largest rule set */

static struct divert_rule_counter before[RANDOM_RULES_MAX + 1];

/* ---- rules, in the place of others ---- */

static int rules_map = -1;

/* The same map each time, instead of a new one. */
static int make_pages(uint32_t pages)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);

	must(pages <= PAGES, "a rule set of so many pages");
	if (rules_map < 0)
		rules_map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rule_pages", sizeof(uint32_t),
					   sizeof(union divert_page), PAGES, &opts);
	return rules_map < 0 ? -1 : dup(rules_map);
}

/* The map is put in place only once. */
static int update(int map, const void *key, const void *value, uint64_t flags)
{
	static bool in_place;

	if (map == engine.map[ENGINE_RULES] && in_place)
		return 0;
	in_place |= map == engine.map[ENGINE_RULES];
	return bpf_map_update_elem(map, key, value, flags);
}

/* The same map of states, too, empty for each rule set. */
static int begin_flows(const struct engine *e, enum flows_kind k)
{
	static bool in_place;
	int rc = in_place ? 0 : flows_begin(e, k);

	in_place = true;
	return rc;
}

#define flows_begin		 begin_flows
#define flows_end(e, k)		 ((void)(e))
#define flows_sweep(e, rules, n) ((void)(e), 0)
#define bpf_map_create(type, name, key_size, value_size, pages, opts)                              \
	((void)(opts), make_pages(pages))
#define bpf_map_update_elem update
#include "engine/ruleset.c"
#undef flows_begin
#undef flows_end
#undef flows_sweep
#undef bpf_map_create
#undef bpf_map_update_elem

static void forget_flows(void)
{
	static int map = -1;
	struct divert_flow_key key;
	__u32 zero = 0, id;

	if (map < 0 && bpf_map_lookup_elem(engine.map[ENGINE_FLOWS], &zero, &id))
		return; /* no rules have made states yet */
	if (map < 0)
		map = bpf_map_get_fd_by_id(id);
	must(map >= 0, "the map of states");
	while (!bpf_map_get_next_key(map, NULL, &key))
		must(!bpf_map_delete_elem(map, &key), "a state");
}

static void set_rules(void)
{
	struct engine_rules r = {.source = (char *)"-", .source_len = 1};
	struct rules_compiled c;

	must(!rules_compile(&set, &c), "compiling");
	r.insn = c.insn;
	r.insns = c.insns;
	r.entry = c.entry;
	r.entries = c.entries;
	must(!engine_rules_set(&engine, &r), engine_error());
	rules_compiled_free(&c);
}

static enum engine_map map_of(const char *table)
{
	if (!strcmp(table, "ta"))
		return ENGINE_TABLE_ADDRS;
	return strcmp(table, "tf") ? ENGINE_TABLE_KEYS : ENGINE_TABLE_FLOWS;
}

/* The tables of all rule sets, which have the same numbers. */
static void make_tables(void)
{
	struct rules_entry parsed;
	struct engine_entry entry;
	struct rules_error err;
	unsigned int i;

	must(!random_rules(&set, RANDOM_STATES | RANDOM_FIRST), "a rule set");
	for (i = 0; i < RANDOM_ENTRIES; i++) {
		const struct rules_table *t = rules_table_find(&set, random_entry[i].table);

		must(t && !rules_entry_parse(t, random_entry[i].key, &err, &parsed), "an entry");
		memcpy(&entry.addr, &parsed.addr, sizeof(parsed) - sizeof(parsed.value));
		entry.value = random_entry[i].value;
		must(!engine_table_put(&engine, map_of(random_entry[i].table), &entry), "an entry");
	}
	rules_free(&set);
}

/* ---- counters ---- */

static void read_counter(uint32_t counter, struct divert_rule_counter *sum)
{
	must(!engine_counter_get(&engine, counter, sum), engine_error());
}

static void show_met(void)
{
	struct divert_rule_counter now;
	unsigned int i;

	printf("kernel:");
	for (i = 0; i <= set.n; i++) {
		read_counter(i, &now);
		now.packets -= before[i].packets + expected[i].packets;
		if (now.packets)
			printf(" counter %u: %llu", i, (unsigned long long)now.packets);
	}
	putchar('\n');
}

static void show_again(void)
{
	printf("RANDOM_SEED=%llu RANDOM_SETS=1: ", (unsigned long long)set_seed);
}

static void check_counters(void)
{
	struct divert_rule_counter now;
	unsigned int i;

	for (i = 0; i <= set.n; i++) {
		read_counter(i, &now);
		if (now.packets - before[i].packets != expected[i].packets ||
		    now.bytes - before[i].bytes != expected[i].bytes)
			differs(NULL, "counter %u: %llu, expected %llu", i,
				(unsigned long long)(now.packets - before[i].packets),
				(unsigned long long)expected[i].packets);
		before[i] = now;
	}
}

/* ---- */

static void try_set(unsigned int verdicts[PLAIN_VERDICTS])
{
	static struct plain_fragments known;
	static struct packet p;

	set_seed = random_seed;
	must(!random_rules(&set, RANDOM_STATES | RANDOM_FIRST), "a rule set");
	set_rules();
	forget_fragments();
	forget_flows();
	begin_states();
	known.n = 0;
	memset(expected, 0, sizeof(expected));
	for (p.number = 0; p.number < PACKETS; p.number++) {
		if (!random_chance(4))
			pass_time();
		next_packet(&p, &known);
		verdicts[p.met.verdict]++;
		if (p.met.verdict == PLAIN_ENDLESS)
			continue;
		judge(&p);
		count(&p);
	}
	check_counters();
	rules_free(&set);
}

int main(int argc, char **argv)
{
	unsigned int verdicts[PLAIN_VERDICTS] = {0}, i, sets = 0;
	const unsigned int most = argc > 4 ? (unsigned int)atoi(argv[4]) : ~0u;
	long since, took = 0, ms, rate;
	int often = 1;

	if (argc < 4)
		return 2;
	ms = atoi(argv[1]) * 1000L;

	open_sockets();
	must(!engine_open(&engine, 0), engine_error());
	make_tables();
	for (i = 0; i <= RANDOM_RULES_MAX; i++)
		read_counter(i, &before[i]);
	random_seed = strtoull(argv[3], NULL, 10);
	printf("# RANDOM_SEED=%llu\n", (unsigned long long)random_seed);
	for (since = now_ms(); took < ms && sets < most; took = now_ms() - since, sets++)
		try_set(verdicts);
	engine_close(&engine);
	for (i = 0; i < PLAIN_ENDLESS; i++)
		often &= verdicts[i] > sets / 100;
	check(often || sets == most,
	      "%u rule sets: %u packets allowed, %u denied, %u answered, %u diverted, %u dropped",
	      sets, verdicts[PLAIN_ALLOWED], verdicts[PLAIN_DENIED], verdicts[PLAIN_ANSWERED],
	      verdicts[PLAIN_DIVERTED], verdicts[PLAIN_DROPPED]);
	rate = sets * 60000L / (took ? took : 1);
	check(rate >= atoi(argv[2]) || sets == most, "%ld rule sets a minute", rate);
	return check_failed;
}
