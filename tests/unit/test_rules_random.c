// sources: rules/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random rule sets against random packets: what the compiled form says of a packet's bytes is what
 * a plain evaluator says, which walks the rule model and looks at what the packet was made of.
 * RANDOM_PAIRS and RANDOM_SEED in the environment ask for other ones than usual.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/rules.h"

#define PACKET_MAX 512
#define PACKETS	   250 /* for each rule set */
#define PAIRS	   1000000
#define MET_MAX	   256 /* rules that a packet meets, calls within calls included */

struct bytes {
	unsigned char byte[PACKET_MAX];
	unsigned int n;
};

static int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	const struct bytes *b = from;

	if (offset > b->n || len > b->n - offset)
		return -1;
	memcpy(to, b->byte + offset, len);
	return 0;
}

#include "engine/field.h"
#include "engine/match.h"

/* ---- chance ---- */

static uint64_t seed = 1;

static uint32_t chance(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

#define PICK(list) ((list)[chance(sizeof(list) / sizeof(*(list)))])

/* ---- packets ---- */

static const char *const addrs4[] = {"10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.7",
				     "192.0.2.200"};
static const char *const addrs6[] = {"fd00::1", "fd00::2", "fd00:0:0:1::1", "2001:db8::7"};
static const char *const ifaces[] = {"eth0", "eth1", "tun0", "lo"};
static const uint8_t protos[] = {1, 6, 6, 6, 17, 17, 47, 58, 132};
static const uint16_t ports[] = {0, 22, 53, 80, 1000, 1001, 65535};

struct sample {
	bool six, out, forwarded, nobody;
	uint8_t proto, ttl, tos, type, code, tcp_flags,
		offset_bits; /* as enum rule_frag, no offset */
	uint16_t sport, dport, id, window, mss, ip_options, tcp_options, ext, data, frag_offset,
		tag;
	uint32_t seq, ack, flow, mark, back, random, len;
	int64_t uid, gid; /* -1: none */
	unsigned char src[16], dst[16];
	const char *recv, *xmit; /* NULL: none */
	uint32_t tablearg;
};

static void put(struct bytes *b, const void *bytes, unsigned int n)
{
	memcpy(b->byte + b->n, bytes, n);
	b->n += n;
}

static void put8(struct bytes *b, uint8_t v)
{
	put(b, &v, 1);
}

static void put16(struct bytes *b, uint16_t v)
{
	v = htons(v);
	put(b, &v, 2);
}

static void put32(struct bytes *b, uint32_t v)
{
	v = htonl(v);
	put(b, &v, 4);
}

static void put_option(struct bytes *b, uint8_t kind, unsigned int len)
{
	while (!chance(3))
		put8(b, 1);
	put8(b, kind);
	put8(b, len);
	while (len-- > 2)
		put8(b, chance(256));
}

static void put_padding(struct bytes *b, unsigned int from)
{
	while ((b->n - from) % 4)
		put8(b, 0);
}

static void put_ip_options(struct bytes *b, unsigned int bits)
{
	unsigned int from = b->n;

	if (bits & DIVERT_IPOPT_RR)
		put_option(b, 7, 3);
	if (bits & DIVERT_IPOPT_TS)
		put_option(b, 68, 4);
	if (bits & DIVERT_IPOPT_LSRR)
		put_option(b, 131, 3);
	if (bits & DIVERT_IPOPT_SSRR)
		put_option(b, 137, 3);
	put_padding(b, from);
}

static void put_tcp(struct bytes *b, const struct sample *s)
{
	unsigned int at = b->n, from = at + 20;

	put16(b, s->sport);
	put16(b, s->dport);
	put32(b, s->seq);
	put32(b, s->ack);
	put8(b, 0);
	put8(b, s->tcp_flags);
	put16(b, s->window);
	put32(b, 0);
	if (s->tcp_options & DIVERT_TCPOPT_WINDOW)
		put_option(b, 3, 3);
	if (s->tcp_options & DIVERT_TCPOPT_MSS) {
		put16(b, 0x0204);
		put16(b, s->mss);
	}
	if (s->tcp_options & DIVERT_TCPOPT_SACK)
		put_option(b, 4, 2);
	if (s->tcp_options & DIVERT_TCPOPT_TS)
		put_option(b, 8, 10);
	if (s->tcp_options & DIVERT_TCPOPT_CC)
		put_option(b, 11, 6);
	put_padding(b, from);
	while (b->n - at > 60) /* more NOPs than there is room for */
		b->n -= 4;
	b->byte[at + 12] = (b->n - at) / 4 << 4;
}

static void put_transport(struct bytes *b, const struct sample *s)
{
	static const unsigned char zero[64];

	if (s->frag_offset)
		put(b, zero, 8);
	else if (s->proto == 6)
		put_tcp(b, s);
	else if (s->proto == 17 || s->proto == 132) {
		put16(b, s->sport);
		put16(b, s->dport);
		put32(b, 0);
	} else {
		put8(b, s->type);
		put8(b, s->code);
		put(b, zero, 6);
	}
	put(b, zero, s->data);
}

static void make4(struct bytes *b, const struct sample *s)
{
	static const unsigned char zero[2];

	put16(b, 0x4500 | s->tos);
	put16(b, 0);
	put16(b, s->id);
	put16(b, (s->offset_bits & RULE_FRAG_RF ? 0x8000 : 0) |
			 (s->offset_bits & RULE_FRAG_DF ? 0x4000 : 0) |
			 (s->offset_bits & RULE_FRAG_MF ? 0x2000 : 0) | s->frag_offset);
	put8(b, s->ttl);
	put8(b, s->proto);
	put(b, zero, 2);
	put(b, s->src, 4);
	put(b, s->dst, 4);
	put_ip_options(b, s->ip_options);
	b->byte[0] = 0x40 | b->n / 4;
	put_transport(b, s);
	b->byte[2] = b->n >> 8;
	b->byte[3] = b->n;
}

/* An extension header of 8 bytes; next is where the type of it stands, and then that of what follows. */
static unsigned int put_ext(struct bytes *b, unsigned int next, uint8_t header, uint8_t third)
{
	unsigned int at = b->n;

	b->byte[next] = header;
	put8(b, 0);
	put8(b, 0);
	put8(b, third);
	put8(b, 0);
	put32(b, 0);
	return at;
}

static void make6(struct bytes *b, const struct sample *s)
{
	unsigned int next = 6, frag;

	put32(b, 6u << 28 | (uint32_t)s->tos << 20 | s->flow);
	put16(b, 0);
	put8(b, 0);
	put8(b, s->ttl);
	put(b, s->src, 16);
	put(b, s->dst, 16);
	if (s->ext & DIVERT_EXT_HOPOPT)
		next = put_ext(b, next, 0, 0);
	if (s->ext & DIVERT_EXT_ROUTE)
		next = put_ext(b, next, 43,
			       s->ext & DIVERT_EXT_RTHDR0   ? 0
			       : s->ext & DIVERT_EXT_RTHDR2 ? 2
							    : 4);
	if (s->ext & DIVERT_EXT_DSTOPT)
		next = put_ext(b, next, 60, 0);
	if (s->ext & DIVERT_EXT_AH)
		next = put_ext(b, next, 51, 0);
	if (s->ext & DIVERT_EXT_FRAG) {
		frag = put_ext(b, next, 44, s->frag_offset >> 5);
		b->byte[frag + 3] = s->frag_offset << 3 | 1;
		next = frag;
	}
	b->byte[next] = s->proto;
	put_transport(b, s);
	b->byte[4] = (b->n - 40) >> 8;
	b->byte[5] = b->n - 40;
}

static void make_sample(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->six = chance(2);
	if (s->six) {
		inet_pton(AF_INET6, PICK(addrs6), s->src);
		inet_pton(AF_INET6, PICK(addrs6), s->dst);
		s->ext = chance(2) ? 0 : chance(32);
		if (s->ext & DIVERT_EXT_ROUTE)
			s->ext |= chance(2) ? DIVERT_EXT_RTHDR0 : chance(2) ? DIVERT_EXT_RTHDR2 : 0;
		if (s->ext & DIVERT_EXT_FRAG && chance(2))
			s->frag_offset = 1 + chance(300);
		s->flow = chance(3);
	} else {
		inet_pton(AF_INET, PICK(addrs4), s->src);
		inet_pton(AF_INET, PICK(addrs4), s->dst);
		s->ip_options = chance(4) ? 0 : chance(16);
		s->offset_bits = chance(8) << 1;
		s->frag_offset = chance(4) ? 0 : 1 + chance(300);
	}
	s->proto = PICK(protos);
	s->ttl = 1 + chance(3);
	s->tos = chance(2) ? chance(256) : 46 << 2;
	s->type = chance(2) ? 8 : 128;
	s->code = chance(3);
	s->tcp_flags = chance(64);
	s->sport = PICK(ports);
	s->dport = PICK(ports);
	s->id = chance(4);
	s->window = chance(4);
	s->tcp_options = chance(2) ? 0 : chance(32);
	s->mss = 1000 + chance(3);
	s->data = chance(3);
	s->seq = chance(3);
	s->ack = chance(3);
	s->mark = chance(4);
	s->random = chance(1u << 31) * 2;
	s->uid = chance(3) - 1;
	s->gid = chance(3) - 1;
	s->nobody = chance(2);
	s->tag = chance(3) ? 0 : chance(40);
	s->out = chance(2);
	s->forwarded = s->out && chance(2);
	s->recv = !s->out || s->forwarded ? PICK(ifaces) : NULL;
	s->xmit = s->out ? PICK(ifaces) : NULL;
	if (!chance(3))
		s->back = s->out ? DIVERT_IS_BACK_OUT : DIVERT_IS_BACK_IN;
}

/* ---- what the kernel has: addresses and tables ---- */

static const char *const own[] = {"10.0.0.1", "fd00::1"};

/* Of every interface whose name begins with e. */
static bool iface_has(const char *name, const char *addr)
{
	return name && *name == 'e' && !strcmp(addr, "10.0.0.1");
}

static const struct {
	const char *table, *key;
	uint32_t value;
} entries[] = {
	{"ta", "10.0.0.0/8", 5}, {"ta", "10.0.0.0/24", 10}, {"ta", "10.0.0.2", 25},
	{"ta", "fd00::/64", 5},	 {"ta", "fd00::1", 10},	    {"tn", "53", 5},
	{"tn", "0", 10},	 {"tn", "46", 25},	    {"tn", "1", 5},
	{"ti", "eth0", 5},	 {"ti", "lo", 10},
};

#define N_ENTRIES (sizeof(entries) / sizeof(*entries))

static struct rules_entry kernel[N_ENTRIES];

static void set_entries(const struct rules *s)
{
	struct rules_error err;
	unsigned int i;

	for (i = 0; i < N_ENTRIES; i++) {
		const struct rules_table *t = rules_table_find(s, entries[i].table);

		assert_non_null(t);
		assert_int_equal(rules_entry_parse(t, entries[i].key, &err, &kernel[i]), 0);
		kernel[i].value = entries[i].value;
	}
}

/* As an LPM trie has it: the bits behind the number of them. */
static bool has_prefix(const struct divert_table_addr *key, const struct divert_table_addr *prefix)
{
	const unsigned char *x = (const void *)&key->table, *y = (const void *)&prefix->table;
	unsigned int i;

	for (i = 0; i < prefix->bits; i++)
		if ((x[i / 8] ^ y[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return prefix->bits <= key->bits;
}

static bool is_addr_entry(unsigned int i)
{
	return !strcmp(entries[i].table, "ta");
}

static const uint32_t *kernel_addr(const struct divert_table_addr *key)
{
	const struct rules_entry *best = NULL;
	unsigned int i;

	for (i = 0; i < N_ENTRIES; i++)
		if (is_addr_entry(i) && has_prefix(key, &kernel[i].addr) &&
		    (!best || kernel[i].addr.bits > best->addr.bits))
			best = &kernel[i];
	return best ? &best->value : NULL;
}

static const uint32_t *kernel_key(const struct divert_table_key *key)
{
	unsigned int i;

	for (i = 0; i < N_ENTRIES; i++)
		if (!is_addr_entry(i) && !memcmp(key, &kernel[i].key, sizeof(*key)))
			return &kernel[i].value;
	return NULL;
}

static void wide_bytes(const __u64 *wide, void *to)
{
	unsigned char *byte = to;
	unsigned int i;

	for (i = 0; i < 16; i++)
		byte[i] = wide[i / 8] >> (56 - i % 8 * 8);
}

/* ---- the compiled form, as the kernel half runs it ---- */

struct met {
	uint32_t counter[MET_MAX];
	unsigned int n;
	enum { ALLOWED, DENIED, ANSWERED, DIVERTED, DROPPED, ENDLESS } verdict;
	uint32_t rule, port;
};

static bool graph_lookup(const struct divert_insn *in, struct divert_packet *p)
{
	bool six = p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6, src = in->lookup.key == DIVERT_KEY_SRC;
	struct divert_table_addr addr = {.bits = six ? 160 : 64};
	struct divert_table_key key = {.table = in->lookup.table};
	const uint32_t *value;

	if (in->lookup.key <= DIVERT_KEY_DST) {
		addr.table = htonl(in->lookup.table << 1 | six);
		if (six)
			wide_bytes(p->wide[src ? DIVERT_W_SRC6 : DIVERT_W_DST6], addr.addr);
		else
			addr.addr[0] = p->field[src ? DIVERT_F_SRC4 : DIVERT_F_DST4];
		value = kernel_addr(&addr);
	} else {
		if (in->lookup.key == DIVERT_KEY_NAME)
			wide_bytes(p->wide[in->field], key.name);
		else
			key.number = p->field[in->field];
		value = kernel_key(&key);
	}
	if (!value || (in->lookup.check && *value != in->lookup.value))
		return false;
	p->field[DIVERT_F_TABLEARG] = *value;
	return true;
}

static bool graph_own(const struct divert_insn *in, const struct divert_packet *p)
{
	bool src = in->field == DIVERT_W_SRC6;
	struct in6_addr a, mine;

	if (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		wide_bytes(p->wide[in->field], &a);
		inet_pton(AF_INET6, own[1], &mine);
		return !memcmp(&a, &mine, 16);
	}
	inet_pton(AF_INET, own[0], &mine);
	return !memcmp(&p->field[src ? DIVERT_F_SRC4 : DIVERT_F_DST4], &mine, 4);
}

static bool graph_iface(const struct divert_insn *in, const struct sample *s)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t word[4];
	int i;

	for (i = 0; i < 4; i++)
		word[i] = htonl(in->prefix.word[i]);
	inet_ntop(in->prefix.bits > 32 ? AF_INET6 : AF_INET, word, text, sizeof(text));
	return iface_has(in->field == DIVERT_W_RECV ? s->recv : s->xmit, text);
}

static bool graph_load(const struct divert_insn *in, struct bytes *b, const struct sample *s,
		       struct divert_packet *p)
{
	int64_t id = in->field == DIVERT_LOAD_UID ? s->uid : s->gid;

	switch (in->field) {
	case DIVERT_LOAD_UID:
	case DIVERT_LOAD_GID:
		p->field[DIVERT_F_LOADED] = id;
		return id >= 0;
	case DIVERT_LOAD_RANDOM:
		p->field[DIVERT_F_LOADED] = s->random;
		return true;
	}
	return packet_look(b, in, p);
}

static bool graph_match(const struct divert_insn *in, struct bytes *b, const struct sample *s,
			struct divert_packet *p)
{
	switch (in->op) {
	case DIVERT_OP_LOAD:
		return graph_load(in, b, s, p);
	case DIVERT_OP_LOOKUP:
		return graph_lookup(in, p);
	case DIVERT_OP_OWN:
		return graph_own(in, p);
	case DIVERT_OP_IFADDR:
		return graph_iface(in, s);
	case DIVERT_OP_FRAGMENT: /* nothing is known of other fragments */
		return true;
	default:
		return match_insn(in, p);
	}
}

static uint32_t entry_above(const struct rules_compiled *c, uint32_t tag)
{
	uint32_t i;

	for (i = 0; i < c->entries && c->entry[i].rule <= tag; i++)
		;
	return i < c->entries ? c->entry[i].insn : c->insns - 1;
}

static uint32_t graph_aim(const struct rules_compiled *c, const struct divert_insn *in, uint32_t pc,
			  const struct divert_packet *p)
{
	uint32_t to = p->field[DIVERT_F_TABLEARG];

	to = to && to <= 65535 ? entry_above(c, to - 1) : c->insns - 1;
	return to > pc + 1 || in->op == DIVERT_OP_CALL ? to : pc + 1;
}

static void set_name(__u64 *wide, const char *name)
{
	char bytes[16] = "";
	int i;

	if (name)
		strcpy(bytes, name);
	for (i = 0; i < 16; i++)
		wide[i / 8] = wide[i / 8] << 8 | (unsigned char)bytes[i];
}

static void run_graph(const struct rules_compiled *c, struct bytes *b, const struct sample *s,
		      struct met *met)
{
	uint32_t back[DIVERT_CALLS_MAX], depth = 0, pc, next;
	struct packet_shape shape = {0};
	struct divert_packet p = {0};
	const struct divert_insn *in;
	bool arg;

	p.field[DIVERT_F_FLAGS] =
		(s->out ? DIVERT_IS_OUT : 0) | s->back | (s->forwarded ? DIVERT_IS_FORWARDED : 0);
	p.field[DIVERT_F_MARK] = s->mark;
	set_name(p.wide[DIVERT_W_RECV], s->recv);
	set_name(p.wide[DIVERT_W_XMIT], s->xmit ? s->xmit : s->recv);
	assert_int_equal(packet_read(b, s->six ? 6 : 4, b->n, &p, &shape), 0);
	for (pc = entry_above(c, s->tag);; pc = next) {
		assert_true(pc < c->insns);
		in = &c->insn[pc];
		next = in->yes;
		if (in->op < DIVERT_OP_GO || in->op == DIVERT_OP_FRAGMENT) {
			if (!graph_match(in, b, s, &p))
				next = in->no;
			assert_true(next > pc);
			continue;
		}
		if (met->n == MET_MAX) {
			met->verdict = ENDLESS;
			return;
		}
		met->counter[met->n++] = in->action.counter;
		arg = in->action.flags & DIVERT_ACT_TABLEARG;
		met->rule = in->rule;
		switch (in->op) {
		case DIVERT_OP_ALLOW:
			met->verdict = ALLOWED;
			return;
		case DIVERT_OP_DENY:
			met->verdict = DENIED;
			return;
		case DIVERT_OP_ANSWER:
			met->verdict = ANSWERED;
			met->port = in->action.port;
			return;
		case DIVERT_OP_GO:
			if (arg)
				next = graph_aim(c, in, pc, &p);
			break;
		case DIVERT_OP_DIVERT:
			met->port = arg ? (uint16_t)p.field[DIVERT_F_TABLEARG] : in->action.port;
			if (s->nobody && in->action.flags & DIVERT_ACT_BYPASS)
				break;
			met->verdict = s->nobody ? DROPPED : DIVERTED;
			return;
		case DIVERT_OP_CALL:
			if (depth == DIVERT_CALLS_MAX) {
				next = pc + 1;
				break;
			}
			back[depth++] = in->no;
			if (arg)
				next = graph_aim(c, in, pc, &p);
			break;
		case DIVERT_OP_RETURN:
			if (depth)
				next = back[--depth];
			break;
		}
	}
}

/* ---- the plain evaluator: the model, and what the packet was made of ---- */

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

static bool value_found(const struct rule_table *t, struct sample *s, uint32_t value)
{
	if (t->has_value && t->value != value)
		return false;
	s->tablearg = value;
	return true;
}

/* The most specific prefix of the family that covers the address. */
static bool table_has_addr(const struct rule_table *t, struct sample *s, const unsigned char *addr)
{
	unsigned char net[16];
	int i, best = -1, bits, best_bits = -1;
	char text[64], *slash;

	for (i = 0; i < (int)N_ENTRIES; i++) {
		if (strcmp(entries[i].table, t->name) || !strchr(entries[i].key, ':') != !s->six)
			continue;
		strcpy(text, entries[i].key);
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
	return best >= 0 && value_found(t, s, entries[best].value);
}

static bool table_has_word(const struct rule_table *t, struct sample *s, const char *word)
{
	unsigned int i;

	for (i = 0; i < N_ENTRIES; i++)
		if (!strcmp(entries[i].table, t->name) && !strcmp(entries[i].key, word))
			return value_found(t, s, entries[i].value);
	return false;
}

static bool table_has_number(const struct rule_table *t, struct sample *s, uint32_t v)
{
	char word[16];

	snprintf(word, sizeof(word), "%u", v);
	return table_has_word(t, s, word);
}

static bool is_own(const struct sample *s, const unsigned char *addr)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(s->six ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	return !strcmp(text, own[s->six]);
}

static bool is_addr(const struct rule_addr *a, struct sample *s, const unsigned char *addr)
{
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
	case RULE_ADDR_ME:
		return is_own(s, addr);
	case RULE_ADDR_ME6:
		return s->six && is_own(s, addr);
	case RULE_ADDR_TABLE:
		return table_has_addr(a->table, s, addr);
	}
	return false;
}

/*
 * One of them. Which of a list is asked first shows in tablearg only: the compiled form asks
 * IPv4's, then IPv6's, then the others, and so does this.
 */
static bool is_one_of(const struct rule_match *m, struct sample *s, const unsigned char *addr)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if ((m->addr[i].kind <= RULE_ADDR_SET) && is_addr(&m->addr[i], s, addr))
			return true;
	for (i = 0; i < m->n; i++)
		if (m->addr[i].kind > RULE_ADDR_SET && is_addr(&m->addr[i], s, addr))
			return true;
	return false;
}

static bool is_iface(const struct rule_match *m, struct sample *s, const char *name)
{
	char text[INET6_ADDRSTRLEN];

	if (!name)
		return false;
	switch (m->iface.kind) {
	case RULE_IFACE_NAME:
		return !strcmp(name, m->iface.name);
	case RULE_IFACE_PREFIX:
		return !strncmp(name, m->iface.name, strlen(m->iface.name));
	case RULE_IFACE_ADDR:
		inet_ntop(AF_INET, &m->iface.addr.ip, text, sizeof(text));
		return m->iface.addr.kind == RULE_ADDR_4 && iface_has(name, text);
	case RULE_IFACE_TABLE:
		return table_has_word(m->iface.table, s, name);
	}
	return false;
}

static bool plain_lookup(const struct rule_match *m, struct sample *s, bool has_ports)
{
	const struct rule_table *t = m->lookup.table;

	switch (m->lookup.key) {
	case RULE_LOOKUP_SRC:
		return table_has_addr(t, s, s->src);
	case RULE_LOOKUP_DST:
		return table_has_addr(t, s, s->dst);
	case RULE_LOOKUP_SPORT:
		return has_ports && table_has_number(t, s, s->sport);
	case RULE_LOOKUP_DPORT:
		return has_ports && table_has_number(t, s, s->dport);
	case RULE_LOOKUP_UID:
		return s->uid >= 0 && table_has_number(t, s, s->uid);
	case RULE_LOOKUP_DSCP:
		return table_has_number(t, s, s->tos >> 2);
	case RULE_LOOKUP_MARK:
		return table_has_number(t, s, s->mark);
	}
	return false;
}

static bool plain_match(const struct rule_match *m, struct sample *s)
{
	bool first = !s->frag_offset, tcp = s->proto == 6 && first;
	bool has_ports = first && (s->proto == 6 || s->proto == 17 || s->proto == 132);

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
		return has_ports && in_ranges(m, s->sport);
	case RULE_DPORT:
		return has_ports && in_ranges(m, s->dport);
	case RULE_IN:
		return !s->out;
	case RULE_VIA:
		return is_iface(m, s, s->out ? s->xmit : s->recv);
	case RULE_RECV:
		return is_iface(m, s, s->recv);
	case RULE_XMIT:
		return s->out && is_iface(m, s, s->xmit);
	case RULE_ICMP:
		return first && s->proto == 1 && in_ranges(m, s->type);
	case RULE_ICMP6:
		return s->six && first && s->proto == 58 && in_ranges(m, s->type);
	case RULE_ICMPCODES:
		return first && (s->proto == 1 || s->proto == 58) && in_ranges(m, s->code);
	case RULE_DIVERTED:
		return s->back != 0;
	case RULE_DIVERTED_LOOPBACK:
		return s->back == DIVERT_IS_BACK_IN;
	case RULE_DIVERTED_OUTPUT:
		return s->back == DIVERT_IS_BACK_OUT;
	case RULE_FWMARK:
		return (s->mark & m->mark.mask) == m->mark.value;
	case RULE_ESTABLISHED:
		return tcp && s->tcp_flags & 0x14;
	case RULE_SETUP:
		return tcp && s->tcp_flags & 2 && !(s->tcp_flags & 0x10);
	case RULE_TCPFLAGS:
		return tcp && flags_are(m, s->tcp_flags);
	case RULE_TCPOPTIONS:
		return tcp && flags_are(m, s->tcp_options);
	case RULE_TCPSEQ:
		return tcp && in_values(m, s->seq);
	case RULE_TCPACK:
		return tcp && in_values(m, s->ack);
	case RULE_TCPWIN:
		return tcp && in_ranges(m, s->window);
	case RULE_TCPMSS:
		return tcp && s->tcp_options & DIVERT_TCPOPT_MSS && in_ranges(m, s->mss);
	case RULE_TCPDATALEN:
		return tcp && in_ranges(m, s->data);
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
			return !first;
		return !s->six && flags_are(m, s->offset_bits | (first ? 0 : RULE_FRAG_OFFSET));
	case RULE_EXT6HDR:
		return s->six && s->ext & m->flags.set;
	case RULE_FLOWID:
		return s->six && in_values(m, s->flow);
	case RULE_UID:
		return s->uid >= 0 && in_values(m, s->uid);
	case RULE_GID:
		return s->gid >= 0 && in_values(m, s->gid);
	case RULE_LOOKUP:
		return plain_lookup(m, s, has_ports);
	case RULE_BYPASS:
		return true;
	case RULE_TYPES:
		break;
	}
	return false;
}

/* Conditions are and'ed, those or'ed count as one. tablearg is the rule's own. */
static bool plain_applies(const struct rule *r, struct sample *s)
{
	const struct rule_match *m;
	bool holds = true;

	s->tablearg = 0;
	for (m = r->match; m && holds; m = m->next) {
		holds = plain_match(m, s) != m->negate;
		while (m->or_next) {
			m = m->next;
			if (!holds)
				holds = plain_match(m, s) != m->negate;
		}
	}
	return holds && (r->prob == RULES_PROB_ALL ||
			 s->random < ((uint64_t)r->prob << 32) / RULES_PROB_ALL);
}

static unsigned int first_from(const struct rules *s, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < s->n && s->rule[i]->number < number; i++)
		;
	return i;
}

