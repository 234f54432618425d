// SPDX-License-Identifier: BSD-2-Clause
/* The plain evaluator: a condition of a rule. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

static bool in_ranges(const struct rule_match *m, uint32_t v)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (v >= m->range[i].lo && v <= m->range[i].hi)
			return true;
	return false;
}

static bool in_values(const struct rule_match *m, uint32_t v)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (v == m->value[i])
			return true;
	return false;
}

static bool flags_are(const struct rule_match *m, uint32_t bits)
{
	return (bits & m->flags.set) == m->flags.set && !(bits & m->flags.clear);
}

static bool same_bits(const unsigned char *x, const unsigned char *y, unsigned int bits)
{
	unsigned int i;

	for (i = 0; i < bits; i++)
		if ((x[i / 8] ^ y[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

static bool value_found(const struct rule_table *t, struct random_sample *s, uint32_t value)
{
	if (t->has_value && t->value != value)
		return false;
	s->tablearg = value;
	return true;
}

/* The most specific prefix of the family that covers the address. */
static bool table_has_addr(const struct rule_table *t, struct random_sample *s,
			   const unsigned char *addr)
{
	unsigned char net[16];
	int i, best = -1, bits, best_bits = -1;
	char text[64], *slash;

	for (i = 0; i < (int)RANDOM_ENTRIES; i++) {
		if (strcmp(random_entry[i].table, t->name) ||
		    !strchr(random_entry[i].key, ':') != !s->six)
			continue;
		strcpy(text, random_entry[i].key);
		slash = strchr(text, '/');
		bits = slash ? atoi(slash + 1) : s->six ? 128 : 32;
		if (slash)
			*slash = 0;
		inet_pton(s->six ? AF_INET6 : AF_INET, text, net);
		if (same_bits(addr, net, bits) && bits > best_bits) {
			best = i;
			best_bits = bits;
		}
	}
	return best >= 0 && value_found(t, s, random_entry[best].value);
}

static bool table_has_word(const struct rule_table *t, struct random_sample *s, const char *word)
{
	unsigned int i;

	for (i = 0; i < RANDOM_ENTRIES; i++)
		if (!strcmp(random_entry[i].table, t->name) && !strcmp(random_entry[i].key, word))
			return value_found(t, s, random_entry[i].value);
	return false;
}

static bool table_has_number(const struct rule_table *t, struct random_sample *s, uint32_t v)
{
	char word[16];

	snprintf(word, sizeof(word), "%u", v);
	return table_has_word(t, s, word);
}

/* The table has the type RANDOM_FLOW. */
static bool table_has_flow(const struct rule_table *t, struct random_sample *s, uint16_t dport)
{
	char text[INET6_ADDRSTRLEN], word[64];

	inet_ntop(s->six ? AF_INET6 : AF_INET, s->src, text, sizeof(text));
	snprintf(word, sizeof(word), "%s,%u,%u", text, s->proto, dport);
	return table_has_word(t, s, word);
}

static bool is_own(const struct random_sample *s, const unsigned char *addr)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(s->six ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	return !strcmp(text, random_own[s->six]);
}

static bool is_addr(const struct rule_addr *a, struct random_sample *s, const unsigned char *addr)
{
	unsigned int i;
	uint32_t ip;

	memcpy(&ip, addr, 4);
	switch (a->kind) {
	case RULE_ADDR_4:
		return !s->six && (ip & a->mask.s_addr) == a->ip.s_addr;
	case RULE_ADDR_SET:
		return !s->six && (ip & a->mask.s_addr) == a->ip.s_addr &&
		       a->set[addr[3] / 32] & 1u << addr[3] % 32;
	case RULE_ADDR_6:
		return s->six && same_bits(addr, a->ip6.s6_addr, a->bits);
	case RULE_ADDR_6_MASK:
		for (i = 0; i < 16; i++)
			if ((addr[i] ^ a->ip6.s6_addr[i]) & a->mask6.s6_addr[i])
				return false;
		return s->six;
	case RULE_ADDR_ME:
		return is_own(s, addr);
	case RULE_ADDR_ME6:
		return s->six && is_own(s, addr);
	case RULE_ADDR_TABLE:
		return table_has_addr(a->table, s, addr);
	}
	return false;
}

