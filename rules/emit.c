/* SPDX-License-Identifier: BSD-2-Clause */
/* One condition as match instructions. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define OFF EMIT_OFF
#define ON  EMIT_ON

enum {
	TCP = 6,
	TCP_SEQ = 4, /* offsets in its header */
	TCP_ACK = 8,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TH_RST = 0x04,
	AT_IP_ID = 4, /* offsets in IPv4's */
	AT_IP_FRAG = 6,
	AT_IP_TTL = 8,
};

struct divert_insn *emit(struct code *c, enum divert_op op, unsigned int field, uint32_t yes,
			 uint32_t no)
{
	struct divert_insn *in;

	if (c->n == DIVERT_INSNS_MAX)
		c->error = -E2BIG;
	if (!c->error && c->n == c->room) {
		uint32_t room = c->room ? c->room * 2 : 64;

		in = reallocarray(c->insn, room, sizeof(*in));
		if (in) {
			c->insn = in;
			c->room = room;
		} else {
			c->error = -ENOMEM;
		}
	}
	in = c->error ? &c->scrap : &c->insn[c->n++];
	memset(in, 0, sizeof(*in));
	in->op = op;
	in->field = field;
	in->rule = c->rule;
	in->yes = yes;
	in->no = no;
	return in;
}

void emit_mask(struct code *c, enum divert_field field, uint32_t mask, uint32_t value, uint32_t yes,
	       uint32_t no)
{
	struct divert_insn *in = emit(c, DIVERT_OP_MASK, field, yes, no);

	in->mask.mask = mask;
	in->mask.value = value;
}

void emit_prefix(struct code *c, enum divert_op op, enum divert_wide field, const void *bytes,
		 unsigned int bits, uint32_t yes, uint32_t no)
{
	struct divert_insn *in = emit(c, op, field, yes, no);
	uint32_t word[4];
	int i;

	memcpy(word, bytes, sizeof(word));
	for (i = 0; i < 4; i++)
		in->prefix.word[i] = ntohl(word[i]);
	in->prefix.bits = bits;
}

void emit_flag(struct code *c, uint32_t flag, uint32_t yes, uint32_t no)
{
	emit_mask(c, DIVERT_F_FLAGS, flag, flag, yes, no);
}

void emit_load(struct code *c, enum divert_load what, unsigned int offset, unsigned int width,
	       unsigned int shift, uint32_t mask)
{
	struct divert_insn *in = emit(c, DIVERT_OP_LOAD, what, c->n + 1, OFF);

	in->load.offset = offset;
	in->load.width = width;
	in->load.shift = shift;
	in->load.mask = mask;
}

void emit_ranges(struct code *c, enum divert_field field, const struct rule_range *range,
		 unsigned int n, uint32_t yes, uint32_t no)
{
	enum { ROOM = sizeof(((struct divert_insn *)0)->range) / sizeof(struct rule_range) };
	struct divert_insn *in;
	unsigned int i, k;

	for (i = 0; i < n; i += ROOM) {
		in = emit(c, DIVERT_OP_RANGE, field, yes, i + ROOM < n ? c->n + 1 : no);
		for (k = 0; k < ROOM; k++) {
			in->range[k].lo = i + k < n ? range[i + k].lo : 1;
			in->range[k].hi = i + k < n ? range[i + k].hi : 0;
		}
	}
}

void emit_lookup(struct code *c, const struct rule_table *t, enum divert_key key,
		 unsigned int field, uint32_t yes, uint32_t no)
{
	const struct rules_table *table = rules_table_find(c->rules, t->name);
	struct divert_insn *in = emit(c, DIVERT_OP_LOOKUP, field, yes, no);

	in->lookup.key = key;
	in->lookup.table = table ? table->id : 0;
	in->lookup.check = t->has_value;
	in->lookup.value = t->value;
	in->lookup.flow = table ? table->fields : 0;
}

/* ---- interfaces ---- */

static void emit_never(struct code *c)
{
	emit_mask(c, DIVERT_F_FLAGS, 0, 1, ON, OFF);
}

/* A name with its NULs; the beginning of one; "*" is any name, but not none. */
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

