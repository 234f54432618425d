// SPDX-License-Identifier: BSD-2-Clause
#include "walk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bytes.h"
#include "index.h"
#include "match.h"

/* Is the protocol this one, in packets of this kind? 1, 0, or -1: it may be. */
static int is_proto(uint32_t kind, uint32_t proto)
{
	static const uint32_t of[2][3] = {{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP},
					  {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6}};
	const uint32_t *here = of[!!(kind & DIVERT_KIND_V6)];
	uint32_t i = kind % DIVERT_KIND_V6;

	if (i < DIVERT_KIND_OTHER)
		return proto == here[i];
	if (kind & DIVERT_KIND_V6)
		return -1;
	return proto == here[0] || proto == here[1] || proto == here[2] ? 0 : -1;
}

/* 0, or -1: it may be. */
static int may(bool may_be)
{
	return may_be ? -1 : 0;
}

/* Is a port that has the place in this range? Wide ones have all of them, or nearly so. */
static bool is_in(const struct known *k, uint32_t lo, uint32_t hi)
{
	uint32_t port;

	if (lo <= hi && hi - lo > 4 * DIVERT_INDEX_ROOM)
		return true;
	for (port = lo; port <= hi; port++)
		if (index_place(port) == k->place)
			return true;
	return false;
}

static int port_in_ranges(const struct divert_insn *in, const struct known *k)
{
	unsigned int i;

	for (i = 0; i < sizeof(in->range) / sizeof(*in->range); i++)
		if (is_in(k, in->range[i].lo, in->range[i].hi))
			return -1;
	return 0;
}

static bool is_net(int index)
{
	return index == DIVERT_INDEX_SRC_NET || index == DIVERT_INDEX_DST_NET;
}

/* Value and mask are in network order. */
static int address_is(const struct divert_insn *in, const struct known *k)
{
	const uint32_t addr = ntohl(in->mask.value), mask = ntohl(in->mask.mask);

	if (is_net(k->index))
		return may(mask >> 16 != 0xffff || index_net4(addr) == k->place);
	return may(mask != ~0u || index_place(addr) == k->place);
}

static int prefix_is(const struct divert_insn *in, const struct known *k)
{
	if (k->index == DIVERT_INDEX_IFACE)
		return may(in->prefix.bits < 128 ||
			   index_iface(in->prefix.word, k->flags & DIVERT_IS_OUT) == k->place);
	if (is_net(k->index))
		return may(in->prefix.bits < 32 || index_net6(in->prefix.word) == k->place);
	return may(in->prefix.bits < 128 || index_host6(in->prefix.word) == k->place);
}

/* The fields that tell of a place; NONE: no such. */
#define NONE 0xff
static const struct {
	uint8_t field, wide;
} field_of[DIVERT_INDEXES] = {
	[DIVERT_INDEX_DPORT] = {DIVERT_F_DPORT, NONE},
	[DIVERT_INDEX_SPORT] = {DIVERT_F_SPORT, NONE},
	[DIVERT_INDEX_SRC_NET] = {DIVERT_F_SRC4, DIVERT_W_SRC6},
	[DIVERT_INDEX_SRC_HOST] = {DIVERT_F_SRC4, DIVERT_W_SRC6},
	[DIVERT_INDEX_DST_NET] = {DIVERT_F_DST4, DIVERT_W_DST6},
	[DIVERT_INDEX_DST_HOST] = {DIVERT_F_DST4, DIVERT_W_DST6},
	[DIVERT_INDEX_IFACE] = {NONE, DIVERT_W_XMIT}, /* or RECV, on the way in */
};

static bool is_port(int index)
{
	return index <= DIVERT_INDEX_SPORT;
}

/* Does it ask for what has its place there? */
static bool asks(const struct divert_insn *in, const struct known *k)
{
	if (k->index < 0)
		return false;
	if (k->index == DIVERT_INDEX_IFACE && in->op == DIVERT_OP_PREFIX)
		return in->field == (k->flags & DIVERT_IS_OUT ? DIVERT_W_XMIT : DIVERT_W_RECV);
	if (in->op == DIVERT_OP_PREFIX)
		return in->field == field_of[k->index].wide;
	return (in->op == DIVERT_OP_MASK || (in->op == DIVERT_OP_RANGE && is_port(k->index))) &&
	       in->field == field_of[k->index].field;
}

