/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the argument of an option, or of a place in the body. */
#include <arpa/inet.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

static void print_table(FILE *f, const struct rule_table *t)
{
	fprintf(f, "table(%s", t->name);
	if (t->has_value)
		fprintf(f, ",%u", t->value);
	fputc(')', f);
}

static void print_set(FILE *f, const struct rule_addr *a)
{
	unsigned int i, first;
	bool any = false;

	fputc('{', f);
	for (i = 0; i < 256; i++) {
		if (!(a->set[i / 32] >> i % 32 & 1))
			continue;
		first = i;
		while (i < 255 && a->set[(i + 1) / 32] >> (i + 1) % 32 & 1)
			i++;
		fprintf(f, "%s%u", any ? "," : "", first);
		if (i > first)
			fprintf(f, "%c%u", i > first + 1 ? '-' : ',', i);
		any = true;
	}
	fputc('}', f);
}

static bool print_host(FILE *f, const struct rule_addr *a)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_addr = a->ip6};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = a->ip};
	bool six = a->kind == RULE_ADDR_6;
	char name[256];

	if (six ? a->bits < 128 : a->kind != RULE_ADDR_4 || a->mask.s_addr != ~0u)
		return false;
	if (getnameinfo(six ? (void *)&sin6 : (void *)&sin, six ? sizeof(sin6) : sizeof(sin), name,
			sizeof(name), NULL, 0, NI_NAMEREQD))
		return false;
	fputs(name, f);
	return true;
}

static void print_four(FILE *f, const struct rule_addr *a)
{
	uint32_t mask = ntohl(a->mask.s_addr);
	char buf[INET_ADDRSTRLEN];

	fputs(inet_ntop(AF_INET, &a->ip, buf, sizeof(buf)), f);
	if (mask == ~0u && a->kind != RULE_ADDR_SET)
		return;
	if (!(~mask & (~mask + 1)))
		fprintf(f, "/%d", __builtin_popcount(mask));
	else
		fprintf(f, ":%s", inet_ntop(AF_INET, &a->mask, buf, sizeof(buf)));
	if (a->kind == RULE_ADDR_SET)
		print_set(f, a);
}

static void print_addr(FILE *f, const struct rule_addr *a, unsigned int flags)
{
	char buf[INET6_ADDRSTRLEN];

	if (flags & RULE_PRINT_NAMES && print_host(f, a))
		return;
	switch (a->kind) {
	case RULE_ADDR_4:
	case RULE_ADDR_SET:
		print_four(f, a);
		break;
	case RULE_ADDR_6:
		fputs(inet_ntop(AF_INET6, &a->ip6, buf, sizeof(buf)), f);
		if (a->bits < 128)
			fprintf(f, "/%u", a->bits);
		break;
	case RULE_ADDR_6_MASK:
		fputs(inet_ntop(AF_INET6, &a->ip6, buf, sizeof(buf)), f);
		fprintf(f, "/%s", inet_ntop(AF_INET6, &a->mask6, buf, sizeof(buf)));
		break;
	case RULE_ADDR_ME:
		fputs("me", f);
		break;
	case RULE_ADDR_ME6:
		fputs("me6", f);
		break;
	case RULE_ADDR_TABLE:
		print_table(f, a->table);
		break;
	}
}

static bool print_service(FILE *f, uint16_t port)
{
	const struct servent *e = getservbyport(htons(port), NULL);
	const char *c;

	if (!e)
		return false;
	for (c = e->s_name; *c; c++)
		fprintf(f, *c == '-' ? "\\-" : "%c", *c);
	return true;
}

static void print_range(FILE *f, const struct rule_match *m, const struct rule_range *r,
			unsigned int flags)
{
	bool names = flags & RULE_PRINT_NAMES && rule_kind[m->type].argument == ARG_PORTS;
	const char *name;

	if (rule_kind[m->type].argument == ARG_DSCP) {
		name = dscp_name(r->lo);
		if (name)
			fputs(name, f);
		else
			fprintf(f, "%u", r->lo);
		return;
	}
	if (!names || !print_service(f, r->lo))
		fprintf(f, "%u", r->lo);
	if (r->lo == r->hi)
		return;
	fputc('-', f);
	if (!names || !print_service(f, r->hi))
		fprintf(f, "%u", r->hi);
}