static bool has_bypass(const struct rule *r)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (m->type == RULE_BYPASS)
			return true;
	return false;
}

static void run_plain(const struct rules *set, struct sample *s, struct met *met)
{
	unsigned int stack[DIVERT_CALLS_MAX], depth = 0, i = first_from(set, s->tag + 1), to;
	const struct rule *r;

	while (i < set->n) {
		r = set->rule[i];
		if (set->disabled & 1u << r->set || !plain_applies(r, s)) {
			i++;
			continue;
		}
		if (met->n == MET_MAX) {
			met->verdict = ENDLESS;
			return;
		}
		met->counter[met->n++] = r->counter;
		met->rule = r->number;
		to = r->tablearg ? s->tablearg : r->arg;
		if (!to || to > 65535)
			to = 65535;
		switch (r->action) {
		case RULE_ALLOW:
			met->verdict = ALLOWED;
			return;
		case RULE_DENY:
			met->verdict = DENIED;
			return;
		case RULE_ANSWER:
			met->verdict = ANSWERED;
			met->port = r->arg;
			return;
		case RULE_DIVERT:
			met->port = r->tablearg ? (uint16_t)s->tablearg : r->arg;
			if (!s->nobody || !has_bypass(r)) {
				met->verdict = s->nobody ? DROPPED : DIVERTED;
				return;
			}
			i++;
			break;
		case RULE_SKIPTO:
			to = first_from(set, to);
			i = to > i ? to : i + 1;
			break;
		case RULE_CALL:
			if (depth == DIVERT_CALLS_MAX) {
				i++;
				break;
			}
			stack[depth++] = r->number;
			i = first_from(set, to);
			break;
		case RULE_RETURN:
			i = depth ? first_from(set, stack[--depth] + 1) : i + 1;
			break;
		case RULE_COUNT:
		case RULE_REASS:
		case RULE_TEE:
			i++;
			break;
		}
	}
	if (met->n == MET_MAX) {
		met->verdict = ENDLESS;
		return;
	}
	met->counter[met->n++] = 0;
	met->rule = 65535;
	met->verdict = ALLOWED;
}

