// SPDX-License-Identifier: BSD-2-Clause
/* divertctl top: what the counters gain, once a second. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "divertctl.h"

#define EACH_MAX 86400 /* seconds */

static volatile sig_atomic_t ended;

static void end(int sig)
{
	ended = 1;
}

/* Where lines go: to a terminal a screen at a time, or one after the other. */
static struct {
	bool terminal;
	int columns, rows, row; /* of a terminal */
	int more;		/* lines without a place on it */
	char clock[16];		/* in front of each line elsewhere */
	double seconds;		/* since the last time */
} out;

static void begin(double seconds)
{
	const time_t now = time(NULL);
	struct winsize size;
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(out.clock, sizeof(out.clock), "%T", &tm);
	out.seconds = seconds;
	out.row = out.more = 0;
	out.columns = 80;
	out.rows = 24;
	if (!out.terminal)
		return;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		out.columns = size.ws_col;
		out.rows = size.ws_row;
	}
	fputs("\033[H\033[2J", stdout);
}

static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void line(const char *format, ...)
{
	char text[RULES_TEXT_MAX + 128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!out.terminal)
		printf("%s %s\n", out.clock, text);
	else if (++out.row > out.rows - 2)
		out.more++;
	else
		printf("%.*s\n", out.columns - 1, text);
}

/* Counters begin anew with 0 when they are set to it, or the engine is another one. */
static uint64_t gained(uint64_t was, uint64_t is)
{
	return is < was ? is : is - was;
}

static void print_causes(const struct engine_port *port, const struct divert_port_stats *was,
			 const struct divert_port_stats *is)
{
	const char *kind = port && port->key & DIVERT_KEY_V6 ? "port6" : "port";
	char name[16] = "none";
	uint64_t n;
	int c;

	if (port)
		snprintf(name, sizeof(name), "%u", port->key & 0xffff);
	for (c = 0; c < DIVERT_N_CAUSES; c++) {
		/* a difference, which can go down */
		n = c == DIVERT_N_LOST && is->n[c] < was->n[c] ? 0 : gained(was->n[c], is->n[c]);
		if (n && out.terminal)
			line("  %-6s%-6s %12.1f/s  %-16s %s", kind, name, n / out.seconds,
			     engine_cause_name(c), engine_cause_text(c));
		else if (n)
			line("%s %s %s %llu %.1f/s", kind, name, engine_cause_name(c),
			     (unsigned long long)n, n / out.seconds);
	}
}

static void print_ports(const struct counters *was, const struct counters *is)
{
	static const struct divert_port_stats zero;
	int i, k;

	for (i = 0; i < is->ports; i++) {
		for (k = 0; k < was->ports && was->port[k].key != is->port[i].key; k++)
			;
		print_causes(&is->port[i], k < was->ports ? &was->port[k].stats : &zero,
			     &is->port[i].stats);
	}
	print_causes(NULL, &was->none, &is->none);
}

/* Rules are known by their counters, which begin with 0 when another rule gets them. */
static void print_rules(const struct counters *was, const struct counters *is)
{
	static struct divert_rule_counter before[DIVERT_RULES_MAX];
	uint64_t packets, bytes;
	uint32_t slot;
	unsigned int i;

	memset(before, 0, sizeof(before));
	for (i = 0; was->t && i <= was->t->rules.n; i++)
		before[i < was->t->rules.n ? was->t->rules.rule[i]->counter : 0] = was->rule[i];
	for (i = 0; i <= is->t->rules.n; i++) {
		slot = i < is->t->rules.n ? is->t->rules.rule[i]->counter : 0;
		packets = gained(before[slot].packets, is->rule[i].packets);
		bytes = gained(before[slot].bytes, is->rule[i].bytes);
		if (packets && out.terminal)
			line("  rule  %05u  %12.1f/s  %14.1f B/s  %s", counters_number(is, i),
			     packets / out.seconds, bytes / out.seconds, counters_text(is, i));
		else if (packets)
			line("rule %u %llu %.1f/s %.1fB/s %s", counters_number(is, i),
			     (unsigned long long)packets, packets / out.seconds,
			     bytes / out.seconds, counters_text(is, i));
	}
}

static void print(const struct counters *was, const struct counters *is, double seconds)
{
	begin(seconds);
	if (out.terminal)
		line("divertctl top  %s  packets a second, by port and by rule; Ctrl-C ends it",
		     out.clock);
	print_ports(was, is);
	print_rules(was, is);
	if (out.more)
		printf("  and %d more\n", out.more);
	fflush(stdout);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Sleep until then; a signal may end it. */
static void sleep_until(double then)
{
	const struct timespec t = {.tv_sec = then, .tv_nsec = (then - (time_t)then) * 1e9};

	while (!ended && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static bool is_same_engine(const struct counters *a, const struct counters *b)
{
	return a->t->engine.identity.id == b->t->engine.identity.id &&
	       a->t->engine.identity.loaded == b->t->engine.identity.loaded;
}

/* Each time anew: the engine may be another one, or gone. */
static int watch(double each, unsigned long count)
{
	double at = now(), next = at, then;
	struct counters was, is;
	unsigned long i;
	int rc;

	rc = counters_read(&was, true);
	for (i = 0; !rc && (!count || i < count); i++) {
		next += each;
		sleep_until(next);
		if (ended)
			break;
		rc = counters_read(&is, true);
		if (rc)
			break;
		then = at;
		at = now();
		if (!is_same_engine(&was, &is))
			counters_free(&was);
		print(&was, &is, at - then);
		counters_free(&was);
		was = is;
		if (next < at)
			next = at; /* it took longer than that */
	}
	counters_free(&was);
	return rc;
}

int command_top(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = end};
	unsigned long count = 0;
	double each = 1;
	char *rest = "";
	int i;

	for (i = 0; i < argc; i += 2) {
		if (strcmp(argv[i], "-d") && strcmp(argv[i], "-n"))
			return usage_error("%s: top takes -d SECONDS and -n COUNT", argv[i]);
		if (i + 1 == argc)
			return usage_error("%s: how many?", argv[i]);
		if (argv[i][1] == 'd')
			each = strtod(argv[i + 1], &rest);
		else
			count = strtoul(argv[i + 1], &rest, 10);
		if (*rest || strspn(argv[i + 1], "0123456789.") != strlen(argv[i + 1]) ||
		    each < 0.1 || each > EACH_MAX || (argv[i][1] == 'n' && !count))
			return usage_error("%s: %s is a number%s", argv[i + 1], argv[i],
					   argv[i][1] == 'n' ? " above 0"
							     : " of seconds from 0.1 to 86400");
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	out.terminal = isatty(STDOUT_FILENO);
	return watch(each, count);
}