static void print_proto(FILE *f, const struct rule_match *m, unsigned int flags)
{
	const char *name;

	if (m->type != RULE_PROTO) {
		fputs(m->type == RULE_IP4 ? "ip4" : "ip6", f);
		return;
	}
	name = protocol_name(m->proto, !(flags & RULE_PRINT_LIST));
	if (name)
		fputs(name, f);
	else
		fprintf(f, "%u", m->proto);
}

static void print_mark(FILE *f, const struct rule_match *m)
{
	fprintf(f, m->mark.hex ? "0x%x" : "%u", m->mark.value);
	if (m->mark.mask != ~0u)
		fprintf(f, m->mark.hex ? "/0x%x" : "/%u", m->mark.mask);
}

static void print_flags(FILE *f, const struct rule_match *m)
{
	const struct flag_name *n = rule_kind[m->type].flags;
	uint16_t set = m->flags.set, clear = m->flags.clear;
	const char *comma = "";

	for (; n->name; n++) {
		if (set & n->flag) {
			fprintf(f, "%s%s", comma, n->name);
			comma = ",";
		}
		if (clear & n->flag) {
			fprintf(f, "%s!%s", comma, n->name);
			comma = ",";
		}
		/* only the first name of a bit is printed */
		set &= ~n->flag;
		clear &= ~n->flag;
	}
}

static void print_iface(FILE *f, const struct rule_match *m)
{
	switch (m->iface.kind) {
	case RULE_IFACE_NAME:
	case RULE_IFACE_PREFIX:
		fprintf(f, "%s%s", m->iface.name, m->iface.kind == RULE_IFACE_PREFIX ? "*" : "");
		break;
	case RULE_IFACE_ADDR:
		print_addr(f, &m->iface.addr, 0);
		break;
	case RULE_IFACE_TABLE:
		print_table(f, m->iface.table);
		break;
	}
}

static void print_owner(FILE *f, const struct rule_match *m, unsigned int flags)
{
	bool names = flags & (RULE_PRINT_NAMES | RULE_PRINT_LIST);
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;

	if (names && m->type == RULE_UID)
		pw = getpwuid(*m->value);
	else if (names)
		gr = getgrgid(*m->value);
	if (pw || gr)
		fputs(pw ? pw->pw_name : gr->gr_name, f);
	else
		fprintf(f, "%u", *m->value);
}

static void print_lookup(FILE *f, const struct rule_match *m)
{
	fprintf(f, "%s ", lookup_name(m->lookup.key));
	if (m->lookup.table->has_value)
		print_table(f, m->lookup.table);
	else
		fputs(m->lookup.table->name, f);
}

void print_argument(FILE *f, const struct rule_match *m, unsigned int flags)
{
	unsigned int i;

	switch (rule_kind[m->type].argument) {
	case ARG_NONE:
	case ARG_BYPASS:
		break;
	case ARG_PROTO:
		print_proto(f, m, flags);
		break;
	case ARG_ADDRS:
		for (i = 0; i < m->n; i++) {
			fputs(i ? "," : "", f);
			print_addr(f, &m->addr[i], flags);
		}
		break;
	case ARG_PORTS:
	case ARG_RANGES:
	case ARG_NUMBERS:
	case ARG_DSCP:
		for (i = 0; i < m->n; i++) {
			fputs(i ? "," : "", f);
			print_range(f, m, &m->range[i], flags);
		}
		break;
	case ARG_VALUES:
	case ARG_VALUE:
		for (i = 0; i < m->n; i++)
			fprintf(f, "%s%u", i ? "," : "", m->value[i]);
		break;
	case ARG_FLAGS:
	case ARG_ANY:
		print_flags(f, m);
		break;
	case ARG_IFACE:
		print_iface(f, m);
		break;
	case ARG_MARK:
		print_mark(f, m);
		break;
	case ARG_LOOKUP:
		print_lookup(f, m);
		break;
	case ARG_FLOW:
		print_table(f, m->lookup.table);
		break;
	case ARG_USER:
	case ARG_GROUP:
		print_owner(f, m, flags);
		break;
	}
}
