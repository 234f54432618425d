/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The next hop of fwd: "192.0.2.1", "2001:db8::1", "fe80::1%eth0" or "tablearg". A port may follow,
 * ",80", or of IPv4 ":80": it is for hops on this host, as which none is accepted, and has no
 * meaning.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "parse.h"

/* Split the port off. */
static int parse_hop_port(struct parser *p, char *text, const char *word)
{
	char *sep = strchr(text, ',');

	if (!sep) {
		sep = strchr(text, ':');
		if (sep && strchr(sep + 1, ':'))
			sep = NULL; /* IPv6 */
	}
	if (!sep)
		return 0;
	*sep++ = '\0';
	if (!parse_port(sep, &p->rule->arg) || !p->rule->arg)
		return rules_fail(p->err, EX_DATAERR,
				  "%s: not a port behind a next hop: expected 1 to 65535, or a "
				  "name of /etc/services",
				  word);
	return 0;
}

static bool is_iface(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
			return false;
	return *name && c - name < DIVERT_NAME_LEN;
}

static int not_here(struct parser *p, const char *word)
{
	return rules_fail(p->err, EX_DATAERR,
			  "%s: an address of this host is no next hop: for a port on this host use "
			  "nftables' tproxy",
			  word);
}

static int parse_hop4(struct parser *p, const char *word)
{
	const uint32_t addr = ntohl(p->rule->hop.ip.s_addr);

	if (addr >> 24 == 127)
		return not_here(p, word);
	if (!(addr >> 24) || addr >> 28 >= 14)
		return rules_fail(p->err, EX_DATAERR, "%s: not the address of one host", word);
	p->only4 = word;
	return 0;
}

static int parse_hop6(struct parser *p, const char *iface, const char *word)
{
	struct rule_hop *hop = &p->rule->hop;

	hop->six = true;
	if (IN6_IS_ADDR_LOOPBACK(&hop->ip6))
		return not_here(p, word);
	if (IN6_IS_ADDR_UNSPECIFIED(&hop->ip6) || IN6_IS_ADDR_MULTICAST(&hop->ip6))
		return rules_fail(p->err, EX_DATAERR, "%s: not the address of one host", word);
	if (IN6_IS_ADDR_LINKLOCAL(&hop->ip6) && !iface)
		return rules_fail(p->err, EX_DATAERR,
				  "%s: each link may have this address: name the interface behind "
				  "it, as in fe80::1%%eth0",
				  word);
	if (iface && !IN6_IS_ADDR_LINKLOCAL(&hop->ip6))
		return rules_fail(p->err, EX_DATAERR,
				  "%s: the routes say by which interface this address is reached: "
				  "leave out %%%s",
				  word, iface);
	if (iface && !is_iface(iface))
		return rules_fail(p->err, EX_DATAERR, "%s: not the name of an interface behind %%",
				  word);
	if (iface)
		strcpy(hop->iface, iface);
	p->only6 = word;
	return 0;
}

int parse_hop(struct parser *p)
{
	const char *word = parser_next(p, "next hop");
	struct rule_hop *hop = &p->rule->hop;
	char text[128], *iface;

	if (!word)
		return -1;
	if (strlen(word) < sizeof(text)) {
		strcpy(text, word);
		if (parse_hop_port(p, text, word))
			return -1;
		if (!strcmp(text, "tablearg")) {
			p->rule->tablearg = true;
			p->only4 = word;
			return 0;
		}
		if (!strcmp(text, "localhost") || !strcmp(text, "me") || !strcmp(text, "me6"))
			return not_here(p, word);
		if (inet_pton(AF_INET, text, &hop->ip) == 1)
			return parse_hop4(p, word);
		iface = strchr(text, '%');
		if (iface)
			*iface++ = '\0';
		if (inet_pton(AF_INET6, text, &hop->ip6) == 1)
			return parse_hop6(p, iface, word);
	}
	return rules_fail(p->err, EX_DATAERR,
			  "%s: not a next hop: expected an IPv4 or IPv6 address (names are not "
			  "looked up), or tablearg",
			  word);
}

void print_hop(FILE *f, const struct rule *r)
{
	char text[INET6_ADDRSTRLEN];

	if (r->tablearg)
		fputs(" tablearg", f);
	else if (r->hop.six)
		fprintf(f, " %s", inet_ntop(AF_INET6, &r->hop.ip6, text, sizeof(text)));
	else
		fprintf(f, " %s", inet_ntop(AF_INET, &r->hop.ip, text, sizeof(text)));
	if (*r->hop.iface)
		fprintf(f, "%%%s", r->hop.iface);
	if (r->arg)
		fprintf(f, ",%u", r->arg);
}

/* Only packets on their way out that are of the hop's family have a way there. */
void emit_hop_match(struct code *c, const struct rule *r)
{
	emit_flag(c, DIVERT_IS_OUT, c->n + 1, EMIT_PAST);
	emit_flag(c, r->hop.six ? DIVERT_IS_V6 : DIVERT_IS_V4, c->n + 1, EMIT_PAST);
}

/* Ahead of the action: where states lead, too. */
void emit_hop(struct code *c, const struct rule *r)
{
	struct divert_insn *in = emit(c, DIVERT_OP_HOP, DIVERT_HOP_V4, c->n + 1, c->n + 1);

	if (r->tablearg) {
		in->field = DIVERT_HOP_TABLEARG;
	} else if (r->hop.six) {
		in->field = DIVERT_HOP_V6;
		memcpy(in->hop.addr, &r->hop.ip6, sizeof(in->hop.addr));
	} else {
		in->hop.addr[0] = r->hop.ip.s_addr;
	}
	if (*r->hop.iface) {
		in = emit(c, DIVERT_OP_HOP, DIVERT_HOP_IFACE, c->n + 1, c->n + 1);
		strcpy(in->hop.name, rules_iface_name(r->hop.iface));
	}
}
