/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by states of flows and released flows: time, room, and TCP's beginning. */
#ifndef DIVERT_ENGINE_FLOW_BPF_H
#define DIVERT_ENGINE_FLOW_BPF_H

#include "context.bpf.h"
#include "counters.bpf.h"
#include "flow_key.h"

#define SECOND	   1000000000ull /* ns */
#define SWEEP_EACH 16384	 /* entries that are looked through in a second, or all at once */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct divert_flow_info);
} flow_info SEC(".maps");

static __always_inline struct divert_flow_info *flow_info_of(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&flow_info, &zero);
}

/* A released flow is that no more: what verdict.bpf.h keeps of any is void. */
static __always_inline void epoch_next(struct divert_flow_info *info)
{
	__sync_fetch_and_add(&info->epoch, 1);
}

static __always_inline __u64 life(enum divert_life kind)
{
	__u32 zero = 0;
	const struct divert_settings *set = bpf_map_lookup_elem(&settings, &zero);

	return (set && set->life[kind] ? set->life[kind] : divert_life[kind]) * SECOND;
}

/*
 * Written only once in a while: two CPUs may have the flow's directions. With VERDICT_NS, a flow
 * lives a tenth of a second less than its life at most, or an eighth.
 */
static __always_inline void live_on(__u64 *expires, __u64 now, __u64 life)
{
	if (*expires < now + life - life / 16 || *expires > now + life)
		*expires = now + life;
}

/* ---- TCP ---- */

#define TH_FIN 0x01
#define TH_SYN 0x02
#define TH_RST 0x04
#define TH_ACK 0x10

struct tcp_part { /* of the header, from its offset 8 on */
	__be32 ack;
	__u8 offset, flags;
} __attribute__((packed));

/* Is it a SYN that begins a connection? */
static __always_inline int begins(struct __sk_buff *skb, const struct packet_context *d)
{
	struct tcp_part tcp = {};

	return d->packet.field[DIVERT_F_PROTO] == PROTO_TCP &&
	       !skb_load(skb, d->link_len + d->shape.payload + 8, &tcp, sizeof(tcp)) &&
	       (tcp.flags & (TH_SYN | TH_ACK)) == TH_SYN;
}

/* ---- room ---- */

struct sweep {
	__u64 now;
	__u32 n; /* entries */
};

/*
 * Remove what is over, by a step for each entry. No more often than each second, as FreeBSD does,
 * and less where there are very many entries. -1: not now.
 */
#define SWEEP(map, now_ns, next, step)                                                             \
	({                                                                                         \
		struct sweep s_ = {.now = now_ns};                                                 \
		__u64 next_ = *(next);                                                             \
		int rc_ = -1;                                                                      \
                                                                                                   \
		if (s_.now >= next_ &&                                                             \
		    __sync_val_compare_and_swap(next, next_, s_.now + SECOND) == next_) {          \
			bpf_for_each_map_elem(map, step, &s_, 0);                                  \
			*(next) = s_.now + SECOND + s_.n / SWEEP_EACH * SECOND;                    \
			rc_ = 0;                                                                   \
		}                                                                                  \
		rc_;                                                                               \
	})

#endif