/* Whether one of them matches. The order in which they were entered shows in tablearg. */
static bool is_one_of(const struct rule_match *m, struct random_sample *s,
		      const unsigned char *addr)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (is_addr(&m->addr[i], s, addr))
			return true;
	return false;
}

static bool is_iface(const struct rule_match *m, struct random_sample *s, const char *name)
{
	char text[INET6_ADDRSTRLEN];

	if (!name)
		return false;
	switch (m->iface.kind) {
	case RULE_IFACE_NAME:
		return !strcmp(name, strcmp(m->iface.name, "lo0") ? m->iface.name : "lo");
	case RULE_IFACE_PREFIX:
		return !strncmp(name, m->iface.name, strlen(m->iface.name));
	case RULE_IFACE_ADDR:
		if (m->iface.addr.kind == RULE_ADDR_4)
			inet_ntop(AF_INET, &m->iface.addr.ip, text, sizeof(text));
		else
			inet_ntop(AF_INET6, &m->iface.addr.ip6, text, sizeof(text));
		return random_iface_has(name, text);
	case RULE_IFACE_TABLE:
		return table_has_word(m->iface.table, s, name);
	}
	return false;
}

/*
 * The transport header; NULL: a later fragment has none. A condition asks for it by this call. The
 * question is noted, whatever the protocol is.
 */
static const struct random_transport *transport(struct random_sample *s)
{
	s->asked = true;
	return s->frag_offset ? NULL : &s->t;
}

static const struct random_transport *ports(struct random_sample *s)
{
	const struct random_transport *t = transport(s);

	return s->proto == 6 || s->proto == 17 || s->proto == 132 || s->proto == 136 ? t : NULL;
}

static const struct random_transport *icmp(struct random_sample *s)
{
	const struct random_transport *t = transport(s);

	return s->proto == 1 || s->proto == 58 ? t : NULL;
}

static const struct random_transport *tcp(struct random_sample *s)
{
	const struct random_transport *t = transport(s);

	return s->proto == 6 ? t : NULL;
}

static bool plain_lookup(const struct rule_match *m, struct random_sample *s)
{
	const struct rule_table *t = m->lookup.table;
	const struct random_transport *p;

	switch (m->lookup.key) {
	case RULE_LOOKUP_SRC:
		return table_has_addr(t, s, s->src);
	case RULE_LOOKUP_DST:
		return table_has_addr(t, s, s->dst);
	case RULE_LOOKUP_SPORT:
		p = ports(s);
		return p && table_has_number(t, s, p->sport);
	case RULE_LOOKUP_DPORT:
		p = ports(s);
		return p && table_has_number(t, s, p->dport);
	case RULE_LOOKUP_UID:
		return s->uid >= 0 && table_has_number(t, s, s->uid);
	case RULE_LOOKUP_DSCP:
		return table_has_number(t, s, s->tos >> 2);
	case RULE_LOOKUP_MARK:
		return table_has_number(t, s, s->mark);
	}
	return false;
}