/* ---- rules ---- */

static const char *const actions[] = {
	"allow",   "deny",	 "count",	    "count",	 "count",
	"count",   "divert 5",	 "divert tablearg", "skipto 20", "skipto tablearg",
	"call 25", "call 5",	 "call tablearg",   "return",	 "reass",
	"reject",  "unreach6 4", "reset",
};

static const char *const places[] = {
	"any",
	"any",
	"any",
	"10.0.0.1",
	"10.0.0.0/24",
	"not 10.0.0.2",
	"10.0.0.0:255.255.0.255",
	"10.0.0.0/24{1,5-9}",
	"10.0.0.2,192.0.2.0/24{7,200},fd00::1",
	"fd00::/64",
	"::/0",
	"me",
	"not me",
	"me6",
	"table(ta)",
	"table(ta,10)",
	"me,10.0.1.1,table(ta,5)",
	"{ 10.0.0.1 or not fd00::1 }",
	"{ me or 192.0.2.7 or table(ta) }",
	"0.0.0.0/0",
};

static const char *const heads[] = {
	"ip",
	"ip",
	"ip",
	"ip4",
	"ip6",
	"tcp",
	"udp",
	"icmp",
	"ipv6-icmp",
	"not tcp",
	"{ tcp or udp }",
	"{ ip6 or not udp }",
	"47",
};

