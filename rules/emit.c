/* SPDX-License-Identifier: BSD-2-Clause */
/* Emits one condition as match instructions. */
#include <string.h>

#include "parse.h"

#define OFF EMIT_OFF
#define ON  EMIT_ON

enum {
	TCP = 6,
	AT_IP_FRAG = 6, /* offset in the IPv4 header */
};

/* ---- interfaces ---- */

static void emit_never(struct code *c)
{
	emit_mask(c, DIVERT_F_FLAGS, 0, 1, ON, OFF);
}

/* An exact name with its NULs, or a prefix. "*" matches any name, but not a missing one. */
static void emit_name(struct code *c, enum divert_wide field, const struct rule_match *m)
{
	char name[DIVERT_NAME_LEN] = "";
	size_t len = strlen(m->iface.name);

	switch (m->iface.kind) {
	case RULE_IFACE_TABLE:
		emit_lookup(c, m->iface.table, DIVERT_KEY_NAME, field, ON, OFF);
		break;
	case RULE_IFACE_ADDR:
		if (m->iface.addr.kind == RULE_ADDR_6) {
			emit_prefix(c, DIVERT_OP_IFADDR, field, &m->iface.addr.ip6, 128, ON, OFF);
		} else {
			uint32_t word[4] = {m->iface.addr.ip.s_addr};

			emit_prefix(c, DIVERT_OP_IFADDR, field, word, 32, ON, OFF);
		}
		break;
	case RULE_IFACE_PREFIX:
		if (!len)
			emit_prefix(c, DIVERT_OP_PREFIX, field, m->iface.name, 128, OFF, ON);
		else
			emit_prefix(c, DIVERT_OP_PREFIX, field, m->iface.name, len * 8, ON, OFF);
		break;
	case RULE_IFACE_NAME:
		strcpy(name, rules_iface_name(m->iface.name));
		emit_prefix(c, DIVERT_OP_PREFIX, field, name, 128, ON, OFF);
		break;
	}
}

/* ---- fields of headers ---- */

/* Go on if the packet may match, and load the value if that is not a field. */
static void emit_value(struct code *c, const struct rule_kind *k)
{
	if (k->only & ONLY_V4)
		emit_flag(c, DIVERT_IS_V4, c->n + 1, OFF);
	if (k->only & ONLY_V6)
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
	if (k->only & ONLY_TCP)
		emit_mask(c, DIVERT_F_PROTO, ~0u, TCP, c->n + 1, OFF);
	if (k->field == DIVERT_F_LOADED)
		emit_load(c, k->load, k->offset, k->width, 0, k->mask);
}

/* All flags in `set` must be set, and all in `clear` must be clear. */
static void emit_flags(struct code *c, enum divert_field field, const struct rule_match *m)
{
	emit_mask(c, field, m->flags.set | m->flags.clear, m->flags.set, ON, OFF);
}

static void emit_values(struct code *c, enum divert_field field, const struct rule_match *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		emit_mask(c, field, ~0u, m->value[i], ON, i + 1 < m->n ? c->n + 1 : OFF);
}

static void emit_frag(struct code *c, const struct rule_match *m)
{
	uint32_t clear = m->flags.clear;

	if (!m->flags.set && !clear) {
		emit_flag(c, DIVERT_IS_FRAG, ON, OFF);
		return;
	}
	emit_flag(c, DIVERT_IS_V4, c->n + 1, OFF);
	if ((m->flags.set | clear) & RULE_FRAG_OFFSET)
		emit_mask(c, DIVERT_F_FLAGS, DIVERT_IS_FRAG,
			  m->flags.set & RULE_FRAG_OFFSET ? DIVERT_IS_FRAG : 0, c->n + 1, OFF);
	/* mf, df and rf as in the header, above the offset */
	emit_load(c, DIVERT_LOAD_IP, AT_IP_FRAG, 1, 4, 0xe);
	emit_mask(c, DIVERT_F_LOADED, (m->flags.set | clear) & 0xe, m->flags.set & 0xe, ON, OFF);
}

/* The numbers are in the bits of mask. */
static void emit_bits(struct code *c, enum divert_field field, const struct rule_match *m,
		      uint32_t mask, unsigned int shift)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		emit_mask(c, field, mask, m->range[i].lo << shift, ON,
			  i + 1 < m->n ? c->n + 1 : OFF);
}

