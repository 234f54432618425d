/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The owner of a packet that this host sends: the user and group that rules with uid or gid test.
 */
#ifndef DIVERT_ENGINE_OWNER_BPF_H
#define DIVERT_ENGINE_OWNER_BPF_H

#include "context.bpf.h"

#define OWNER_NO_GROUP 0xffffffffu /* of a socket that no process holds any more */

/*
 * A reinjected packet has the divert program's socket. A number stands for its original sender: the
 * index of user and group in this table. An entry is reused when its owner has sent nothing for
 * longer than a packet waits for a neighbour.
 */
#define OWNERS	      4096
#define OWNER_LOOKS   16
#define OWNER_TICKS   30     /* of 1.07 s */
#define OWNER_NOBODY  OWNERS /* number of a packet without an owner */
/*
 * Number of a reinjected packet whose owner is not known: the table had no room for it, or the
 * packet was changed and the program had packets of several owners. A rule that tests the owner
 * drops it.
 */
#define OWNER_UNKNOWN (OWNERS + 1)

struct owner {
	__u64 word;  /* owner_word(); 0: free */
	__u64 until; /* in ticks: it keeps its entry until then */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OWNERS);
	__type(key, __u32);
	__type(value, struct owner);
} owners SEC(".maps");

/* 0 for no user. */
static __always_inline __u64 owner_word(__u32 uid, __u32 gid)
{
	return ~((__u64)uid << 32 | (gid ^ OWNER_NO_GROUP));
}

/* The owner's number, from 1 on. Not static: the verifier walks it once. */
__noinline __u32 owner_number(__u32 uid, __u32 gid)
{
	const __u64 word = owner_word(uid, gid), now = bpf_ktime_get_coarse_ns() >> 30;
	__u32 i, place = uid * 0x9e3779b1u + gid;
	struct owner *o;
	__u64 was;

	if (uid == DIVERT_NO_USER)
		return gid == DIVERT_NOT_KNOWN ? OWNER_UNKNOWN : OWNER_NOBODY;
	for (i = 0; i < OWNER_LOOKS; i++, place++) {
		__u32 key = place % OWNERS;

		o = key ? bpf_map_lookup_elem(&owners, &key) : NULL;
		if (!o)
			continue;
		was = o->word;
		if (was && was != word && o->until >= now)
			continue;
		/* extend before claiming the entry: then no other CPU takes it */
		if (o->until < now + OWNER_TICKS)
			o->until = now + OWNER_TICKS;
		if (was != word && __sync_val_compare_and_swap(&o->word, was, word) != was)
			continue;
		if (o->word == word)
			return key;
	}
	return OWNER_UNKNOWN;
}

/* The owner of an outbound packet: 1; 0: it has none on this host; -1: not known. */
static __always_inline int owner_of(struct __sk_buff *ctx, const struct packet_context *d,
				    __u32 *uid, __u32 *gid)
{
	struct sk_buff *skb = skb_of(ctx);
	struct bpf_sock *sk = ctx->sk;
	__u32 key = d->owner;
	struct owner *o;

	if (d->recv_ifindex || key == OWNER_NOBODY)
		return 0;
	if (key == OWNER_UNKNOWN)
		return -1;
	o = key ? bpf_map_lookup_elem(&owners, &key) : NULL;
	if (o) {
		*uid = (__u32)(~o->word >> 32);
		*gid = (__u32)~o->word ^ OWNER_NO_GROUP;
		return 1;
	}
	if (!sk || !bpf_sk_fullsock(sk))
		return 0;
	*uid = bpf_get_socket_uid(ctx);
	*gid = OWNER_NO_GROUP;
	if (BPF_CORE_READ(skb, sk, sk_socket, file))
		*gid = BPF_CORE_READ(skb, sk, sk_socket, file, f_cred, fsgid.val);
	return 1;
}

#endif
