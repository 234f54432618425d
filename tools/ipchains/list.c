/* SPDX-License-Identifier: BSD-2-Clause */
/* ipchains -L, in the layout of ipchains 1.3. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "ipchains.h"

static void put_count(FILE *f, uint64_t v, bool exact)
{
	static const char units[] = {'K', 'M', 'G', 'T'};
	unsigned int i;

	if (exact) {
		fprintf(f, "%8llu ", (unsigned long long)v);
		return;
	}
	if (v <= 99999) {
		fprintf(f, "%5llu ", (unsigned long long)v);
		return;
	}
	for (i = 0, v = (v + 500) / 1000; v > 9999 && i + 1 < sizeof(units); i++)
		v = (v + 500) / 1000;
	fprintf(f, "%4llu%c ", (unsigned long long)v, units[i]);
}

/* ---- parts of a rule ---- */

static const char *mark(const struct chain_spec *s, enum chain_inverse inverse)
{
	return s->inverse & inverse ? "!" : "";
}

static void put_address(FILE *f, const char *inverse, struct in_addr ip, struct in_addr mask,
			bool numeric)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = ip};
	uint32_t bits = ntohl(mask.s_addr);
	char text[INET_ADDRSTRLEN], name[256], word[300];

	inet_ntop(AF_INET, &ip, text, sizeof(text));
	if (!bits)
		snprintf(word, sizeof(word), "%s", numeric ? "0.0.0.0/0" : "anywhere");
	else if (bits == ~0u && !numeric &&
		 !getnameinfo((struct sockaddr *)&in, sizeof(in), name, sizeof(name), NULL, 0,
			      NI_NAMEREQD))
		snprintf(word, sizeof(word), "%s%s", inverse, name);
	else if (bits == ~0u)
		snprintf(word, sizeof(word), "%s%s", inverse, text);
	else if (!(~bits & (~bits + 1)))
		snprintf(word, sizeof(word), "%s%s/%d", inverse, text, 32 - __builtin_ctz(bits));
	else
		snprintf(word, sizeof(word), "%s%s/%s", inverse, text,
			 inet_ntop(AF_INET, &mask, name, sizeof(name)));
	fprintf(f, "%-21s ", word);
}

static void put_protocol(FILE *f, const struct chain_spec *s)
{
	char word[8];

	if (!s->proto)
		strcpy(word, "all");
	else if (s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP || s->proto == IPPROTO_ICMP)
		snprintf(word, sizeof(word), "%s%s", mark(s, CHAIN_NOT_PROTO),
			 s->proto == IPPROTO_TCP   ? "tcp"
			 : s->proto == IPPROTO_UDP ? "udp"
						   : "icmp");
	else
		snprintf(word, sizeof(word), "%s%u", mark(s, CHAIN_NOT_PROTO), s->proto);
	fprintf(f, "%-4s ", word);
}

static void put_flags(FILE *f, const struct chain_spec *s)
{
	char word[] = "------";

	if (s->flags & CHAIN_SYN) {
		word[1] = 'y';
		if (s->inverse & CHAIN_NOT_SYN)
			word[0] = '!';
	}
	if (s->flags & CHAIN_FRAG) {
		word[3] = 'f';
		if (s->inverse & CHAIN_NOT_FRAG)
			word[2] = '!';
	}
	if (s->flags & CHAIN_LOG)
		word[4] = 'l';
	fprintf(f, "%s  ", word);
}

static void put_port(FILE *f, uint16_t port, uint16_t proto, bool numeric)
{
	struct servent *e = NULL;

	if (!numeric && proto != IPPROTO_ICMP)
		e = getservbyport(htons(port), proto == IPPROTO_TCP ? "tcp" : "udp");
	if (e)
		fputs(e->s_name, f);
	else
		fprintf(f, "%u", port);
}

static void put_range(FILE *f, const char *inverse, const uint16_t range[2], uint16_t proto,
		      bool numeric)
{
	fputs(inverse, f);
	if (!range[0] && range[1] == CHAIN_PORTS_LAST) {
		fputs(numeric ? "*" : "any", f);
		return;
	}
	put_port(f, range[0], proto, numeric);
	if (range[0] != range[1]) {
		fputc(':', f);
		put_port(f, range[1], proto, numeric);
	}
}

static void put_ports(FILE *f, const struct chain_spec *s, bool numeric)
{
	const char *icmp = NULL;

	if ((s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP && s->proto != IPPROTO_ICMP) ||
	    s->inverse & CHAIN_NOT_PROTO) {
		fputs("n/a", f);
		return;
	}
	if (s->proto == IPPROTO_ICMP && !numeric && s->sport[0] == s->sport[1] &&
	    !(s->inverse & CHAIN_NOT_DPORT))
		icmp = chain_icmp_name(s->sport[0], s->dport[0], s->dport[1]);
	if (icmp) {
		fprintf(f, "%s%s", mark(s, CHAIN_NOT_SPORT), icmp);
		return;
	}
	put_range(f, mark(s, CHAIN_NOT_SPORT), s->sport, s->proto, numeric);
	fputs(" ->   ", f);
	put_range(f, mark(s, CHAIN_NOT_DPORT), s->dport, s->proto, numeric);
}

