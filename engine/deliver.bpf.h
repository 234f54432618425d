/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way out: a packet into the ring of the socket that is bound to a port. */
#ifndef DIVERT_ENGINE_DELIVER_BPF_H
#define DIVERT_ENGINE_DELIVER_BPF_H

#include "pass.bpf.h"

enum delivered {
	DELIVERED,
	DELIVER_NOBODY, /* no live socket on the port */
	DELIVER_LOST,	/* counted */
};

/*
 * A ring takes records of constant sizes only, so there are a few sizes. For
 * each a function of its own, which the verifier checks with the length as
 * bounded here. cause: of the loss, if it is not 0.
 */
#define RECORD_COPY(size)                                                                          \
	static __noinline int record_copy_##size(struct __sk_buff *skb, void *ring,                \
						 struct divert_record *head, __u32 offset)         \
	{                                                                                          \
		struct {                                                                           \
			struct divert_record head;                                                 \
			__u8 packet[size];                                                         \
		} *record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);                         \
		__u32 last = head->len - 1; /* of the bytes: 0 to size - 1 */                      \
                                                                                                   \
		if (!record)                                                                       \
			return DIVERT_N_RING_FULL;                                                 \
		__asm__ volatile("" : "+r"(last)); /* what is checked is what is used */           \
		if (last >= size) {                                                                \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                             \
			return DIVERT_N_TOO_LONG;                                                  \
		}                                                                                  \
		if (bpf_skb_load_bytes(skb, offset, record->packet, last + 1)) {                   \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                             \
			return DIVERT_N_MALFORMED;                                                 \
		}                                                                                  \
		record->head = *head;                                                              \
		bpf_ringbuf_submit(record, 0);                                                     \
		return 0;                                                                          \
	}

RECORD_COPY(184) /* 256 with both headers */
RECORD_COPY(1528)
RECORD_COPY(9216)
RECORD_COPY(32768)
RECORD_COPY(65536)
RECORD_COPY(133120) /* two segments of lo: TCP sends these, whatever gso_max_size says */
RECORD_COPY(525312) /* BIG TCP */

static __always_inline int record_copy(struct __sk_buff *skb, void *ring,
				       struct divert_record *head, __u32 offset)
{
	if (head->len <= 184)
		return record_copy_184(skb, ring, head, offset);
	if (head->len <= 1528)
		return record_copy_1528(skb, ring, head, offset);
	if (head->len <= 9216)
		return record_copy_9216(skb, ring, head, offset);
	if (head->len <= 32768)
		return record_copy_32768(skb, ring, head, offset);
	if (head->len <= 65535)
		return record_copy_65536(skb, ring, head, offset);
	if (head->gso_type & DIVERT_GSO_OTHER)
		return DIVERT_N_TOO_LONG; /* it cannot be cut */
	if (head->len <= 133120)
		return record_copy_133120(skb, ring, head, offset);
	return record_copy_525312(skb, ring, head, offset); /* or longer, which that refuses */
}

static __always_inline void record_head(struct pass *p, struct divert_record *r, __u16 tag, int tee)
{
	struct __sk_buff *skb = p->skb;
	__u32 flags = p->packet.field[DIVERT_F_FLAGS];

	__builtin_memset(r, 0, sizeof(*r));
	r->len = p->shape.len;
	r->tag = tag;
	r->mark = skb->mark;
	r->uid = ~0u;
	r->ifindex = p->recv_ifindex;
	if (flags & DIVERT_IS_OUT) {
		r->flags = DIVERT_REC_OUT;
		r->oif = skb->ifindex;
		if (p->recv_ifindex) {
			r->flags |= DIVERT_REC_FORWARDED;
			skb_name_of(skb, p->recv_ifindex, r->name);
		}
	} else {
		skb_dev_name(skb, r->name);
		r->addr = skb_dev_addr(skb);
	}
	if (flags & DIVERT_IS_V6)
		r->flags |= DIVERT_REC_V6;
	if (tee)
		r->flags |= DIVERT_REC_TEE;
	if (skb->gso_size) {
		r->gso_size = skb->gso_size;
		r->gso_type = skb_gso_type(skb);
	}
	if (skb_is_partial(skb)) {
		r->flags |= DIVERT_REC_PARTIAL;
		skb_partial(skb, r);
	}
}

/*
 * The count of processes' holds on a map is 0 from the moment that the last
 * one has closed it or died, kill -9 included: nobody listens any more.
 */
static __always_inline int ring_alive(void *ring)
{
	return ((struct bpf_map *)ring)->usercnt.counter > 0;
}

static __always_inline struct divert_port *port_entry(__u32 key, void **ring)
{
	struct divert_port *port = bpf_map_lookup_elem(&ports, &key);
	__u32 slot;

	*ring = NULL;
	if (!port || !port->members)
		return port;
	slot = port->slot[0];
	*ring = bpf_map_lookup_elem(&sockets, &slot);
	return port;
}

/* noinline: it is called from the two actions, each time with the whole of the above. */
static __noinline int deliver(struct pass *p, const struct divert_insn *in)
{
	int tee = in->op == DIVERT_OP_TEE;
	struct divert_port *port = NULL;
	void *ring = NULL;
	struct divert_record head;
	__u32 zero = 0;
	__u64 *n;
	int cause;

	/* IPv6 goes to an AF_INET6 socket if there is one, else where all goes */
	if (p->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		port = port_entry(in->action.port | DIVERT_KEY_V6, &ring);
		if (ring && !ring_alive(ring))
			ring = NULL;
	}
	if (!ring)
		port = port_entry(in->action.port, &ring);
	n = port_counters(port ? port->stats : 0);
	if (!n)
		return DELIVER_LOST;
	if (!ring || !ring_alive(ring)) {
		struct divert_settings *set = bpf_map_lookup_elem(&settings, &zero);
		int bypass = in->action.flags & DIVERT_ACT_BYPASS || (set && set->pass_through) ||
			     (port && port->flags & DIVERT_PORT_BYPASS);

		n[!tee && bypass ? DIVERT_N_PASSED : DIVERT_N_NO_LISTENER]++;
		return bypass ? DELIVER_NOBODY : DELIVER_LOST;
	}
	record_head(p, &head, in->rule, tee);
	cause = record_copy(p->skb, ring, &head, p->link_len);
	n[cause ? cause : tee ? DIVERT_N_TEED : DIVERT_N_DIVERTED]++;
	return cause ? DELIVER_LOST : DELIVERED;
}

#endif