/* Compare the value with the argument; if there is none, any value but 0 matches. */
static void emit_argument(struct code *c, enum divert_field field, const struct rule_match *m)
{
	switch (rule_kind[m->type].argument) {
	case ARG_PORTS:
	case ARG_RANGES:
	case ARG_NUMBERS:
		emit_ranges(c, field, m->range, m->n, ON, OFF);
		break;
	case ARG_VALUES:
	case ARG_VALUE:
	case ARG_USER:
	case ARG_GROUP:
		emit_values(c, field, m);
		break;
	case ARG_FLAGS:
		emit_flags(c, field, m);
		break;
	case ARG_MARK:
		emit_mask(c, field, m->mark.mask, m->mark.value, ON, OFF);
		break;
	case ARG_NONE:
		emit_mask(c, field, ~0u, 0, OFF, ON);
		break;
	case ARG_PROTO:
	case ARG_ADDRS:
	case ARG_ANY:
	case ARG_DSCP:
	case ARG_IFACE:
	case ARG_LOOKUP:
	case ARG_FLOW:
	case ARG_BYPASS:
		emit_never(c); /* a case in emit_match() is missing */
		break;
	}
}

static void emit_icmp_codes(struct code *c, const struct rule_match *m)
{
	uint32_t at = c->n;

	/* of either protocol: a packet with a type also has a code */
	emit_mask(c, DIVERT_F_ICMP, ~0u, DIVERT_ABSENT, at + 1, at + 2);
	emit_mask(c, DIVERT_F_ICMP6, ~0u, DIVERT_ABSENT, OFF, at + 2);
	emit_load(c, DIVERT_LOAD_TRANSPORT, 1, 1, 0, 255);
	emit_ranges(c, DIVERT_F_LOADED, m->range, m->n, ON, OFF);
}

static void emit_find(struct code *c, const struct rule_match *m)
{
	const struct rule_table *t = m->lookup.table;

	switch (m->lookup.key) {
	case RULE_LOOKUP_SRC:
		emit_lookup(c, t, DIVERT_KEY_SRC, 0, ON, OFF);
		break;
	case RULE_LOOKUP_DST:
		emit_lookup(c, t, DIVERT_KEY_DST, 0, ON, OFF);
		break;
	case RULE_LOOKUP_SPORT:
		emit_mask(c, DIVERT_F_SPORT, ~0u, DIVERT_ABSENT, OFF, c->n + 1);
		emit_lookup(c, t, DIVERT_KEY_FIELD, DIVERT_F_SPORT, ON, OFF);
		break;
	case RULE_LOOKUP_DPORT:
		emit_mask(c, DIVERT_F_DPORT, ~0u, DIVERT_ABSENT, OFF, c->n + 1);
		emit_lookup(c, t, DIVERT_KEY_FIELD, DIVERT_F_DPORT, ON, OFF);
		break;
	case RULE_LOOKUP_UID:
		emit_load(c, DIVERT_LOAD_UID, 0, 0, 0, ~0u);
		emit_lookup(c, t, DIVERT_KEY_FIELD, DIVERT_F_LOADED, ON, OFF);
		break;
	case RULE_LOOKUP_DSCP:
		emit_load(c, DIVERT_LOAD_DSCP, 0, 0, 0, ~0u);
		emit_lookup(c, t, DIVERT_KEY_FIELD, DIVERT_F_LOADED, ON, OFF);
		break;
	case RULE_LOOKUP_MARK:
		emit_lookup(c, t, DIVERT_KEY_FIELD, DIVERT_F_MARK, ON, OFF);
		break;
	}
}

/* Outbound packets match. */
static void emit_path(struct code *c, enum divert_rpf what)
{
	emit_flag(c, DIVERT_IS_OUT, ON, c->n + 1);
	emit(c, DIVERT_OP_RPF, what, ON, OFF);
}

/* Is the packet among the first n of its flow? */
static void emit_first(struct code *c, uint32_t n)
{
	struct divert_insn *in = emit(c, DIVERT_OP_FIRST, 0, ON, OFF);

	in->state.id = c->state_id;
	in->state.limit = n;
}