static const char *const options[] = {
	"in",
	"out",
	"via eth0",
	"via eth*",
	"not via lo",
	"recv tun0",
	"xmit eth1",
	"recv *",
	"via table(ti)",
	"recv table(ti,5)",
	"not xmit table(ti)",
	"via 10.0.0.1",
	"recv fd00::1",
	"xmit 10.0.0.1",
	"{ in or via eth0 }",
	"proto tcp",
	"not proto 17",
	"src-ip me",
	"dst-ip 10.0.0.0/8",
	"src-ip 10.0.0.1,fd00::2",
	"src-port 53",
	"dst-port 22,53,80,1000,1001,3",
	"not dst-port 0-100",
	"{ src-port 80 or dst-port 80 }",
	"icmptypes 8",
	"icmp6types 128",
	"icmpcodes 1-2",
	"not icmptypes 0",
	"diverted",
	"diverted-loopback",
	"not diverted-output",
	"fwmark 1",
	"fwmark 0x2/0x2",
	"established",
	"setup",
	"not setup",
	"tcpflags syn,!ack",
	"tcpflags fin",
	"not tcpflags psh,!urg",
	"tcpoptions mss",
	"tcpoptions window,!sack",
	"tcpoptions !ts,!cc",
	"tcpseq 1",
	"tcpack 2",
	"tcpwin 1-2",
	"tcpmss 1000-1001",
	"not tcpmss 1000",
	"tcpdatalen 0",
	"tcpdatalen 1-9",
	"ipid 1",
	"ipid 2-3",
	"iplen 20-41",
	"iplen 42-500",
	"ipttl 2",
	"not ipttl 1-2",
	"iptos lowdelay",
	"iptos throughput,!reliability",
	"ipprecedence 5",
	"ipprecedence 0,1,2",
	"dscp ef",
	"dscp be,af11,46",
	"not dscp ef",
	"ipoptions rr",
	"ipoptions ts,!lsrr",
	"ipoptions !ssrr",
	"frag",
	"not frag",
	"frag mf",
	"frag df,!offset",
	"frag rf,offset",
	"not frag !mf",
	"ext6hdr frag",
	"ext6hdr hopopt,rthdr0",
	"ext6hdr rthdr2",
	"not ext6hdr route",
	"ext6hdr dstopt,ah",
	"flow-id 1",
	"flow-id 0,2",
	"uid 0",
	"not uid 1",
	"gid 1",
	"lookup src-ip ta",
	"lookup dst-ip table(ta,10)",
	"lookup dst-port tn",
	"not lookup src-port tn",
	"lookup uid tn",
	"lookup dscp tn",
	"lookup fwmark table(tn,10)",
	"{ lookup src-ip ta or not established or frag }",
	"{ frag mf or dst-port 80 or dst-ip me }",
	"ip6",
	"not ip4",
	"ipversion 6",
};

