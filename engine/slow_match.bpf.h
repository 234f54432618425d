/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Match instructions that need more than the packet's fields: see match.h for the others. */
#ifndef DIVERT_ENGINE_SLOW_MATCH_BPF_H
#define DIVERT_ENGINE_SLOW_MATCH_BPF_H

#include "deliver.bpf.h"
#include "field.h"
#include "local.bpf.h"
#include "rpf.bpf.h"

/* The tables: every table's entries lie in these. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, DIVERT_TABLE_ADDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct divert_table_addr);
	__type(value, __u32);
} table_addrs SEC(".maps");

/*
 * engine/hosts.c puts a map and its filter here when there are hosts, and larger ones when these
 * are full. The key is a struct divert_table_host, but not by type: clang 14 leaves it out here.
 */
struct divert_hosts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct divert_table_host));
	__uint(value_size, sizeof(__u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct divert_hosts);
} table_hosts SEC(".maps");

struct divert_filter {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 1);
	__uint(value_size, sizeof(struct divert_table_host));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct divert_filter);
} table_filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_table_kinds);
} table_kinds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DIVERT_TABLE_KEYS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct divert_table_key);
	__type(value, __u32);
} table_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DIVERT_TABLE_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct divert_table_flow);
	__type(value, __u32);
} table_flows SEC(".maps");

/* ---- tables ---- */

static __always_inline __u32 *find_host(const __be32 *host)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&table_filter, &zero);

	if (!map || bpf_map_peek_elem(map, (void *)host))
		return NULL;
	map = bpf_map_lookup_elem(&table_hosts, &zero);
	return map ? bpf_map_lookup_elem(map, host) : NULL;
}

static __always_inline __u32 table_kind(__u32 table, __u32 six)
{
	__u32 zero = 0, place = table << 1 | six;
	struct divert_table_kinds *kinds = bpf_map_lookup_elem(&table_kinds, &zero);

	__asm__ volatile("" : "+r"(place)); /* Linux 6.1's verifier: see sections_at() */
	return kinds ? kinds->kind[place % DIVERT_TABLE_PLACES] : 0;
}

/* key: the table, and the address behind it. */
static __always_inline __u32 *find_key_addr(const struct divert_table_addr *key, __u32 kind)
{
	__u32 *value = NULL;

	if (kind & DIVERT_TABLE_HOSTS)
		value = find_host(&key->table);
	if (!value && kind & DIVERT_TABLE_NETS)
		value = bpf_map_lookup_elem(&table_addrs, key);
	return value;
}

