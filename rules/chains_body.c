/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the conditions of a chain's rule in the words of ipfw(8). */
#include <arpa/inet.h>
#include <stdio.h>

#include "chains_make.h"
#include "parse.h"

static void put_address(FILE *f, struct in_addr ip, struct in_addr mask, bool negate)
{
	char text[INET_ADDRSTRLEN];
	uint32_t bits = ntohl(mask.s_addr);

	if (!bits) {
		fputs(" any", f);
		return;
	}
	inet_ntop(AF_INET, &ip, text, sizeof(text));
	fprintf(f, " %s%s", negate ? "not " : "", text);
	if (bits == ~0u)
		return;
	if (!(~bits & (~bits + 1))) {
		fprintf(f, "/%d", 32 - __builtin_ctz(bits));
		return;
	}
	inet_ntop(AF_INET, &mask, text, sizeof(text));
	fprintf(f, ":%s", text);
}

static void put_range(FILE *f, char *comma, unsigned int lo, unsigned int hi)
{
	fprintf(f, lo == hi ? "%c%u" : "%c%u-%u", *comma, lo, hi);
	*comma = ',';
}

/*
 * For "not", print the rest of the range. A plain "not" would also match fragments, which have no
 * ports; in Linux 2.2 these match no rule about ports.
 */
static void put_ranges(FILE *f, const uint16_t range[2], unsigned int max, bool negate)
{
	char comma = ' ';

	if (!negate) {
		put_range(f, &comma, range[0], range[1] < max ? range[1] : max);
		return;
	}
	if (range[0])
		put_range(f, &comma, 0, range[0] - 1);
	if (range[1] < max)
		put_range(f, &comma, range[1] + 1, max);
}

static bool is_any(const uint16_t range[2])
{
	return !range[0] && range[1] == CHAIN_PORTS_LAST;
}

static void put_ports(FILE *f, const uint16_t range[2], bool negate)
{
	if (!is_any(range))
		put_ranges(f, range, CHAIN_PORTS_LAST, negate);
}

/* ipfw(8) has no ranges of types. */
static void put_types(FILE *f, const uint16_t range[2], bool negate)
{
	unsigned int i;
	char comma = ' ';

	if (is_any(range))
		return;
	fputs(" icmptypes", f);
	for (i = 0; i <= CHAIN_ICMP_LAST; i++)
		if ((i >= range[0] && i <= range[1]) != negate)
			put_range(f, &comma, i, i);
}

static void put_codes(FILE *f, const uint16_t range[2], bool negate)
{
	if (is_any(range))
		return;
	fputs(" icmpcodes", f);
	put_ranges(f, range, CHAIN_ICMP_LAST, negate);
}

static const char *no(const struct chain_spec *s, enum chain_inverse inverse)
{
	return s->inverse & inverse ? " not" : "";
}

static void put_direction(FILE *f, enum chain_kind kind)
{
	static const char *const words[] = {
		[CHAIN_INPUT] = " in",
		[CHAIN_FORWARD] = " out recv *",
		[CHAIN_OUTPUT] = " out",
		[CHAIN_USER] = "",
	};

	fputs(words[kind], f);
}

void chain_put_change(FILE *f, const struct chain_spec *s)
{
	struct rule_change change = {
		.mark = s->flags & CHAIN_MARK || s->mark,
		.relative = !(s->flags & CHAIN_MARK),
		.value = s->mark,
		.tos_clear = s->tos_clear,
		.tos_flip = s->tos_flip,
	};

	print_change(f, &change);
}

void chain_put_body(FILE *f, const struct chain_spec *s, enum chain_kind kind)
{
	bool icmp = s->proto == IPPROTO_ICMP && !(s->inverse & CHAIN_NOT_PROTO);

	fputs(" ip4 from", f);
	put_address(f, s->src, s->src_mask, s->inverse & CHAIN_NOT_SRC);
	if (!icmp)
		put_ports(f, s->sport, s->inverse & CHAIN_NOT_SPORT);
	fputs(" to", f);
	put_address(f, s->dst, s->dst_mask, s->inverse & CHAIN_NOT_DST);
	if (!icmp)
		put_ports(f, s->dport, s->inverse & CHAIN_NOT_DPORT);
	if (s->proto)
		fprintf(f, "%s proto %u", no(s, CHAIN_NOT_PROTO), s->proto);
	if (icmp) {
		put_types(f, s->sport, s->inverse & CHAIN_NOT_SPORT);
		put_codes(f, s->dport, s->inverse & CHAIN_NOT_DPORT);
	}
	put_direction(f, kind);
	if (*s->iface)
		fprintf(f, "%s via %s%s", no(s, CHAIN_NOT_IFACE), s->iface,
			s->flags & CHAIN_WILD ? "*" : "");
	if (s->flags & CHAIN_SYN)
		fprintf(f, "%s tcpflags syn,!fin,!ack", no(s, CHAIN_NOT_SYN));
	if (s->flags & CHAIN_FRAG)
		fprintf(f, "%s frag", no(s, CHAIN_NOT_FRAG));
}