static struct rule *random_rule(void)
{
	char line[512], *at = line;
	struct rules_error err;
	unsigned int i, n;
	struct rule *r;

	do {
		at = line + sprintf(line, "%u set %u ", 1 + chance(30), chance(3));
		if (!chance(10))
			at += sprintf(at, "prob 0.%u ", 1 + chance(9));
		at += sprintf(at, "%s ", PICK(actions));
		at += sprintf(at, "%s from %s", PICK(heads), PICK(places));
		if (!chance(8))
			at += sprintf(at, " %s", chance(2) ? "53" : "not 1000-65535");
		at += sprintf(at, " to %s", PICK(places));
		n = chance(4);
		for (i = 0; i < n; i++)
			at += sprintf(at, " %s", PICK(options));
		if (strstr(line, "divert") == strstr(line, "di") && !chance(2))
			at += sprintf(at, " bypass");
	} while (rule_parse(line, &r, &err)); /* contradictions are refused */
	return r;
}

static void make_set(struct rules *s)
{
	struct rules_error err;
	unsigned int i, n = 1 + chance(16);

	rules_init(s);
	assert_non_null(rules_table_add(s, "ta", RULES_TABLE_ADDR, &err));
	assert_non_null(rules_table_add(s, "tn", RULES_TABLE_NUMBER, &err));
	assert_non_null(rules_table_add(s, "ti", RULES_TABLE_IFACE, &err));
	set_entries(s);
	for (i = 0; i < n; i++)
		assert_int_equal(rules_add(s, random_rule(), &err), 0);
	if (!chance(3))
		s->disabled = 1u << chance(3);
}

