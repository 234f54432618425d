/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as match instructions. */
#include <arpa/inet.h>

#include "parse.h"

#define OFF EMIT_OFF
#define ON  EMIT_ON

enum {
	AT_IP_SRC_LAST = 15, /* offsets in IPv4's header */
	AT_IP_DST_LAST = 19,
	AT_IP6_SRC = 8, /* in IPv6's */
	AT_IP6_DST = 24,
};

/* Those of a network whose last byte is in the set; else on at no. */
static void emit_set(struct code *c, const struct rule_addr *a, bool src, uint32_t no)
{
	struct rule_range range[128];
	unsigned int i, n = 0;
	struct divert_insn *in;
	uint32_t first = c->n;

	for (i = 0; i < 256; i++) {
		if (!(a->set[i / 32] >> i % 32 & 1))
			continue;
		if (n && range[n - 1].hi + 1u == i)
			range[n - 1].hi = i;
		else
			range[n++] = (struct rule_range){i, i};
	}
	emit_mask(c, src ? DIVERT_F_SRC4 : DIVERT_F_DST4, a->mask.s_addr, a->ip.s_addr, c->n + 1,
		  no);
	in = emit(c, DIVERT_OP_LOAD, DIVERT_LOAD_IP, c->n + 1, no);
	in->load.offset = src ? AT_IP_SRC_LAST : AT_IP_DST_LAST;
	in->load.width = 1;
	in->load.mask = 255;
	emit_ranges(c, DIVERT_F_LOADED, range, n, ON, no);
	/* what is behind it is only known now */
	for (i = first; no == EMIT_HOLDS && i < c->n; i++)
		if (c->insn[i].no == EMIT_HOLDS)
			c->insn[i].no = c->n;
}

/* The same for an address of IPv6 with a mask that is no prefix: words of it. */
static void emit_mask6(struct code *c, const struct rule_addr *a, bool src)
{
	uint32_t first = c->n, i, mask, last = 0;
	struct divert_insn *in;

	for (i = 0; i < 4; i++)
		last = a->mask6.s6_addr32[i] ? i : last;
	for (i = 0; i <= last; i++) {
		mask = ntohl(a->mask6.s6_addr32[i]);
		if (!mask)
			continue;
		in = emit(c, DIVERT_OP_LOAD, DIVERT_LOAD_IP, c->n + 1, EMIT_HOLDS);
		in->load.offset = (src ? AT_IP6_SRC : AT_IP6_DST) + 4 * i;
		in->load.width = 4;
		in->load.mask = mask;
		emit_mask(c, DIVERT_F_LOADED, ~0u, ntohl(a->ip6.s6_addr32[i]),
			  i < last ? c->n + 1 : ON, EMIT_HOLDS);
	}
	for (i = first; i < c->n; i++)
		if (c->insn[i].no == EMIT_HOLDS)
			c->insn[i].no = c->n;
}

/* One address: ON, or on at what follows it. */
static void emit_address(struct code *c, const struct rule_addr *a, bool src)
{
	uint32_t next = c->n + 1;

	switch (a->kind) {
	case RULE_ADDR_4:
		emit_mask(c, src ? DIVERT_F_SRC4 : DIVERT_F_DST4, a->mask.s_addr, a->ip.s_addr, ON,
			  next);
		break;
	case RULE_ADDR_SET:
		emit_set(c, a, src, EMIT_HOLDS);
		break;
	case RULE_ADDR_6:
		emit_prefix(c, DIVERT_OP_PREFIX, src ? DIVERT_W_SRC6 : DIVERT_W_DST6, &a->ip6,
			    a->bits, ON, next);
		break;
	case RULE_ADDR_6_MASK:
		emit_mask6(c, a, src);
		break;
	case RULE_ADDR_ME6:
		emit_flag(c, DIVERT_IS_V6, c->n + 1, c->n + 2);
		next++;
		/* fall through */
	case RULE_ADDR_ME:
		emit(c, DIVERT_OP_OWN, src ? DIVERT_W_SRC6 : DIVERT_W_DST6, ON, next);
		break;
	case RULE_ADDR_TABLE:
		emit_lookup(c, a->table, src ? DIVERT_KEY_SRC : DIVERT_KEY_DST, 0, ON, next);
		break;
	}
}

static unsigned int count_kinds(const struct rule_match *m, unsigned int kinds)
{
	unsigned int i, n = 0;

	for (i = 0; i < m->n; i++)
		n += kinds >> m->addr[i].kind & 1;
	return n;
}

static void emit_kinds(struct code *c, const struct rule_match *m, unsigned int kinds)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (kinds >> m->addr[i].kind & 1)
			emit_address(c, &m->addr[i], m->type == RULE_SRC);
}

/*
 * An IPv4 address is only ever that of an IPv4 packet, so the family comes first:
 * where there are some of it; then what any packet may have.
 */
void emit_addresses(struct code *c, const struct rule_match *m)
{
	const unsigned int four = 1 << RULE_ADDR_4 | 1 << RULE_ADDR_SET;
	const unsigned int six = 1 << RULE_ADDR_6 | 1 << RULE_ADDR_6_MASK;
	uint32_t from = c->n, test, i;

	if (count_kinds(m, four)) {
		test = c->n;
		emit_flag(c, DIVERT_IS_V4, c->n + 1, OFF);
		emit_kinds(c, m, four);
		if (!c->error)
			c->insn[test].no = c->n;
	}
	if (count_kinds(m, six)) {
		test = c->n;
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
		emit_kinds(c, m, six);
		if (!c->error)
			c->insn[test].no = c->n;
	}
	emit_kinds(c, m, ~(four | six));
	/* behind the last one */
	for (i = from; i < c->n; i++) {
		if (c->insn[i].yes == c->n)
			c->insn[i].yes = OFF;
		if (c->insn[i].no == c->n)
			c->insn[i].no = OFF;
	}
}
