/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Delivery: copies a packet into the ring of the socket that is bound to a port. */
#ifndef DIVERT_ENGINE_DELIVER_BPF_H
#define DIVERT_ENGINE_DELIVER_BPF_H

#include "context.bpf.h"
#include "owner.bpf.h"
#include "release.bpf.h"

/*
 * How often the packet was reinjected. Stored in tc_index, 16 bits that travel with a packet, also
 * from ingress to egress and over lo. A value from another namespace lacks our secret.
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
	DELIVER_PASS, /* no listener, and the rule or the port says bypass: go on */
	DELIVER_DROP, /* dropped and counted, as where there is no listener */
};

/*
 * bpf_ringbuf_reserve() takes constant sizes only, so there are a few sizes. Each has a function of
 * its own, in which the verifier sees the length bounded. Returns the cause of a loss, or 0.
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
		__asm__ volatile("" : "+r"(last)); /* use exactly the value we checked */          \
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

RECORD_COPY(160) /* 256 with both headers */
RECORD_COPY(1528)
RECORD_COPY(9216)
RECORD_COPY(32768)
RECORD_COPY(65536)
RECORD_COPY(133120) /* two segments of lo: TCP sends these, whatever gso_max_size says */
RECORD_COPY(525312) /* BIG TCP */

/*
 * limit: bytes that may wait in the ring; one packet may always. 1/8 of the ring is reserved for
 * packets that were reinjected before. If both directions of forwarded traffic are diverted and the
 * program is overloaded, new packets would otherwise fill the ring, and packets that were handled
 * once would be lost on their second visit.
 */
static __always_inline int record_copy(struct __sk_buff *skb, void *ring,
				       struct divert_record *head, __u32 offset, __u32 limit)
{
	__u64 waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	if (!head->hops)
		limit -= limit / 8;
	if (waiting && waiting + sizeof(*head) + head->len > limit)
		return DIVERT_N_RING_FULL;
	if (head->len <= 160)
		return record_copy_160(skb, ring, head, offset);
	if (head->len <= 1528)
		return record_copy_1528(skb, ring, head, offset);
	if (head->len <= 9216)
		return record_copy_9216(skb, ring, head, offset);
	if (head->len <= 32768)
		return record_copy_32768(skb, ring, head, offset);
	if (head->len <= 65535)
		return record_copy_65536(skb, ring, head, offset);
	if (head->gso_type & DIVERT_GSO_OTHER)
		return DIVERT_N_TOO_LONG; /* it cannot be split */
	if (head->len <= 133120)
		return record_copy_133120(skb, ring, head, offset);
	return record_copy_525312(skb, ring, head, offset); /* it refuses longer ones itself */
}

/* Store the addresses of the packet's Ethernet header, or note that it has no link header. */
static __always_inline void meta_link(struct __sk_buff *skb, const struct packet_context *d,
				      struct divert_meta *meta)
{
	struct net_device *dev = READ(skb_of(skb), dev);

	if (d->link_len < ETH_HLEN || !has_ethernet_header(dev)) {
		meta->flags |= d->link_len ? 0 : DIVERT_META_DIRECT;
		return;
	}
	/* a VLAN tag in the packet is not kept: on output the packet is routed again */
	if (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT && d->link_len != ETH_HLEN)
		return;
	if (!skb_load(skb, 0, meta->link, sizeof(meta->link)))
		meta->flags |= DIVERT_META_LINK;
}

