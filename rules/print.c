/* SPDX-License-Identifier: BSD-2-Clause */
/* A rule in ipfw(8)'s canonical form. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "parse.h"

static const char *const action_names[] = {
	[RULE_ALLOW] = "allow",	  [RULE_DENY] = "deny",	    [RULE_COUNT] = "count",
	[RULE_DIVERT] = "divert", [RULE_TEE] = "tee",	    [RULE_SKIPTO] = "skipto",
	[RULE_CALL] = "call",	  [RULE_RETURN] = "return",
};

/* The keyword of an option; "" where head-only or printed specially. */
static const char *const option_names[] = {
	[RULE_PROTO] = "proto",
	[RULE_IP4] = "proto",
	[RULE_IP6] = "proto",
	[RULE_SRC] = "src-ip",
	[RULE_DST] = "dst-ip",
	[RULE_SPORT] = "src-port",
	[RULE_DPORT] = "dst-port",
	[RULE_IN] = "in",
	[RULE_VIA] = "via",
	[RULE_RECV] = "recv",
	[RULE_XMIT] = "xmit",
	[RULE_ICMP] = "icmptypes",
	[RULE_ICMP6] = "icmp6types",
	[RULE_DIVERTED] = "diverted",
	[RULE_DIVERTED_LOOPBACK] = "diverted-loopback",
	[RULE_DIVERTED_OUTPUT] = "diverted-output",
	[RULE_FWMARK] = "fwmark",
	[RULE_BYPASS] = "bypass",
};

static void print_addr(FILE *f, const struct rule_addr *a)
{
	char buf[INET6_ADDRSTRLEN];
	uint32_t mask = ntohl(a->mask.s_addr);

	if (a->family == AF_INET6) {
		fputs(inet_ntop(AF_INET6, &a->ip6, buf, sizeof(buf)), f);
		if (a->bits < 128)
			fprintf(f, "/%u", a->bits);
		return;
	}
	fputs(inet_ntop(AF_INET, &a->ip, buf, sizeof(buf)), f);
	if (mask == ~0u)
		return;
	if (!(~mask & (~mask + 1)))
		fprintf(f, "/%d", __builtin_popcount(mask));
	else
		fprintf(f, ":%s", inet_ntop(AF_INET, &a->mask, buf, sizeof(buf)));
}

static void print_range(FILE *f, const struct rule_range *r)
{
	if (r->lo == r->hi)
		fprintf(f, "%u", r->lo);
	else
		fprintf(f, "%u-%u", r->lo, r->hi);
}

static void print_proto(FILE *f, uint8_t proto)
{
	const char *name = protocol_name(proto);

	if (name)
		fputs(name, f);
	else
		fprintf(f, "%u", proto);
}

static void print_mark(FILE *f, const struct rule_match *m)
{
	fprintf(f, m->mark.hex ? "0x%x" : "%u", m->mark.value);
	if (m->mark.mask != ~0u)
		fprintf(f, m->mark.hex ? "/0x%x" : "/%u", m->mark.mask);
}

/* What follows the keyword. */
static void print_argument(FILE *f, const struct rule_match *m)
{
	unsigned int i;

	switch (m->type) {
	case RULE_PROTO:
		print_proto(f, m->proto);
		break;
	case RULE_IP4:
		fputs("ip4", f);
		break;
	case RULE_IP6:
		fputs("ip6", f);
		break;
	case RULE_SRC:
	case RULE_DST:
		for (i = 0; i < m->n; i++) {
			if (i)
				fputc(',', f);
			print_addr(f, &m->addr[i]);
		}
		break;
	case RULE_SPORT:
	case RULE_DPORT:
	case RULE_ICMP:
	case RULE_ICMP6:
		for (i = 0; i < m->n; i++) {
			if (i)
				fputc(',', f);
			print_range(f, &m->range[i]);
		}
		break;
	case RULE_VIA:
	case RULE_RECV:
	case RULE_XMIT:
		fprintf(f, "%s%s", m->iface.name, m->iface.prefix ? "*" : "");
		break;
	case RULE_FWMARK:
		print_mark(f, m);
		break;
	default:
		break;
	}
}

/* The condition that stands at a place of the head, if there is one. */
static bool print_head(FILE *f, const struct rule *r, enum rule_match_type first,
		       enum rule_match_type last)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next) {
		if (!m->head || m->type < first || m->type > last)
			continue;
		fputs(m->negate ? " not " : " ", f);
		print_argument(f, m);
		return true;
	}
	return false;
}

static void print_heads(FILE *f, const struct rule *r)
{
	if (!print_head(f, r, RULE_PROTO, RULE_IP6))
		fputs(" ip", f);
	fputs(" from", f);
	if (!print_head(f, r, RULE_SRC, RULE_SRC))
		fputs(" any", f);
	print_head(f, r, RULE_SPORT, RULE_SPORT);
	fputs(" to", f);
	if (!print_head(f, r, RULE_DST, RULE_DST))
		fputs(" any", f);
	print_head(f, r, RULE_DPORT, RULE_DPORT);
}

static void print_option(FILE *f, const struct rule_match *m)
{
	if (m->type == RULE_IN) {
		fputs(m->negate ? " out" : " in", f);
		return;
	}
	fprintf(f, "%s %s", m->negate ? " not" : "", option_names[m->type]);
	if (m->type != RULE_BYPASS && (m->type < RULE_DIVERTED || m->type > RULE_DIVERTED_OUTPUT)) {
		fputc(' ', f);
		print_argument(f, m);
	}
}

char *rule_print(const struct rule *r)
{
	const struct rule_match *m;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs(action_names[r->action], f);
	if (r->action == RULE_DIVERT || r->action == RULE_TEE || r->action == RULE_SKIPTO ||
	    r->action == RULE_CALL)
		fprintf(f, " %u", r->arg);
	if (!r->bare || !r->match)
		print_heads(f, r);
	for (m = r->match; m; m = m->next)
		if (!m->head)
			print_option(f, m);
	if (r->comment)
		fprintf(f, " // %s", r->comment);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
