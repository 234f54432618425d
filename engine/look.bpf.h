/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Match instructions that need more than the packet's fields: see match.h for the others. */
#ifndef DIVERT_ENGINE_LOOK_BPF_H
#define DIVERT_ENGINE_LOOK_BPF_H

#include "deliver.bpf.h"
#include "field.h"
#include "own.bpf.h"
#include "path.bpf.h"

/* The tables: every table's entries lie in these. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, DIVERT_TABLE_ADDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct divert_table_addr);
	__type(value, __u32);
} table_addrs SEC(".maps");

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

static __noinline __u32 *find_addr(const struct divert_insn *in, const struct divert_packet *p)
{
	__u32 six = (p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6) != 0;
	struct divert_table_addr key = {.bits = six ? 160 : 64};

	key.table = packet_u32(in->lookup.table << 1 | six);
	address_bytes(p, in->lookup.key == DIVERT_KEY_SRC, key.addr);
	return bpf_map_lookup_elem(&table_addrs, &key);
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

static __always_inline int look_up(const struct divert_insn *in, struct divert_packet *p)
{
	__u32 *value = find(in, p);

	if (!value || (in->lookup.check && *value != in->lookup.value))
		return 0;
	p->field[DIVERT_F_TABLEARG] = *value;
	return 1;
}

/* ---- addresses of this host ---- */

/* Looked up once for a packet: rules often ask again. */
static __always_inline int look_own(struct __sk_buff *skb, const struct divert_insn *in,
				    struct divert_packet *p)
{
	int src = in->field == DIVERT_W_SRC6;
	__u32 known = src ? DIVERT_OWN_SRC_KNOWN : DIVERT_OWN_DST_KNOWN;
	__u32 own = src ? DIVERT_OWN_SRC : DIVERT_OWN_DST;
	__be32 addr[4] = {};

	if (!(p->field[DIVERT_F_OWN] & known)) {
		address_bytes(p, src, addr);
		p->field[DIVERT_F_OWN] |= known;
		if (own_address(skb, NULL, addr, p->field[DIVERT_F_FLAGS] & DIVERT_IS_V6, 0))
			p->field[DIVERT_F_OWN] |= own;
	}
	return (p->field[DIVERT_F_OWN] & own) != 0;
}

static __always_inline int look_iface(struct __sk_buff *skb, const struct divert_insn *in,
				      const struct desk *d)
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
	return own_address(skb, dev, addr, in->prefix.bits > 32, 0);
}

/* ---- where the source is ---- */

/* Each is asked once for a packet, too. */
static __always_inline int look_path(struct __sk_buff *skb, const struct divert_insn *in,
				     struct divert_packet *p)
{
	__u32 what = in->field < DIVERT_PATHS ? in->field : 0;

	if (!(p->field[DIVERT_F_OWN] & DIVERT_OWN_PATH_KNOWN << what)) {
		p->field[DIVERT_F_OWN] |= DIVERT_OWN_PATH_KNOWN << what;
		if (path_ask(skb, what))
			p->field[DIVERT_F_OWN] |= DIVERT_OWN_PATH << what;
	}
	return (p->field[DIVERT_F_OWN] & DIVERT_OWN_PATH << what) != 0;
}

/* ---- owners ---- */

/* Of a packet that a socket of this host sends. */
static __always_inline int load_owner(struct __sk_buff *ctx, struct desk *d, int group)
{
	struct divert_packet *p = &d->packet;
	struct bpf_sock *sk = ctx->sk;
	struct sk_buff *skb = skb_of(ctx);

	if (!(p->field[DIVERT_F_FLAGS] & DIVERT_IS_OUT) || d->recv_ifindex || !sk ||
	    !bpf_sk_fullsock(sk))
		return 0;
	if (!group) {
		p->field[DIVERT_F_LOADED] = bpf_get_socket_uid(ctx);
		return 1;
	}
	/* a socket that no process has any more has no group */
	if (!BPF_CORE_READ(skb, sk, sk_socket, file))
		return 0;
	p->field[DIVERT_F_LOADED] = BPF_CORE_READ(skb, sk, sk_socket, file, f_cred, fsgid.val);
	return 1;
}

static __always_inline int load_field(struct __sk_buff *skb, const struct divert_insn *in,
				      struct desk *d)
{
	struct pass pass = {.skb = skb, .desk = d};
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
	return packet_look(&pass, in, p);
}

/* 1: go on at yes, 0: at no. Not static: see struct desk. */
__noinline int look(struct __sk_buff *skb, const struct divert_insn *in)
{
	struct desk *d = desk();

	if (!in || !d)
		return 0;
	switch (in->op) {
	case DIVERT_OP_LOAD:
		return load_field(skb, in, d);
	case DIVERT_OP_LOOKUP:
		return look_up(in, &d->packet);
	case DIVERT_OP_OWN:
		return look_own(skb, in, &d->packet);
	case DIVERT_OP_IFADDR:
		return look_iface(skb, in, d);
	case DIVERT_OP_PATH:
		return look_path(skb, in, &d->packet);
	}
	return 0;
}

#endif