/* Store the packet's metadata, which its bytes do not contain. */
static __always_inline void record_meta(struct __sk_buff *skb, const struct packet_context *d,
					__u32 conf, struct divert_meta *meta)
{
	int owner;

	meta->priority = skb->priority;
	meta_link(skb, d, meta);
	if (!(d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT)) {
		if (skb_is_ipsec(skb))
			meta->flags |= DIVERT_META_IPSEC;
		if (skb_is_hashed(skb)) {
			meta->flags |= DIVERT_META_HASH;
			meta->hash = skb->hash;
		}
		return;
	}
	meta->when = divert_meta_clock(bpf_ktime_get_coarse_ns());
	meta->routes = skb_routes(skb);
	if (skb_is_encap(skb))
		meta->flags = DIVERT_META_IFACE;
	else if (skb_is_bound(skb))
		meta->flags |= DIVERT_META_IFACE;
	/* examines the socket: only if it is needed */
	if (d->owned || conf & DIVERT_SOCK_INFO) {
		owner = owner_of(skb, d, &meta->uid, &meta->gid);
		if (owner <= 0) {
			meta->uid = DIVERT_NO_USER;
			meta->gid = owner ? DIVERT_NOT_KNOWN : DIVERT_NO_USER;
		}
		meta->flags |= DIVERT_META_OWNER;
	}
}

static __always_inline void record_head(struct __sk_buff *skb, const struct packet_context *d,
					struct divert_record *r, __u16 tag, int tee)
{
	__u32 flags = d->packet.field[DIVERT_F_FLAGS];

	__builtin_memset(r, 0, sizeof(*r));
	r->len = d->shape.len;
	r->tag = tag;
	r->mark = skb->mark;
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
 * The count of processes that hold a map is 0 as soon as the last one has closed it or died, even
 * by kill -9: then the port has no listener.
 */
static __always_inline int ring_alive(void *ring)
{
	return ((struct bpf_map *)ring)->usercnt.counter > 0;
}

static __always_inline __u32 map_id(void *map)
{
	return ((struct bpf_map *)map)->id;
}

/* The live socket at this index of the port's members; NULL: none. */
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

static __always_inline __u32 hash_mix(__u32 h)
{
	h *= 0x9e3779b1u;
	return h ^ h >> 15;
}

/*
 * Flow hash for SO_REUSEPORT: of addresses, protocol and ports, the same for both directions.
 * Fragments use addresses and protocol only, so that all of a packet reach one socket.
 */
static __always_inline __u32 flow_hash(const struct packet_context *d)
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
		both = hash_mix(both) + (f[DIVERT_F_SPORT] ^ f[DIVERT_F_DPORT]);
	return hash_mix(hash_mix(both) + f[DIVERT_F_PROTO]);
}

#define PROBES 96 /* random probes, then a linear search: with two sockets, for one flow in 500 */

struct choice {
	const struct divert_port *port;
	__u32 hash;
	__u32 place;
};

static long choose_step(__u32 i, struct choice *c)
{
	__u32 slot;

	c->place = (i < PROBES ? c->hash >> 16 : i) % DIVERT_GROUP_MAX;
	c->hash = hash_mix(c->hash + 1);
	return member(c->port, c->place, &slot) != NULL;
}

/*
 * Choose a socket of a shared port (SO_REUSEPORT): the first live one in a probe order that depends
 * on the flow's hash. When a socket leaves, only its own flows move, and they spread over the
 * others. Not static: the verifier then checks it once, not on each path that leads here.
 */
__noinline __u32 choose(const struct divert_port *port, __u32 hash)
{
	struct choice c = {.port = port, .hash = hash};

	if (!port)
		return 0;
	bpf_loop(PROBES + DIVERT_GROUP_MAX, choose_step, &c, 0);
	return c.place;
}

/* The socket that gets the packet on a port; NULL: no listener. */
static __always_inline void *port_ring(const struct packet_context *d, __u32 key,
				       struct divert_port **port, __u32 *slot)
{
	*port = bpf_map_lookup_elem(&ports, &key);
	if (!*port || !(*port)->members)
		return NULL;
	if ((*port)->members == 1)
		return member(*port, 0, slot);
	return member(*port, choose(*port, flow_hash(d)), slot);
}

static __always_inline void record_info(struct divert_record *r, const struct divert_socket *conf)
{
	r->drops = conf->drops;
	r->tstamp = bpf_ktime_get_ns();
}