void emit_prob(struct code *c, uint32_t prob)
{
	struct divert_insn *in;

	in = emit(c, DIVERT_OP_LOAD, DIVERT_LOAD_RANDOM, c->n + 1, EMIT_PAST);
	in->load.mask = ~0u;
	in = emit(c, DIVERT_OP_BELOW, DIVERT_F_LOADED, c->n + 1, EMIT_PAST);
	in->mask.value = ((uint64_t)prob << 32) / RULES_PROB_ALL;
}

void emit_match(struct code *c, const struct rule_match *m)
{
	const uint32_t back = DIVERT_IS_REINJECTED_IN | DIVERT_IS_REINJECTED_OUT;
	const struct rule_kind *k = &rule_kind[m->type];
	const enum divert_field field = k->field;
	uint32_t from;

	if (k->argument == ARG_FLAGS && m->flags.set & m->flags.clear) {
		emit_never(c);
		return;
	}
	if (field)
		emit_value(c, k);
	switch (m->type) {
	case RULE_PROTO:
		emit_mask(c, DIVERT_F_PROTO, ~0u, m->proto, ON, OFF);
		break;
	case RULE_IP4:
		emit_flag(c, DIVERT_IS_V4, ON, OFF);
		break;
	case RULE_IP6:
		emit_flag(c, DIVERT_IS_V6, ON, OFF);
		break;
	case RULE_SRC:
	case RULE_DST:
		emit_addresses(c, m);
		break;
	case RULE_IN:
		emit_flag(c, DIVERT_IS_OUT, OFF, ON);
		break;
	case RULE_VIA:
		from = c->n;
		emit_flag(c, DIVERT_IS_OUT, from + 1, from + 2);
		emit_name(c, DIVERT_W_XMIT, m);
		emit_name(c, DIVERT_W_RECV, m);
		break;
	case RULE_RECV:
		emit_name(c, DIVERT_W_RECV, m);
		break;
	case RULE_XMIT:
		emit_flag(c, DIVERT_IS_OUT, c->n + 1, OFF);
		emit_name(c, DIVERT_W_XMIT, m);
		break;
	case RULE_ICMPCODES:
		emit_icmp_codes(c, m);
		break;
	case RULE_DIVERTED:
		emit_mask(c, DIVERT_F_FLAGS, back, 0, OFF, ON);
		break;
	case RULE_DIVERTED_LOOPBACK:
		emit_flag(c, DIVERT_IS_REINJECTED_IN, ON, OFF);
		break;
	case RULE_DIVERTED_OUTPUT:
		emit_flag(c, DIVERT_IS_REINJECTED_OUT, ON, OFF);
		break;
	case RULE_SETUP:
		emit_mask(c, field, TH_SYN | TH_ACK, TH_SYN, ON, OFF);
		break;
	case RULE_IPPRECEDENCE:
		emit_bits(c, field, m, 0xe0, 5);
		break;
	case RULE_DSCP:
		emit_bits(c, field, m, 0xfc, 2);
		break;
	case RULE_FRAG:
		emit_frag(c, m);
		break;
	case RULE_EXT6HDR:
		emit_mask(c, DIVERT_F_EXT, m->flags.set, 0, OFF, ON);
		break;
	case RULE_LOOKUP:
		emit_find(c, m);
		break;
	case RULE_FLOW:
		emit_lookup(c, m->lookup.table, DIVERT_KEY_FLOW, 0, ON, OFF);
		break;
	case RULE_IPVER:
		if (*m->value == 4 || *m->value == 6)
			emit_flag(c, *m->value == 4 ? DIVERT_IS_V4 : DIVERT_IS_V6, ON, OFF);
		else
			emit_never(c);
		break;
	case RULE_SOCKARG:
		emit_never(c);
		break;
	case RULE_VERREVPATH:
		emit_path(c, DIVERT_RPF_REVERSE);
		break;
	case RULE_VERSRCREACH:
		emit_path(c, DIVERT_RPF_REACH);
		break;
	case RULE_ANTISPOOF:
		emit_path(c, DIVERT_RPF_HONEST);
		break;
	case RULE_FIRST:
		emit_first(c, *m->value);
		break;
	case RULE_BYPASS:
		break;
	default:
		if (field)
			emit_argument(c, field, m);
		else
			emit_never(c); /* a case is missing */
		break;
	}
}