bool plain_match(const struct rule_match *m, struct random_sample *s)
{
	const struct random_transport *t;

	switch (m->type) {
	case RULE_PROTO:
		return s->proto == m->proto;
	case RULE_IP4:
		return !s->six;
	case RULE_IP6:
		return s->six;
	case RULE_SRC:
		return is_one_of(m, s, s->src);
	case RULE_DST:
		return is_one_of(m, s, s->dst);
	case RULE_SPORT:
		t = ports(s);
		return t && in_ranges(m, t->sport);
	case RULE_DPORT:
		t = ports(s);
		return t && in_ranges(m, t->dport);
	case RULE_IN:
		return !s->out;
	case RULE_VIA:
		return is_iface(m, s, s->out ? s->xmit : s->recv);
	case RULE_RECV:
		return is_iface(m, s, s->recv);
	case RULE_XMIT:
		return s->out && is_iface(m, s, s->xmit);
	case RULE_ICMP:
		t = icmp(s);
		return t && s->proto == 1 && in_ranges(m, t->type);
	case RULE_ICMP6:
		t = icmp(s);
		return t && s->six && s->proto == 58 && in_ranges(m, t->type);
	case RULE_ICMPCODES:
		t = icmp(s);
		return t && in_ranges(m, t->code);
	case RULE_DIVERTED:
		return s->reinject != 0;
	case RULE_DIVERTED_LOOPBACK:
		return s->reinject == DIVERT_IS_REINJECTED_IN;
	case RULE_DIVERTED_OUTPUT:
		return s->reinject == DIVERT_IS_REINJECTED_OUT;
	case RULE_FWMARK:
		return (s->mark & m->mark.mask) == m->mark.value;
	case RULE_ESTABLISHED:
		t = tcp(s);
		return t && t->tcp_flags & 0x14;
	case RULE_SETUP:
		t = tcp(s);
		return t && t->tcp_flags & 2 && !(t->tcp_flags & 0x10);
	case RULE_TCPFLAGS:
		t = tcp(s);
		return t && flags_are(m, t->tcp_flags);
	case RULE_TCPOPTIONS:
		t = tcp(s);
		return t && flags_are(m, t->tcp_options);
	case RULE_TCPSEQ:
		t = tcp(s);
		return t && in_values(m, t->seq);
	case RULE_TCPACK:
		t = tcp(s);
		return t && in_values(m, t->ack);
	case RULE_TCPWIN:
		t = tcp(s);
		return t && in_ranges(m, t->window);
	case RULE_TCPMSS:
		t = tcp(s);
		return t && t->tcp_options & DIVERT_TCPOPT_MSS && in_ranges(m, t->mss);
	case RULE_TCPDATALEN:
		t = tcp(s);
		return t && in_ranges(m, t->data);
	case RULE_IPID:
		return !s->six && in_ranges(m, s->id);
	case RULE_IPLEN:
		return in_ranges(m, s->len);
	case RULE_IPTTL:
		return !s->six && in_ranges(m, s->ttl);
	case RULE_IPTOS:
		return !s->six && flags_are(m, s->tos);
	case RULE_IPPRECEDENCE:
		return !s->six && in_ranges(m, s->tos >> 5);
	case RULE_DSCP:
		return in_ranges(m, s->tos >> 2);
	case RULE_IPOPTIONS:
		return !s->six && flags_are(m, s->ip_options);
	case RULE_FRAG:
		if (!m->flags.set && !m->flags.clear)
			return s->frag_offset;
		return !s->six &&
		       flags_are(m, s->offset_bits | (s->frag_offset ? RULE_FRAG_OFFSET : 0));
	case RULE_EXT6HDR:
		return s->six && s->ext & m->flags.set;
	case RULE_FLOWID:
		return s->six && in_values(m, s->flow);
	case RULE_IPVER:
		return *m->value == (s->six ? 6 : 4);
	case RULE_FIRST: /* counts packets that meet all else: states_first() */
	case RULE_SOCKARG:
		return false;
	case RULE_UID:
		return s->uid >= 0 && in_values(m, s->uid);
	case RULE_GID:
		return s->gid >= 0 && in_values(m, s->gid);
	case RULE_VERREVPATH:
		return s->out || s->path >> DIVERT_RPF_REVERSE & 1;
	case RULE_VERSRCREACH:
		return s->out || s->path >> DIVERT_RPF_REACH & 1;
	case RULE_ANTISPOOF:
		return s->out || s->path >> DIVERT_RPF_HONEST & 1;
	case RULE_LOOKUP:
		return plain_lookup(m, s);
	case RULE_FLOW:
		t = ports(s);
		return t && table_has_flow(m->lookup.table, s, t->dport);
	case RULE_BYPASS:
		return true;
	case RULE_TYPES:
		break;
	}
	return false;
}
