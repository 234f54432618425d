/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts table entries between words and the kernel half's format. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int entry_addr(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct rules_entry *e)
{
	struct rule_addr a;
	char text[64];
	uint32_t mask;

	if (strchr(word, '{') || parse_address(&a, loopback_name(word, false, text)))
		goto bad;
	if (a.kind == RULE_ADDR_6) {
		e->addr.table = htonl(t->id << 1 | 1);
		e->addr.bits = 32 + a.bits;
		memcpy(e->addr.addr, &a.ip6, sizeof(a.ip6));
		return 0;
	}
	mask = ntohl(a.mask.s_addr);
	if (~mask & (~mask + 1))
		goto bad;
	e->addr.table = htonl(t->id << 1);
	e->addr.bits = 32 + __builtin_popcount(mask);
	e->addr.addr[0] = a.ip.s_addr;
	return 0;
bad:
	return rules_fail(err, EX_DATAERR, "%s: not an IPv4 or IPv6 address, or prefix of one",
			  word);
}

/* The next word of a flow, if the table has this field; else NULL. -1: the word is missing. */
static int flow_word(const struct rules_table *t, enum divert_flow_field field, char **rest,
		     char **word)
{
	*word = NULL;
	if (!(t->fields & field))
		return 0;
	*word = strsep(rest, ",");
	return *word && **word ? 0 : -1;
}

static bool flow_addr(struct divert_table_flow *f, const char *word, __be32 *addr, bool other)
{
	bool six = strchr(word, ':') != NULL;

	if (inet_pton(six ? AF_INET6 : AF_INET, word, addr) != 1 || (other && f->six != six))
		return false;
	f->six = six;
	return true;
}

/* "src-ip,proto,src-port,dst-ip,dst-port", but only the fields that the table has. */
static bool entry_flow(const struct rules_table *t, char *text, struct divert_table_flow *f)
{
	char *src, *proto, *sport, *dst, *dport, *rest = text;
	int number = 0;

	if (flow_word(t, DIVERT_FLOW_SRC, &rest, &src) ||
	    flow_word(t, DIVERT_FLOW_PROTO, &rest, &proto) ||
	    flow_word(t, DIVERT_FLOW_SPORT, &rest, &sport) ||
	    flow_word(t, DIVERT_FLOW_DST, &rest, &dst) ||
	    flow_word(t, DIVERT_FLOW_DPORT, &rest, &dport) || rest)
		return false;
	if (proto)
		number = protocol_number(proto);
	f->proto = number;
	return number >= 0 && (!src || flow_addr(f, src, f->src, false)) &&
	       (!sport || parse_port(sport, &f->sport)) &&
	       (!dst || flow_addr(f, dst, f->dst, src)) && (!dport || parse_port(dport, &f->dport));
}

static int parse_flow(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct divert_table_flow *f)
{
	char *copy = strdup(word), type[RULES_TYPE_TEXT];
	bool ok;

	if (!copy)
		return rules_fail(err, EX_OSERR, "out of memory");
	f->table = t->id;
	ok = entry_flow(t, copy, f);
	free(copy);
	if (ok)
		return 0;
	rules_table_type_print(t, type);
	return rules_fail(err, EX_DATAERR, "%s: not a flow: expected %s", word,
			  type + sizeof("flow:") - 1);
}

int rules_entry_parse(const struct rules_table *t, const char *word, struct rules_error *err,
		      struct rules_entry *e)
{
	memset(e, 0, sizeof(*e));
	if (t->type == RULES_TABLE_ADDR)
		return entry_addr(t, word, err, e);
	if (t->type == RULES_TABLE_FLOW)
		return parse_flow(t, word, err, &e->flow);
	e->key.table = t->id;
	if (t->type == RULES_TABLE_NUMBER)
		return parse_number(word, ~0u, &e->key.number)
			       ? 0
			       : rules_fail(err, EX_DATAERR,
					    "%s: not a number: expected 0 to "
					    "4294967295",
					    word);
	if (!*word || strlen(word) >= sizeof(e->key.name) || strpbrk(word, "*/:(){},"))
		return rules_fail(err, EX_DATAERR,
				  "%s: not an interface's name: up to 15 characters, no / and no :",
				  word);
	strcpy(e->key.name, rules_iface_name(word));
	return 0;
}

static void print_flow(const struct rules_table *t, const struct divert_table_flow *f, char *text)
{
	const char *proto = protocol_name(f->proto, false), *comma = "";
	char word[5][INET6_ADDRSTRLEN];
	unsigned int i, at = 0;

	inet_ntop(f->six ? AF_INET6 : AF_INET, f->src, word[0], sizeof(word[0]));
	if (proto)
		snprintf(word[1], sizeof(word[1]), "%s", proto);
	else
		snprintf(word[1], sizeof(word[1]), "%u", f->proto);
	snprintf(word[2], sizeof(word[2]), "%u", f->sport);
	inet_ntop(f->six ? AF_INET6 : AF_INET, f->dst, word[3], sizeof(word[3]));
	snprintf(word[4], sizeof(word[4]), "%u", f->dport);
	for (i = 0; i < 5; i++)
		if (t->fields >> i & 1) { /* in the order of enum divert_flow_field */
			at += snprintf(text + at, RULES_ENTRY_TEXT - at, "%s%s", comma, word[i]);
			comma = ",";
		}
}

void rules_entry_print(const struct rules_table *t, const struct rules_entry *e,
		       char text[RULES_ENTRY_TEXT])
{
	char buf[INET6_ADDRSTRLEN];
	bool six;

	switch (t->type) {
	case RULES_TABLE_ADDR:
		six = ntohl(e->addr.table) & 1;
		inet_ntop(six ? AF_INET6 : AF_INET, e->addr.addr, buf, sizeof(buf));
		snprintf(text, RULES_ENTRY_TEXT, "%s/%u", buf, e->addr.bits - 32);
		break;
	case RULES_TABLE_NUMBER:
		snprintf(text, RULES_ENTRY_TEXT, "%u", e->key.number);
		break;
	case RULES_TABLE_IFACE:
		snprintf(text, RULES_ENTRY_TEXT, "%.15s", e->key.name);
		break;
	case RULES_TABLE_FLOW:
		print_flow(t, &e->flow, text);
		break;
	case RULES_TABLE_TYPES:
		break;
	}
}