static void explain(const struct rules *s, const struct sample *p, const struct met *a,
		    const struct met *b, uint64_t from)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		print_message("%05u set %u %s\n", s->rule[i]->number, s->rule[i]->set,
			      s->rule[i]->text);
	print_message("graph: verdict %d rule %u port %u, %u met; plain: verdict %d rule %u port "
		      "%u, %u met; IPv%d proto %u tag %u offset %u\n",
		      a->verdict, a->rule, a->port, a->n, b->verdict, b->rule, b->port, b->n,
		      p->six ? 6 : 4, p->proto, p->tag, p->frag_offset);
	fail_msg("a difference; RANDOM_SEED=%llu", (unsigned long long)from);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 10) : otherwise;
}

static void test_random(void **state)
{
	uint64_t pairs = setting("RANDOM_PAIRS", PAIRS), done = 0, from;
	unsigned int i, verdicts[ENDLESS + 1] = {0};
	static struct met graph, plain;
	struct rules_compiled c;
	struct sample p;
	struct bytes b;
	struct rules s;

	seed = setting("RANDOM_SEED", 1);
	while (done < pairs) {
		from = seed;
		make_set(&s);
		assert_int_equal(rules_compile(&s, &c), 0);
		for (i = 0; i < PACKETS; i++, done++) {
			make_sample(&p);
			b.n = 0;
			if (p.six)
				make6(&b, &p);
			else
				make4(&b, &p);
			p.len = b.n;
			graph.n = plain.n = graph.port = plain.port = 0;
			run_graph(&c, &b, &p, &graph);
			run_plain(&s, &p, &plain);
			if (graph.verdict != plain.verdict || graph.n != plain.n ||
			    memcmp(graph.counter, plain.counter,
				   graph.n * sizeof(*graph.counter)) ||
			    graph.rule != plain.rule || graph.port != plain.port)
				explain(&s, &p, &graph, &plain, from);
			verdicts[graph.verdict]++;
		}
		rules_compiled_free(&c);
		rules_free(&s);
	}
	/* each way to end has been seen often */
	for (i = 0; i < ENDLESS; i++)
		assert_true(verdicts[i] > pairs / 1000);
	print_message("%llu pairs: %u allowed, %u denied, %u answered, %u diverted, %u "
		      "dropped, %u endless\n",
		      (unsigned long long)done, verdicts[ALLOWED], verdicts[DENIED],
		      verdicts[ANSWERED], verdicts[DIVERTED], verdicts[DROPPED], verdicts[ENDLESS]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