enum deliver_how {
	DELIVER_TEE = 1 << 0,
	DELIVER_BYPASS = 1 << 1,    /* without a listener the packet passes: the rule says bypass */
	DELIVER_GIVE_BACK = 1 << 2, /* only show that its later fragments belong to another rule */
};

/*
 * Deliver the packet to the socket that is bound to the port. Not static: see struct
 * packet_context.
 */
__noinline int deliver(struct __sk_buff *skb, __u16 rule, __u16 number, __u32 how)
{
	struct packet_context *d = context();
	const struct divert_settings *set;
	struct divert_port *port = NULL;
	int tee = how & DELIVER_TEE;
	struct divert_socket *conf;
	struct divert_record *head;
	void *ring = NULL;
	__u32 slot = 0;
	int cause, bypass;
	__u64 *n;

	if (!d)
		return DELIVER_DROP;
	d->met++;
	head = &d->record;
	/* IPv6 goes to an AF_INET6 socket if there is one, else to an AF_INET socket */
	if (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_V6)
		ring = port_ring(d, number | DIVERT_KEY_V6, &port, &slot);
	if (!ring)
		ring = port_ring(d, number, &port, &slot);
	n = port_counters(port ? port->stats : 0);
	conf = bpf_map_lookup_elem(&socket_conf, &slot);
	if (!n || !conf)
		return DELIVER_DROP;
	/*
	 * The host's own multicast or broadcast packets loop back with their route attached. After
	 * reinjection they would have none, and the stack would drop them as forged.
	 */
	if (!tee && skb->pkt_type == PACKET_LOOPBACK &&
	    !(d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_OUT)) {
		n[DIVERT_N_PASSED]++;
		return DELIVER_PASS;
	}
	if (!ring) {
		slot = 0;
		set = bpf_map_lookup_elem(&settings, &slot);
		bypass = how & DELIVER_BYPASS || (set && set->pass_through) ||
			 (port && port->flags & DIVERT_PORT_BYPASS);
		n[!tee && bypass ? DIVERT_N_PASSED : DIVERT_N_NO_LISTENER]++;
		return bypass ? DELIVER_PASS : DELIVER_DROP;
	}
	if (has_released(port) && !(how & DELIVER_GIVE_BACK)) {
		switch (d->packet.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG
				? release_later(d, rule, number,
						!tee && conf->flags & DIVERT_SOCK_REASSEMBLE)
				: release_find(skb, port, rule)) {
		case DIVERT_RELEASE_DROPS:
			if (!tee) {
				n[DIVERT_N_RELEASED_DROPPED]++;
				return DELIVER_DROP;
			} /* fall through */
		case DIVERT_RELEASE_PASSES:
			n[DIVERT_N_RELEASED_PASSED]++;
			d->passed++;
			d->verdict.ring = map_id(ring);
			d->verdict.slot = slot;
			d->verdict.stats = port->stats;
			return DELIVER_PASS;
		}
	}
	record_head(skb, d, head, rule, tee);
	record_meta(skb, d, conf->flags, &head->meta);
	if (d->undecided)
		head->flags |= DIVERT_REC_UNDECIDED;
	if (how & DELIVER_GIVE_BACK)
		head->flags |= DIVERT_REC_GIVE_BACK;
	if (conf->flags) {
		if (conf->flags &
		    (head->flags & DIVERT_REC_OUT ? DIVERT_SOCK_NOT_OUT : DIVERT_SOCK_NOT_IN)) {
			n[DIVERT_N_PASSED] += !tee;
			return DELIVER_PASS;
		}
		if (conf->flags & DIVERT_SOCK_INFO)
			record_info(head, conf);
	}
	cause = record_copy(skb, ring, head, d->link_len, conf->limit);
	if (cause == DIVERT_N_RING_FULL)
		__sync_fetch_and_add(&conf->drops, 1);
	if (cause || !(how & DELIVER_GIVE_BACK))
		n[cause ? cause : tee ? DIVERT_N_TEED : DIVERT_N_DIVERTED]++;
	return cause ? DELIVER_DROP : DELIVERED;
}

#endif