static int test_place(const struct divert_insn *in, const struct known *k)
{
	if (in->op == DIVERT_OP_PREFIX)
		return prefix_is(in, k);
	if (in->op == DIVERT_OP_RANGE)
		return port_in_ranges(in, k);
	if (!is_port(k->index))
		return address_is(in, k);
	return may(in->mask.mask != ~0u || index_place(in->mask.value) == k->place);
}

unsigned int walk_values(const struct divert_insn *in, int field, uint32_t value[WALK_VALUES])
{
	unsigned int i, n = 0;

	if (in->field != field)
		return 0;
	if (in->op == DIVERT_OP_MASK) {
		*value = in->mask.value;
		return in->mask.mask == ~0u;
	}
	if (in->op != DIVERT_OP_RANGE)
		return 0;
	for (i = 0; i < WALK_VALUES; i++) {
		if (in->range[i].lo < in->range[i].hi)
			return 0;
		if (in->range[i].lo == in->range[i].hi)
			value[n++] = in->range[i].lo;
	}
	return n;
}

/* Does it ask for the name of the interface that the packet is on? */
static bool asks_name(const struct divert_insn *in, const struct known *k)
{
	return k->name && in->op == DIVERT_OP_PREFIX &&
	       in->field == (k->flags & DIVERT_IS_OUT ? DIVERT_W_XMIT : DIVERT_W_RECV);
}

static int name_is(const struct divert_insn *in, const uint32_t *name)
{
	const __u64 wide[2] = {
		(__u64)name[0] << 32 | name[1],
		(__u64)name[2] << 32 | name[3],
	};

	return match_prefix(wide, in);
}

bool walk_is_asked(const struct divert_insn *in)
{
	return in->op == DIVERT_OP_LOOKUP && in->lookup.key <= DIVERT_KEY_DST;
}

static bool looks_up(const struct divert_insn *in, const struct divert_asked *a)
{
	return walk_is_asked(in) && in->lookup.table == a->table && in->lookup.key == a->key;
}

bool walk_looks_up(const struct walk *w, uint32_t from, uint32_t end, const struct divert_asked *a)
{
	while (from < end)
		if (looks_up(&w->rules->insn[from++], a))
			return true;
	return false;
}

/* Does it match? 1, 0, or -1: it may. */
static int test(const struct divert_insn *in, const struct known *k)
{
	uint32_t value[WALK_VALUES];

	if (k->unequal >= 0 && walk_values(in, k->unequal, value))
		return 0;
	if (k->absent && looks_up(in, k->absent))
		return 0;
	if (asks_name(in, k))
		return name_is(in, k->name);
	if (asks(in, k))
		return test_place(in, k);
	if (in->op != DIVERT_OP_MASK)
		return -1;
	if (in->field == DIVERT_F_FLAGS && !(in->mask.mask & ~k->mask))
		return (k->flags & in->mask.mask) == in->mask.value;
	if (in->field == DIVERT_F_PROTO && in->mask.mask == ~0u && k->kind >= 0)
		return is_proto(k->kind, in->mask.value);
	return -1;
}

static bool is_action(const struct divert_insn *in)
{
	/* STATE may lead to any rule's action; KEEP may be all that a rule does to the packet */
	return (in->op >= DIVERT_OP_GO && in->op < DIVERT_OP_FRAGMENT) ||
	       in->op == DIVERT_OP_REJECT || in->op == DIVERT_OP_STATE ||
	       in->op == DIVERT_OP_KEEP || in->op == DIVERT_OP_FWD;
}

static void reach(struct walk *w, uint32_t pc, uint32_t end)
{
	if (pc < end)
		w->reached[pc] = true;
}

bool walk_may_match(struct walk *w, uint32_t from, uint32_t end, const struct known *k)
{
	const struct divert_insn *in = &w->rules->insn[from];
	bool matches = false;
	int is;

	reach(w, from, end);
	for (; from < end; from++, in++) {
		if (!w->reached[from])
			continue;
		w->reached[from] = false;
		matches |= is_action(in);
		is = matches ? 0 : test(in, k);
		if (!matches && is)
			reach(w, in->yes, end);
		if (!matches && is != 1)
			reach(w, in->no, end);
	}
	return matches;
}

bool walk_asks(const struct walk *w, uint32_t from, uint32_t end, const struct known *k)
{
	while (from < end)
		if (asks(&w->rules->insn[from++], k))
			return true;
	return false;
}

int walk_begin(struct walk *w, const struct engine_rules *r)
{
	w->rules = r;
	w->reached = calloc(r->insns + 1, sizeof(*w->reached));
	return w->reached ? 0 : -ENOMEM;
}

void walk_end(struct walk *w)
{
	free(w->reached);
}