/* ipdivert has no netlink copies, but prints their column. */
static void put_more(FILE *f, const struct chain_spec *s)
{
	char word[DIVERT_NAME_LEN + 2], number[16] = "";

	snprintf(word, sizeof(word), "%s%s%s", mark(s, CHAIN_NOT_IFACE),
		 *s->iface ? s->iface : "any", s->flags & CHAIN_WILD ? "+" : "");
	if (s->flags & CHAIN_MARK)
		snprintf(number, sizeof(number), "0x%x", s->mark);
	else if (s->mark)
		snprintf(number, sizeof(number), "%c0x%x", (int)s->mark < 0 ? '-' : '+',
			 (int)s->mark < 0 ? -s->mark : s->mark);
	fprintf(f, "0x%02X 0x%02X  %-10s %-10s %-8s ", (uint8_t)~s->tos_clear, s->tos_flip, word,
		number, "");
}

/* ---- lines ---- */

static void put_header(FILE *f, const struct chain_command *c)
{
	int width = c->exact ? 8 : 5;

	if (c->lines)
		fputs("num  ", f);
	if (c->verbose)
		fprintf(f, "%*s %*s ", width, "pkts", width, "bytes");
	fputs("target     prot opt     ", f);
	if (c->verbose)
		fputs("tosa tosx  ifname     mark       outsize  ", f);
	fputs("source                destination           ports\n", f);
}

/* Sum a rule's counters over all its copies; with -Z the printed values are subtracted. */
static int get_count(struct chainset *s, const struct chain_command *c, const struct chain_rule *r,
		     struct divert_rule_counter *sum, struct rules_error *err)
{
	struct engine *e = &s->change->engine;
	struct divert_rule_counter one;
	unsigned int i;
	int rc;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < r->slots; i++) {
		rc = c->zero ? engine_counter_zero(e, r->slot[i], &one)
			     : engine_counter_get(e, r->slot[i], &one);
		if (rc < 0)
			return rules_fail(err, EIO, "%s", engine_error());
		sum->packets += one.packets;
		sum->bytes += one.bytes;
	}
	return 0;
}

static int put_rule(struct chainset *s, const struct chain_command *c, FILE *f,
		    const struct chain_rule *r, unsigned int number, struct rules_error *err)
{
	const struct chain_spec *spec = &r->spec;
	struct divert_rule_counter sum;

	if (c->lines)
		fprintf(f, "%-4u ", number);
	if (c->verbose) {
		if (get_count(s, c, r, &sum, err))
			return -1;
		put_count(f, sum.packets, c->exact);
		put_count(f, sum.bytes, c->exact);
	}
	fprintf(f, "%-10s ", *spec->target ? spec->target : "-");
	put_protocol(f, spec);
	put_flags(f, spec);
	if (c->verbose)
		put_more(f, spec);
	put_address(f, mark(spec, CHAIN_NOT_SRC), spec->src, spec->src_mask, c->numeric);
	put_address(f, mark(spec, CHAIN_NOT_DST), spec->dst, spec->dst_mask, c->numeric);
	put_ports(f, spec, c->numeric);
	if (spec->port)
		fprintf(f, " => %u", spec->port);
	fputc('\n', f);
	return 0;
}

static int put_title(struct chainset *s, const struct chain_command *c, FILE *f,
		     const struct chain *chain, struct rules_error *err)
{
	struct divert_rule_counter sum;

	if (chain->kind == CHAIN_USER) {
		fprintf(f, "Chain %s (%u references):\n", chain->name,
			chain_references(&s->chains, chain));
		return 0;
	}
	fprintf(f, "Chain %s (policy %s", chain->name, chain->policy);
	if (c->verbose) {
		if (get_count(s, c, &chain->end, &sum, err))
			return -1;
		fprintf(f, ": %llu packets, %llu bytes", (unsigned long long)sum.packets,
			(unsigned long long)sum.bytes);
	}
	fputs("):\n", f);
	return 0;
}

static int put_chain(struct chainset *s, const struct chain_command *c, FILE *f,
		     const struct chain *chain, struct rules_error *err)
{
	unsigned int i;

	if (put_title(s, c, f, chain, err))
		return -1;
	if (chain->n)
		put_header(f, c);
	for (i = 0; i < chain->n; i++)
		if (put_rule(s, c, f, chain->rule[i], i + 1, err))
			return -1;
	return 0;
}

int list_chains(struct chainset *s, const struct chain_command *c, FILE *out,
		struct rules_error *err)
{
	const struct chain *chain;

	if (*c->chain && !chains_find(&s->chains, c->chain, err))
		return -1;
	for (chain = s->chains.first; chain; chain = chain->next)
		if (!*c->chain || !strcmp(chain->name, c->chain))
			if (put_chain(s, c, out, chain, err))
				return -1;
	return 0;
}
