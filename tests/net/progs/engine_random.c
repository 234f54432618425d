/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random rule sets against random packets, judged by the kernel half: engine_random [PAIRS [SEED]].
 * It uses the engine that is loaded and hooked in this namespace. ipfw(8) sets the rules and shows
 * the counters; judge.h says how packets are judged.
 */
#include <sys/wait.h>

#include "judge.h"

#define PACKETS 250 /* for each rule set */
#define PAIRS	60000

/* ---- a difference ---- */

/* The rules that met packets according to the kernel half, and how often. */
static void show_met(void)
{
	FILE *f = popen("ipfw -S show", "r");
	unsigned long long packets;
	char line[RULES_TEXT_MAX + 64];
	unsigned int i, counter;

	printf("kernel:");
	for (i = 0; f && i <= set.n && fgets(line, sizeof(line), f); i++) {
		counter = i < set.n ? set.rule[i]->counter : 0;
		if (sscanf(line + strcspn(line, "0123456789"), "%*u %llu", &packets) == 1 &&
		    packets != expected[counter].packets)
			printf(" counter %u: %llu", counter, packets - expected[counter].packets);
	}
	putchar('\n');
	if (f)
		pclose(f);
}

static void show_again(void)
{
	printf("RANDOM_SEED=%llu RANDOM_PAIRS=%d: ", (unsigned long long)set_seed, PACKETS);
}

/* ---- rules, by ipfw ---- */

static FILE *ipfw(const char *words, const char *mode)
{
	FILE *f;

	fflush(stdout);
	f = popen(words, mode);
	must(f != NULL, words);
	return f;
}

static void done(FILE *f, const char *what)
{
	int status = pclose(f);

	if (status)
		differs(NULL, "ipfw: %s: status %d", what, status);
}

static void make_tables(void)
{
	FILE *f = ipfw("ipfw -q -", "w");
	unsigned int i;

	fputs("table ta create type addr\ntable tn create type number\ntable ti create type "
	      "iface\ntable tf create type " RANDOM_FLOW "\n",
	      f);
	for (i = 0; i < RANDOM_ENTRIES; i++)
		fprintf(f, "table %s add %s %u\n", random_entry[i].table, random_entry[i].key,
			random_entry[i].value);
	done(f, "tables");
}

static void set_rules(void)
{
	FILE *f = ipfw("ipfw -q -", "w");
	unsigned int i;

	fputs("flush\nzero\n", f);
	for (i = 0; i < 3; i++)
		fprintf(f, "set %s %u\n", set.disabled & 1u << i ? "disable" : "enable", i);
	for (i = 0; i < set.n; i++)
		fprintf(f, "add %u set %u %s\n", set.rule[i]->number, set.rule[i]->set,
			set.rule[i]->text);
	done(f, "the rules");
}

/* One line of ipfw -S show. */
static void check_line(const char *line, const struct rule *r)
{
	const struct divert_rule_counter *want = &expected[r ? r->counter : 0];
	unsigned long long packets, bytes;
	char *listed = r ? rule_print(r, RULE_PRINT_LIST) : NULL, text[RULES_TEXT_MAX + 16];
	unsigned int number;
	int at = 0;

	if (!strncmp(line, "# DISABLED ", 11))
		line += 11;
	snprintf(text, sizeof(text), "set %u %s\n", r ? r->set : RULES_SET_RESERVED,
		 listed ? listed : RULES_DEFAULT_TEXT);
	free(listed);
	if (sscanf(line, "%u %llu %llu %n", &number, &packets, &bytes, &at) != 3 ||
	    number != (r ? r->number : RULES_DEFAULT) || strcmp(line + at, text))
		differs(NULL, "expected rule %s is: %s", text, line);
	if (packets != want->packets || bytes != want->bytes)
		differs(NULL, "counters, expected %llu %llu: %s", want->packets, want->bytes, line);
}

static void check_counters(void)
{
	FILE *f = ipfw("ipfw -S show", "r");
	char line[RULES_TEXT_MAX + 64];
	unsigned int i;

	for (i = 0; i <= set.n; i++) {
		if (!fgets(line, sizeof(line), f))
			differs(NULL, "%u rules instead of %u", i, set.n + 1);
		check_line(line, i < set.n ? set.rule[i] : NULL);
	}
	if (fgets(line, sizeof(line), f))
		differs(NULL, "a rule too many: %s", line);
	done(f, "show");
}

int main(int argc, char **argv)
{
	uint64_t pairs = argc > 1 ? strtoull(argv[1], NULL, 10) : PAIRS, n = 0;
	unsigned int verdicts[PLAIN_VERDICTS] = {0}, i;
	static struct plain_fragments known;
	static struct packet p;
	int often = 1;

	random_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	open_sockets();
	must(!engine_open(&engine, 0), engine_error());
	make_tables();
	while (n < pairs) {
		set_seed = random_seed;
		must(!random_rules(&set, RANDOM_STATES | RANDOM_FIRST), "a rule set");
		set_rules();
		forget_fragments();
		known.n = 0;
		begin_states();
		memset(expected, 0, sizeof(expected));
		for (p.number = 0; p.number < PACKETS; p.number++) {
			if (!random_chance(8))
				pass_time();
			next_packet(&p, &known);
			verdicts[p.met.verdict]++;
			if (p.met.verdict == PLAIN_ENDLESS)
				continue;
			judge(&p);
			count(&p);
			n++;
		}
		check_counters();
		rules_free(&set);
	}
	for (i = 0; i < PLAIN_ENDLESS; i++)
		often &= verdicts[i] > pairs / 1000 || pairs < PAIRS;
	engine_close(&engine);
	check(often, "%llu pairs: %u allowed, %u denied, %u answered, %u diverted, %u dropped",
	      (unsigned long long)n, verdicts[PLAIN_ALLOWED], verdicts[PLAIN_DENIED],
	      verdicts[PLAIN_ANSWERED], verdicts[PLAIN_DIVERTED], verdicts[PLAIN_DROPPED]);
	return check_failed;
}
