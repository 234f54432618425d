/* SPDX-License-Identifier: BSD-2-Clause */
/* Emits addresses as match instructions. */
#include <arpa/inet.h>

#include "parse.h"

#define OFF EMIT_OFF
#define ON  EMIT_ON

enum {
	AT_IP_SRC_LAST = 15, /* offsets in the IPv4 header */
	AT_IP_DST_LAST = 19,
	AT_IP6_SRC = 8, /* offsets in the IPv6 header */
	AT_IP6_DST = 24,
};

/* Match addresses of a network whose last byte is in the set; else continue at `no`. */
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
	/* the following instruction is only known now */
	for (i = first; no == EMIT_HOLDS && i < c->n; i++)
		if (c->insn[i].no == EMIT_HOLDS)
			c->insn[i].no = c->n;
}

/* Match an IPv6 address with a mask that is not a prefix, word by word. */
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

/* Match one address: ON, or continue at the instruction behind it. */
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
		emit(c, DIVERT_OP_LOCAL, src ? DIVERT_W_SRC6 : DIVERT_W_DST6, ON, next);
		break;
	case RULE_ADDR_TABLE:
		emit_lookup(c, a->table, src ? DIVERT_KEY_SRC : DIVERT_KEY_DST, 0, ON, next);
		break;
	}
}

/* A part of a list. */
struct part {
	const struct rule_match *m;
	unsigned int from, end;
};

static unsigned int count_kinds(const struct part *p, unsigned int kinds)
{
	unsigned int i, n = 0;

	for (i = p->from; i < p->end; i++)
		n += kinds >> p->m->addr[i].kind & 1;
	return n;
}

static void emit_kinds(struct code *c, const struct part *p, unsigned int kinds)
{
	unsigned int i;

	for (i = p->from; i < p->end; i++)
		if (kinds >> p->m->addr[i].kind & 1)
			emit_address(c, &p->m->addr[i], p->m->type == RULE_SRC);
}

/*
 * An IPv4 address can only match an IPv4 packet, so test the family first, if the list has
 * addresses of it. Kinds of both families follow.
 */
static void emit_part(struct code *c, const struct part *p)
{
	const unsigned int four = 1 << RULE_ADDR_4 | 1 << RULE_ADDR_SET;
	const unsigned int six = 1 << RULE_ADDR_6 | 1 << RULE_ADDR_6_MASK;
	uint32_t test;

	if (count_kinds(p, four)) {
		test = c->n;
		emit_flag(c, DIVERT_IS_V4, c->n + 1, OFF);
		emit_kinds(c, p, four);
		if (!c->error)
			c->insn[test].no = c->n;
	}
	if (count_kinds(p, six)) {
		test = c->n;
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
		emit_kinds(c, p, six);
		if (!c->error)
			c->insn[test].no = c->n;
	}
	emit_kinds(c, p, ~(four | six));
}

/*
 * Tables keep their place in the list, because tablearg comes from the first one that has the
 * address.
 */
void emit_addresses(struct code *c, const struct rule_match *m)
{
	struct part p = {.m = m};
	uint32_t from = c->n, i;

	for (; p.from < m->n; p.from = p.end) {
		p.end = p.from + 1;
		if (m->addr[p.from].kind != RULE_ADDR_TABLE)
			while (p.end < m->n && m->addr[p.end].kind != RULE_ADDR_TABLE)
				p.end++;
		emit_part(c, &p);
	}
	/* exits behind the last instruction */
	for (i = from; i < c->n; i++) {
		if (c->insn[i].yes == c->n)
			c->insn[i].yes = OFF;
		if (c->insn[i].no == c->n)
			c->insn[i].no = OFF;
	}
}