static __noinline __u32 *find_addr(const struct divert_insn *in, const struct divert_packet *p)
{
	__u32 six = (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	struct divert_table_addr key = {.bits = six ? 160 : 64};
	__u32 kind = table_kind(in->lookup.table, six);

	if (!kind)
		return NULL;
	key.table = packet_u32(in->lookup.table << 1 | six);
	address_bytes(p, in->lookup.key == DIVERT_KEY_SRC, key.addr);
	return find_key_addr(&key, kind);
}

static __noinline __u32 *find_key(const struct divert_insn *in, const struct divert_packet *p)
{
	struct divert_table_key key = {.table = in->lookup.table};

	if (in->lookup.key == DIVERT_KEY_NAME)
		wide_bytes(p->wide[in->field & (DIVERT_W_ROOM - 1)], (__be32 *)key.name);
	else
		key.number = p->field[in->field & (DIVERT_F_ROOM - 1)];
	return bpf_map_lookup_elem(&table_keys, &key);
}

static __noinline __u32 *find_flow(const struct divert_insn *in, const struct divert_packet *p)
{
	struct divert_table_flow key = {.table = in->lookup.table};
	__u32 fields = in->lookup.flow;

	if (fields & (DIVERT_FLOW_SPORT | DIVERT_FLOW_DPORT) &&
	    p->field[DIVERT_F_SPORT] == DIVERT_ABSENT)
		return NULL;
	if (fields & (DIVERT_FLOW_SRC | DIVERT_FLOW_DST))
		key.six = (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	if (fields & DIVERT_FLOW_SRC)
		address_bytes(p, 1, key.src);
	if (fields & DIVERT_FLOW_PROTO)
		key.proto = p->field[DIVERT_F_PROTO];
	if (fields & DIVERT_FLOW_SPORT)
		key.sport = p->field[DIVERT_F_SPORT];
	if (fields & DIVERT_FLOW_DST)
		address_bytes(p, 0, key.dst);
	if (fields & DIVERT_FLOW_DPORT)
		key.dport = p->field[DIVERT_F_DPORT];
	return bpf_map_lookup_elem(&table_flows, &key);
}

static __always_inline __u32 *find(const struct divert_insn *in, const struct divert_packet *p)
{
	if (in->lookup.key == DIVERT_KEY_FLOW)
		return find_flow(in, p);
	return in->lookup.key <= DIVERT_KEY_DST ? find_addr(in, p) : find_key(in, p);
}

static __always_inline int match_table(const struct divert_insn *in, struct divert_packet *p)
{
	__u32 *value = find(in, p);

	if (!value || (in->lookup.check && *value != in->lookup.value))
		return 0;
	p->field[DIVERT_F_TABLEARG] = *value;
	return 1;
}

/* ---- addresses of this host ---- */

/* Looked up once for a packet: rules often ask again. */
static __always_inline int match_local(struct __sk_buff *skb, const struct divert_insn *in,
				       struct divert_packet *p)
{
	int src = in->field == DIVERT_W_SRC6;
	__u32 known = src ? DIVERT_LOCAL_SRC_KNOWN : DIVERT_LOCAL_DST_KNOWN;
	__u32 own = src ? DIVERT_LOCAL_SRC : DIVERT_LOCAL_DST;
	__be32 addr[4] = {};

	if (!(p->field[DIVERT_F_LOCAL] & known)) {
		address_bytes(p, src, addr);
		p->field[DIVERT_F_LOCAL] |= known;
		if (local_address(skb, NULL, addr, p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6, 0))
			p->field[DIVERT_F_LOCAL] |= own;
	}
	return (p->field[DIVERT_F_LOCAL] & own) != 0;
}

static __always_inline int match_iface(struct __sk_buff *skb, const struct divert_insn *in,
				       const struct packet_context *d)
{
	struct net_device *dev = READ(skb_of(skb), dev);
	__be32 addr[4];
	int i;

	if (in->field == DIVERT_W_RECV && d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT) {
		if (!d->recv_ifindex)
			return 0;
		dev = skb_find_dev(skb, d->recv_ifindex);
	}
	if (!dev)
		return 0;
	for (i = 0; i < 4; i++)
		addr[i] = packet_u32(in->prefix.word[i]);
	return local_address(skb, dev, addr, in->prefix.bits > 32, 0);
}

/* ---- where the source is ---- */

/* Each is asked once for a packet, too. */
static __always_inline int match_rpf(struct __sk_buff *skb, const struct divert_insn *in,
				     struct divert_packet *p)
{
	__u32 what = in->field < DIVERT_RPF_KINDS ? in->field : 0;

	if (!(p->field[DIVERT_F_LOCAL] & DIVERT_LOCAL_RPF_KNOWN << what)) {
		p->field[DIVERT_F_LOCAL] |= DIVERT_LOCAL_RPF_KNOWN << what;
		if (rpf_ask(skb, what))
			p->field[DIVERT_F_LOCAL] |= DIVERT_LOCAL_RPF << what;
	}
	return (p->field[DIVERT_F_LOCAL] & DIVERT_LOCAL_RPF << what) != 0;
}

/* ---- owners ---- */

/* Of a packet that a socket of this host sends. As look(). noinline: for its stack. */
static __noinline int load_owner(struct __sk_buff *skb, struct packet_context *d, int group)
{
	struct divert_packet *p = &d->packet;
	__u32 uid, gid;
	int owner;

	if (!(p->field[DIVERT_F_FLAGS] & DIVERT_IS_OUT))
		return 0;
	owner = owner_of(skb, d, &uid, &gid);
	if (owner < 0)
		count(skb->cb[4], DIVERT_N_NO_OWNER); /* entry_set()'s */
	if (owner <= 0)
		return owner;
	if (group && gid == OWNER_NO_GROUP)
		return 0;
	p->field[DIVERT_F_LOADED] = group ? gid : uid;
	return 1;
}

static __always_inline int load_field(struct __sk_buff *skb, const struct divert_insn *in,
				      struct packet_context *d)
{
	struct traversal pass = {.skb = skb, .context = d};
	struct divert_packet *p = &d->packet;

	switch (in->field) {
	case DIVERT_LOAD_UID:
		return load_owner(skb, d, 0);
	case DIVERT_LOAD_GID:
		return load_owner(skb, d, 1);
	case DIVERT_LOAD_RANDOM:
		p->field[DIVERT_F_LOADED] = bpf_get_prandom_u32();
		return 1;
	}
	return packet_slow_match(&pass, in, p);
}

/*
 * 1: go on at yes, 0: at no; -1: what was asked for is not known, and the packet dropped. Not
 * static: see struct packet_context.
 */
__noinline int slow_match(struct __sk_buff *skb, const struct divert_insn *in)
{
	struct packet_context *d = context();

	if (!in || !d)
		return 0;
	switch (in->op) {
	case DIVERT_OP_LOAD:
		return load_field(skb, in, d);
	case DIVERT_OP_LOOKUP:
		return match_table(in, &d->packet);
	case DIVERT_OP_LOCAL:
		return match_local(skb, in, &d->packet);
	case DIVERT_OP_IFADDR:
		return match_iface(skb, in, d);
	case DIVERT_OP_RPF:
		return match_rpf(skb, in, &d->packet);
	}
	return 0;
}

#endif