static void emit_tcp(struct code *c)
{
	emit_mask(c, DIVERT_F_PROTO, ~0u, TCP, c->n + 1, OFF);
}

/* All of set are, none of clear is. */
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

static void emit_tcp_field(struct code *c, const struct rule_match *m)
{
	emit_tcp(c);
	switch (m->type) {
	case RULE_ESTABLISHED:
		emit_load(c, DIVERT_LOAD_TRANSPORT, TCP_FLAGS, 1, 0, 255);
		emit_mask(c, DIVERT_F_LOADED, TH_RST | TH_ACK, 0, OFF, ON);
		break;
	case RULE_SETUP:
		emit_load(c, DIVERT_LOAD_TRANSPORT, TCP_FLAGS, 1, 0, 255);
		emit_mask(c, DIVERT_F_LOADED, TH_SYN | TH_ACK, TH_SYN, ON, OFF);
		break;
	case RULE_TCPFLAGS:
		emit_load(c, DIVERT_LOAD_TRANSPORT, TCP_FLAGS, 1, 0, 255);
		emit_flags(c, DIVERT_F_LOADED, m);
		break;
	case RULE_TCPOPTIONS:
		emit_load(c, DIVERT_LOAD_TCPOPTIONS, 0, 0, 0, ~0u);
		emit_flags(c, DIVERT_F_LOADED, m);
		break;
	case RULE_TCPSEQ:
		emit_load(c, DIVERT_LOAD_TRANSPORT, TCP_SEQ, 4, 0, ~0u);
		emit_values(c, DIVERT_F_LOADED, m);
		break;
	case RULE_TCPACK:
		emit_load(c, DIVERT_LOAD_TRANSPORT, TCP_ACK, 4, 0, ~0u);
		emit_values(c, DIVERT_F_LOADED, m);
		break;
	case RULE_TCPWIN:
		emit_load(c, DIVERT_LOAD_TRANSPORT, TCP_WINDOW, 2, 0, ~0u);
		emit_ranges(c, DIVERT_F_LOADED, m->range, m->n, ON, OFF);
		break;
	case RULE_TCPMSS:
		emit_load(c, DIVERT_LOAD_TCPMSS, 0, 0, 0, ~0u);
		emit_ranges(c, DIVERT_F_LOADED, m->range, m->n, ON, OFF);
		break;
	default:
		emit_load(c, DIVERT_LOAD_TCPDATA, 0, 0, 0, ~0u);
		emit_ranges(c, DIVERT_F_LOADED, m->range, m->n, ON, OFF);
		break;
	}
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
	/* mf, df and rf as they stand, above the offset */
	emit_load(c, DIVERT_LOAD_IP, AT_IP_FRAG, 1, 4, 0xe);
	emit_mask(c, DIVERT_F_LOADED, (m->flags.set | clear) & 0xe, m->flags.set & 0xe, ON, OFF);
}

static void emit_ip_field(struct code *c, const struct rule_match *m)
{
	unsigned int i;

	emit_flag(c, DIVERT_IS_V4, c->n + 1, OFF);
	switch (m->type) {
	case RULE_IPID:
		emit_load(c, DIVERT_LOAD_IP, AT_IP_ID, 2, 0, ~0u);
		emit_ranges(c, DIVERT_F_LOADED, m->range, m->n, ON, OFF);
		break;
	case RULE_IPTTL:
		emit_load(c, DIVERT_LOAD_IP, AT_IP_TTL, 1, 0, ~0u);
		emit_ranges(c, DIVERT_F_LOADED, m->range, m->n, ON, OFF);
		break;
	case RULE_IPTOS:
		emit_flags(c, DIVERT_F_TOS, m);
		break;
	case RULE_IPPRECEDENCE:
		for (i = 0; i < m->n; i++)
			emit_mask(c, DIVERT_F_TOS, 0xe0, m->range[i].lo << 5, ON,
				  i + 1 < m->n ? c->n + 1 : OFF);
		break;
	default:
		emit_load(c, DIVERT_LOAD_IPOPTIONS, 0, 0, 0, ~0u);
		emit_flags(c, DIVERT_F_LOADED, m);
		break;
	}
}

