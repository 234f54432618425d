/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way out: a packet into the ring of the socket that is bound to a port. */
#ifndef DIVERT_ENGINE_DELIVER_BPF_H
#define DIVERT_ENGINE_DELIVER_BPF_H

#include "pass.bpf.h"

/*
 * Written back before, how often? tc_index is 16 bits that travel with a packet, also from the
 * way in to the way out and over lo. What another namespace has left there lacks our sign.
 */
#define HOPS_BITS 6

static __always_inline __u32 hops_sign(void)
{
	return entry_key[0] << HOPS_BITS & 0xffff;
}

static __always_inline __u8 skb_hops(struct __sk_buff *skb)
{
	__u32 hops = skb->tc_index ^ hops_sign();

	return hops >> HOPS_BITS ? 0 : hops;
}

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
			bpf_ringbuf_discard(record, 0);                                            \
			return DIVERT_N_TOO_LONG;                                                  \
		}                                                                                  \
		if (bpf_skb_load_bytes(skb, offset, record->packet, last + 1)) {                   \
			bpf_ringbuf_discard(record, 0);                                            \
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

/*
 * limit: bytes that may wait in the ring; one packet may always. The last eighth is for packets that
 * were written back before: else, where both directions of what is forwarded are diverted and more
 * comes than the program can take, the ring is full of new ones, and what the program has dealt with
 * once is lost on its second visit.
 */
static __always_inline int record_copy(struct __sk_buff *skb, void *ring,
				       struct divert_record *head, __u32 offset, __u32 limit)
{
	__u64 waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	if (!head->hops)
		limit -= limit / 8;
	if (waiting && waiting + sizeof(*head) + head->len > limit)
		return DIVERT_N_RING_FULL;
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

static __always_inline void record_head(struct __sk_buff *skb, const struct desk *d,
					struct divert_record *r, __u16 tag, int tee)
{
	__u32 flags = d->packet.field[DIVERT_F_FLAGS];

	__builtin_memset(r, 0, sizeof(*r));
	r->len = d->shape.len;
	r->tag = tag;
	r->mark = skb->mark;
	r->uid = ~0u;
	r->ifindex = d->recv_ifindex;
	r->hops = skb_hops(skb);
	if (flags & DIVERT_IS_OUT) {
		r->flags = DIVERT_REC_OUT;
		r->oif = skb->ifindex;
		if (d->recv_ifindex) {
			r->flags |= DIVERT_REC_FORWARDED;
			skb_name_of(skb, d->recv_ifindex, r->name);
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

/* The live socket at this place of the port's table; NULL: there is none. */
static __always_inline void *member(const struct divert_port *port, __u32 i, __u32 *slot)
{
	void *ring;

	i &= DIVERT_GROUP_MAX - 1;
	if (!(port->members & 1u << i))
		return NULL;
	*slot = port->slot[i];
	ring = bpf_map_lookup_elem(&sockets, slot);
	return ring && ring_alive(ring) ? ring : NULL;
}

static __always_inline __u32 mix(__u32 h)
{
	h *= 0x9e3779b1u;
	return h ^ h >> 15;
}

/*
 * Of addresses, protocol and ports; the same for both directions. Fragments go by the first
 * three, so that all of a packet meet at one socket.
 */
static __always_inline __u32 flow_hash(const struct desk *d)
{
	const __u64(*w)[2] = d->packet.wide;
	const __u32 *f = d->packet.field;
	__u64 both = f[DIVERT_F_SRC4] ^ f[DIVERT_F_DST4];

	if (f[DIVERT_F_FLAGS] & DIVERT_IS_V6) {
		both = (w[DIVERT_W_SRC6][0] ^ w[DIVERT_W_DST6][0]) +
		       (w[DIVERT_W_SRC6][1] ^ w[DIVERT_W_DST6][1]);
		both ^= both >> 32;
	}
	if (f[DIVERT_F_SPORT] != DIVERT_ABSENT && !d->shape.fragment)
		both = mix(both) + (f[DIVERT_F_SPORT] ^ f[DIVERT_F_DPORT]);
	return mix(mix(both) + f[DIVERT_F_PROTO]);
}

#define PROBES 96 /* places looked at; with two sockets, one flow in 500 finds none of them so */

struct choice {
	const struct divert_port *port;
	__u32 hash;
	__u32 place;
};

static long choose_step(__u32 i, struct choice *c)
{
	__u32 slot;

	c->place = (i < PROBES ? c->hash >> 16 : i) % DIVERT_GROUP_MAX;
	c->hash = mix(c->hash + 1);
	return member(c->port, c->place, &slot) != NULL;
}

/*
 * Sockets that share a port: the first live one in an order of places that is the flow's own.
 * One that leaves takes only its own flows with it, and they spread over the others.
 * Not static: the verifier then walks it once, and not on each way that leads here.
 */
__noinline __u32 choose(const struct divert_port *port, __u32 hash)
{
	struct choice c = {.port = port, .hash = hash};

	if (!port)
		return 0;
	bpf_loop(PROBES + DIVERT_GROUP_MAX, choose_step, &c, 0);
	return c.place;
}

/* The socket for the packet on a port; NULL: nobody listens. */
static __always_inline void *port_ring(const struct desk *d, __u32 key, struct divert_port **port,
				       __u32 *slot)
{
	*port = bpf_map_lookup_elem(&ports, &key);
	if (!*port || !(*port)->members)
		return NULL;
	if ((*port)->members == 1)
		return member(*port, 0, slot);
	return member(*port, choose(*port, flow_hash(d)), slot);
}

static __always_inline void record_info(struct __sk_buff *skb, const struct desk *d,
					struct divert_record *r, const struct divert_socket *conf)
{
	if (r->flags & DIVERT_REC_OUT && !d->recv_ifindex && skb->sk)
		r->uid = bpf_get_socket_uid(skb);
	r->drops = conf->drops;
	r->tstamp = bpf_ktime_get_ns();
}

enum deliver_how {
	DELIVER_TEE = 1 << 0,
	DELIVER_BYPASS = 1 << 1,  /* nobody listens: the rule says pass */
	DELIVER_RELEASE = 1 << 2, /* only to show whose its later fragments are not */
};

/* The packet to the socket that is bound to the port. Not static: see struct desk. */
__noinline int deliver(struct __sk_buff *skb, __u16 rule, __u16 number, __u32 how)
{
	const struct desk *d = desk();
	const struct divert_settings *set;
	struct divert_port *port = NULL;
	int tee = how & DELIVER_TEE;
	struct divert_socket *conf;
	struct divert_record head;
	void *ring = NULL;
	__u32 slot = 0;
	int cause, bypass;
	__u64 *n;

	if (!d)
		return DELIVER_LOST;
	/* IPv6 goes to an AF_INET6 socket if there is one, else where all goes */
	if (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6)
		ring = port_ring(d, number | DIVERT_KEY_V6, &port, &slot);
	if (!ring)
		ring = port_ring(d, number, &port, &slot);
	n = port_counters(port ? port->stats : 0);
	conf = bpf_map_lookup_elem(&socket_conf, &slot);
	if (!n || !conf)
		return DELIVER_LOST;
	/*
	 * What the host sends to many comes back to itself with its route at hand. Without that,
	 * as it would be after the way back, the stack takes it for a forgery.
	 */
	if (!tee && skb->pkt_type == PACKET_LOOPBACK &&
	    !(d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT)) {
		n[DIVERT_N_PASSED]++;
		return DELIVER_NOBODY;
	}
	if (!ring) {
		slot = 0;
		set = bpf_map_lookup_elem(&settings, &slot);
		bypass = how & DELIVER_BYPASS || (set && set->pass_through) ||
			 (port && port->flags & DIVERT_PORT_BYPASS);
		n[!tee && bypass ? DIVERT_N_PASSED : DIVERT_N_NO_LISTENER]++;
		return bypass ? DELIVER_NOBODY : DELIVER_LOST;
	}
	record_head(skb, d, &head, rule, tee);
	if (d->undecided)
		head.flags |= DIVERT_REC_UNDECIDED;
	if (how & DELIVER_RELEASE)
		head.flags |= DIVERT_REC_RELEASE;
	if (conf->flags) {
		if (conf->flags &
		    (head.flags & DIVERT_REC_OUT ? DIVERT_SOCK_NOT_OUT : DIVERT_SOCK_NOT_IN)) {
			n[DIVERT_N_PASSED] += !tee;
			return DELIVER_NOBODY;
		}
		if (conf->flags & DIVERT_SOCK_INFO)
			record_info(skb, d, &head, conf);
	}
	cause = record_copy(skb, ring, &head, d->link_len, conf->limit);
	if (cause == DIVERT_N_RING_FULL)
		__sync_fetch_and_add(&conf->drops, 1);
	if (cause || !(how & DELIVER_RELEASE))
		n[cause ? cause : tee ? DIVERT_N_TEED : DIVERT_N_DIVERTED]++;
	return cause ? DELIVER_LOST : DELIVERED;
}

#endif
