/* SPDX-License-Identifier: BSD-2-Clause */
/* ipfw log: prints the log of rules; with -f, until it is interrupted. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipfw.h"

#define POLL_MS 100

static double monotonic_offset(void)
{
	struct timespec real, mono;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return real.tv_sec - mono.tv_sec + (real.tv_nsec - mono.tv_nsec) / 1e9;
}

static void print_answer(uint16_t answer)
{
	const char *six = answer & DIVERT_REJECT_V6 ? "6" : "";

	if (answer & DIVERT_REJECT_RESET)
		printf("Reset%s", six);
	else
		printf("Unreach%s %u", six, answer & 255);
}

static void print_action(const struct divert_log_entry *e)
{
	static const char *const names[] = {
		[DIVERT_OP_GO] = "Count",      [DIVERT_OP_ALLOW] = "Accept",
		[DIVERT_OP_DENY] = "Deny",     [DIVERT_OP_DIVERT] = "Divert",
		[DIVERT_OP_TEE] = "Tee",       [DIVERT_OP_CALL] = "Call",
		[DIVERT_OP_RETURN] = "Return", [DIVERT_OP_FWD] = "Forward to",
	};
	char text[INET6_ADDRSTRLEN];

	if (e->op == DIVERT_OP_REJECT) {
		print_answer(e->port);
		return;
	}
	printf("%s", e->op < sizeof(names) / sizeof(*names) && names[e->op] ? names[e->op] : "?");
	if (e->op == DIVERT_OP_DIVERT || e->op == DIVERT_OP_TEE)
		printf(" %u", e->port);
	if (e->op == DIVERT_OP_FWD)
		printf(" %s", inet_ntop(e->flags & DIVERT_IS_V6 ? AF_INET6 : AF_INET, e->hop, text,
					sizeof(text)));
}

static void print_protocol(const struct divert_log_entry *e)
{
	switch (e->proto) {
	case IPPROTO_TCP:
		fputs(" TCP", stdout);
		break;
	case IPPROTO_UDP:
		fputs(" UDP", stdout);
		break;
	case IPPROTO_ICMP:
		printf(" ICMP:%u", e->type);
		break;
	case IPPROTO_ICMPV6:
		printf(" ICMPv6:%u", e->type);
		break;
	default:
		printf(" P:%u", e->proto);
	}
}

static void print_end(const struct divert_log_entry *e, const __be32 *addr, uint16_t port)
{
	bool six = e->flags & DIVERT_IS_V6;
	char text[INET6_ADDRSTRLEN];
	bool ports = !(e->flags & DIVERT_IS_FRAG) &&
		     (e->proto == IPPROTO_TCP || e->proto == IPPROTO_UDP ||
		      e->proto == IPPROTO_SCTP || e->proto == IPPROTO_UDPLITE);

	inet_ntop(six ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	printf(six && ports ? " [%s]" : " %s", text);
	if (ports)
		printf(":%u", port);
}

static void print(const struct divert_log_entry *e, double offset)
{
	double at = e->tstamp / 1e9 + offset;
	time_t seconds = at;
	struct tm tm;
	char text[64];

	strftime(text, sizeof(text), "%b %e %H:%M:%S", localtime_r(&seconds, &tm));
	printf("%s.%06d ipfw: %u ", text, (int)((at - seconds) * 1e6), e->rule);
	print_action(e);
	print_protocol(e);
	print_end(e, e->src, e->sport);
	print_end(e, e->dst, e->dport);
	printf(" %s via %.15s\n", e->flags & DIVERT_IS_OUT ? "out" : "in", e->name);
	if (e->max && e->count == e->max)
		printf("%s.%06d ipfw: limit %u reached on entry %u\n", text,
		       (int)((at - seconds) * 1e6), e->max, e->rule);
}

int run_log(struct session *s, const struct command *c, struct rules_error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	bool follow = c->word[0] && !strcmp(c->word[0], "-f");
	double offset = monotonic_offset();
	struct divert_log_entry e;
	uint64_t serial = 0;
	int rc;

	if (c->word[0] && (!follow || c->word[1]))
		return rules_fail(err, EX_USAGE, "%s: log takes -f only", c->word[follow]);
	if (!s->change->open)
		return 0;
	for (;;) {
		while ((rc = engine_log_read(&s->change->engine, &serial, &e)) > 0)
			print(&e, offset);
		if (rc < 0)
			return rules_fail(err, EX_OSERR, "%s", engine_error());
		if (fflush(stdout))
			return rules_fail(err, EX_IOERR, "writing the output failed");
		if (!follow)
			return 0;
		/* the kernel half writes the log, and there is nothing to wait on */
		nanosleep(&pause, NULL);
	}
}