static void emit_dscp(struct code *c, const struct rule_match *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		emit_mask(c, DIVERT_F_TOS, 0xfc, m->range[i].lo << 2, ON,
			  i + 1 < m->n ? c->n + 1 : OFF);
}

static void emit_icmp_codes(struct code *c, const struct rule_match *m)
{
	uint32_t at = c->n;

	/* of either protocol: what has a type has a code */
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

/* Packets on their way out pass. */
static void emit_path(struct code *c, enum divert_path what)
{
	emit_flag(c, DIVERT_IS_OUT, ON, c->n + 1);
	emit(c, DIVERT_OP_PATH, what, ON, OFF);
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
	const uint32_t back = DIVERT_IS_BACK_IN | DIVERT_IS_BACK_OUT;
	uint32_t from;

	if (rule_kind[m->type].argument == ARG_FLAGS && m->flags.set & m->flags.clear) {
		emit_never(c);
		return;
	}
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
	case RULE_SPORT:
		emit_ranges(c, DIVERT_F_SPORT, m->range, m->n, ON, OFF);
		break;
	case RULE_DPORT:
		emit_ranges(c, DIVERT_F_DPORT, m->range, m->n, ON, OFF);
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
	case RULE_ICMP:
		emit_ranges(c, DIVERT_F_ICMP, m->range, m->n, ON, OFF);
		break;
	case RULE_ICMP6:
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
		emit_ranges(c, DIVERT_F_ICMP6, m->range, m->n, ON, OFF);
		break;
	case RULE_ICMPCODES:
		emit_icmp_codes(c, m);
		break;
	case RULE_DIVERTED:
		emit_mask(c, DIVERT_F_FLAGS, back, 0, OFF, ON);
		break;
	case RULE_DIVERTED_LOOPBACK:
		emit_flag(c, DIVERT_IS_BACK_IN, ON, OFF);
		break;
	case RULE_DIVERTED_OUTPUT:
		emit_flag(c, DIVERT_IS_BACK_OUT, ON, OFF);
		break;
	case RULE_FWMARK:
		emit_mask(c, DIVERT_F_MARK, m->mark.mask, m->mark.value, ON, OFF);
		break;
	case RULE_ESTABLISHED:
	case RULE_SETUP:
	case RULE_TCPFLAGS:
	case RULE_TCPOPTIONS:
	case RULE_TCPSEQ:
	case RULE_TCPACK:
	case RULE_TCPWIN:
	case RULE_TCPMSS:
	case RULE_TCPDATALEN:
		emit_tcp_field(c, m);
		break;
	case RULE_IPLEN:
		emit_ranges(c, DIVERT_F_LEN, m->range, m->n, ON, OFF);
		break;
	case RULE_IPID:
	case RULE_IPTTL:
	case RULE_IPTOS:
	case RULE_IPPRECEDENCE:
	case RULE_IPOPTIONS:
		emit_ip_field(c, m);
		break;
	case RULE_DSCP:
		emit_dscp(c, m);
		break;
	case RULE_FRAG:
		emit_frag(c, m);
		break;
	case RULE_EXT6HDR:
		emit_mask(c, DIVERT_F_EXT, m->flags.set, 0, OFF, ON);
		break;
	case RULE_FLOWID:
		emit_flag(c, DIVERT_IS_V6, c->n + 1, OFF);
		emit_load(c, DIVERT_LOAD_IP, 0, 4, 0, 0xfffff);
		emit_values(c, DIVERT_F_LOADED, m);
		break;
	case RULE_UID:
	case RULE_GID:
		emit_load(c, m->type == RULE_UID ? DIVERT_LOAD_UID : DIVERT_LOAD_GID, 0, 0, 0, ~0u);
		emit_values(c, DIVERT_F_LOADED, m);
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
		emit_path(c, DIVERT_PATH_REVERSE);
		break;
	case RULE_VERSRCREACH:
		emit_path(c, DIVERT_PATH_REACH);
		break;
	case RULE_ANTISPOOF:
		emit_path(c, DIVERT_PATH_HONEST);
		break;
	case RULE_BYPASS:
	case RULE_TYPES:
		break;
	}
}
