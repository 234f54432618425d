/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a packet's headers. This is the only place that checks lengths, header lengths, fragments
 * and extension headers. Both halves compile it; the including file defines the access to bytes:
 *
 *	int packet_load(void *from, __u32 offset, void *to, __u32 len)
 *
 * It returns 0, or another value if the packet has no such bytes. Offsets are from the IP header.
 */
#ifndef DIVERT_ENGINE_PACKET_H
#define DIVERT_ENGINE_PACKET_H

#include "layout.h"

/* The system headers for this contain inline assembly, which a BPF program cannot use. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define packet_u16(be) __builtin_bswap16(be)
#define packet_u32(be) __builtin_bswap32(be)
#else
#define packet_u16(be) ((__u16)(be))
#define packet_u32(be) ((__u32)(be))
#endif

/*
 * Loads the headers that nearly every packet is read for. The kernel half has a faster way, which
 * takes more code.
 */
#ifndef packet_load_head
#define packet_load_head packet_load
#endif

/*
 * Is it a GSO packet of TCP? If its IP header has no length, Linux uses the buffer's. The user half
 * gets no other packets without a length.
 */
#ifndef packet_is_large
#define packet_is_large(from) 1
#endif

/*
 * Follow the extension headers to their end, by packet_step(). The kernel half replaces this by a
 * loop that the verifier checks once.
 */
#ifndef packet_follow
#define packet_follow(from, p, s)                                                                  \
	do {                                                                                       \
	} while (!packet_step(from, p, s))
#endif

enum {
	PROTO_HOPOPTS = 0,
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_DCCP = 33,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_ESP = 50,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_DSTOPTS = 60,
	PROTO_SCTP = 132,
	PROTO_UDPLITE = 136,
};

#define PACKET_SHORT 1 /* see packet_read() */

/* Fields that rules test. */
struct divert_packet {
	__u32 field[DIVERT_F_ROOM];
	__u64 wide[DIVERT_W_ROOM][2];
};

/* Other facts from the headers. */
struct packet_shape {
	__u32 len;     /* length of the whole packet, from its header */
	__u32 payload; /* offset of the payload behind the IP headers */
	__u8 tos;      /* or traffic class */
	__u8 fragment; /* it is a fragment, the first one included */
	__u32 id;      /* of a fragment, as in the header */
};

/* An IPv4 header without options and an IPv6 header, as bytes: they need no alignment. */
struct packet_ip4 {
	__u8 version_ihl, tos;
	__be16 len, id, frag;
	__u8 ttl, proto;
	__be16 check;
	__be32 src, dst;
} __attribute__((packed));

struct packet_ip6 {
	__be32 version_class_flow;
	__be16 len;
	__u8 next, hops;
	__be32 src[4], dst[4];
} __attribute__((packed));

static __always_inline __u64 packet_wide(__be32 hi, __be32 lo)
{
	return (__u64)packet_u32(hi) << 32 | packet_u32(lo);
}

/* The least header length of the protocol; 0: not checked. As FreeBSD's ipfw. */
static __always_inline __u32 packet_transport_len(__u32 proto)
{
	switch (proto) {
	case PROTO_TCP:
		return 20;
	case PROTO_UDP:
	case PROTO_UDPLITE:
	case PROTO_ICMP6:
		return 8;
	case PROTO_SCTP:
	case PROTO_DCCP: /* not checked by FreeBSD */
		return 12;
	case PROTO_ICMP:
		return 4;
	}
	return 0;
}

/*
 * Read the transport protocol's own fields. A packet too short for the header is refused. The bytes
 * behind its len are padding, or come in a later fragment, where rules do not look (RFC 1858).
 */
static __always_inline int packet_transport(void *from, __u8 proto, __u32 at, __u32 len,
					    struct divert_packet *p)
{
	__be16 port[2];
	__u8 type;

	if (at + packet_transport_len(proto) > len)
		return PACKET_SHORT;
	switch (proto) {
	case PROTO_TCP:
	case PROTO_UDP:
	case PROTO_DCCP:
	case PROTO_SCTP:
	case PROTO_UDPLITE:
		if (packet_load_head(from, at, port, sizeof(port)))
			return PACKET_SHORT;
		p->field[DIVERT_F_SPORT] = packet_u16(port[0]);
		p->field[DIVERT_F_DPORT] = packet_u16(port[1]);
		return 0;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		if (packet_load(from, at, &type, 1))
			return PACKET_SHORT;
		p->field[proto == PROTO_ICMP ? DIVERT_F_ICMP : DIVERT_F_ICMP6] = type;
		return 0;
	}
	return 0;
}

static __always_inline int packet_read4(void *from, __u32 avail, struct divert_packet *p,
					struct packet_shape *s)
{
	struct packet_ip4 ip;
	__u32 ihl, len;
	__u16 frag;

	if (packet_load_head(from, 0, &ip, sizeof(ip)))
		return -1;
	ihl = (ip.version_ihl & 15) * 4;
	len = packet_u16(ip.len);
	if (!len && packet_is_large(from)) /* Linux's own above 64 KiB, or a virtual machine's */
		len = avail;
	if (ip.version_ihl >> 4 != 4 || ihl < sizeof(ip) || len < ihl || len > avail)
		return -1;
	frag = packet_u16(ip.frag);
	s->len = len;
	s->payload = ihl;
	s->tos = ip.tos;
	s->fragment = (frag & 0x3fff) != 0;
	s->id = ip.id;
	p->field[DIVERT_F_FLAGS] |= DIVERT_IS_V4;
	p->field[DIVERT_F_SRC4] = ip.src;
	p->field[DIVERT_F_DST4] = ip.dst;
	p->field[DIVERT_F_PROTO] = ip.proto;
	p->field[DIVERT_F_PAYLOAD] = ihl;
	if (!(frag & 0x1fff))
		return packet_transport(from, ip.proto, ihl, len, p);
	p->field[DIVERT_F_FLAGS] |= DIVERT_IS_FRAG;
	/*
	 * the second half of the TCP header, which could overwrite that of the first fragment (RFC
	 * 3128)
	 */
	return ip.proto == PROTO_TCP && (frag & 0x1fff) == 1 ? PACKET_SHORT : 0;
}

/* Linux's list of extension headers. It takes any other number for a transport protocol. */
static __always_inline int packet_is_ext(__u32 next)
{
	switch (next) {
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_DSTOPTS:
	case PROTO_FRAGMENT:
	case PROTO_AH:
		return 1;
	}
	return 0;
}

static __always_inline __u32 packet_ext(__u8 header, __u8 routing)
{
	switch (header) {
	case PROTO_HOPOPTS:
		return DIVERT_EXT_HOPOPT;
	case PROTO_ROUTING:
		return DIVERT_EXT_ROUTE | (routing == 0	  ? DIVERT_EXT_RTHDR0
					   : routing == 2 ? DIVERT_EXT_RTHDR2
							  : 0);
	case PROTO_DSTOPTS:
		return DIVERT_EXT_DSTOPT;
	case PROTO_FRAGMENT:
		return DIVERT_EXT_FRAG;
	}
	return DIVERT_EXT_AH;
}

/*
 * Step over one extension header: update the protocol and the payload offset. 1: it is no extension
 * header, or it is incomplete. The position is kept in p and s, not on the stack, because the
 * verifier would try every value of it.
 */
static __always_inline int packet_step(void *from, struct divert_packet *p, struct packet_shape *s)
{
	__u32 next = p->field[DIVERT_F_PROTO], at = s->payload;
	__u8 ext[8];

	/* the header of a later fragment is followed by data from the middle of the packet */
	if (!packet_is_ext(next) || p->field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		return 1;
	if (at + sizeof(ext) > s->len || packet_load(from, at, ext, sizeof(ext)))
		return 1;
	p->field[DIVERT_F_EXT] |= packet_ext(next, ext[2]);
	if (next == PROTO_FRAGMENT) {
		s->fragment = 1;
		__builtin_memcpy(&s->id, ext + 4, sizeof(s->id));
		if (ext[2] || ext[3] & 0xf8)
			p->field[DIVERT_F_FLAGS] |= DIVERT_IS_FRAG;
		s->payload = at + 8;
	} else if (next == PROTO_AH) {
		s->payload = at + (ext[1] + 2) * 4;
	} else {
		s->payload = at + (ext[1] + 1) * 8;
	}
	p->field[DIVERT_F_PROTO] = ext[0];
	return 0;
}

static __always_inline int packet_read6(void *from, __u32 avail, struct divert_packet *p,
					struct packet_shape *s)
{
	struct packet_ip6 ip;
	__u32 len;

	if (packet_load_head(from, 0, &ip, sizeof(ip)))
		return -1;
	len = packet_u16(ip.len) + sizeof(ip);
	/*
	 * with hop-by-hop options, Linux takes the length from the jumbo option, or from the buffer
	 * if there is none
	 */
	if (!ip.len && (ip.next == PROTO_HOPOPTS || packet_is_large(from)))
		len = avail;
	if (packet_u32(ip.version_class_flow) >> 28 != 6 || len > avail)
		return -1;
	p->field[DIVERT_F_FLAGS] |= DIVERT_IS_V6;
	p->wide[DIVERT_W_SRC6][0] = packet_wide(ip.src[0], ip.src[1]);
	p->wide[DIVERT_W_SRC6][1] = packet_wide(ip.src[2], ip.src[3]);
	p->wide[DIVERT_W_DST6][0] = packet_wide(ip.dst[0], ip.dst[1]);
	p->wide[DIVERT_W_DST6][1] = packet_wide(ip.dst[2], ip.dst[3]);
	s->len = len;
	s->tos = packet_u32(ip.version_class_flow) >> 20;
	s->fragment = 0;
	s->payload = sizeof(ip);
	p->field[DIVERT_F_PROTO] = ip.next;
	if (packet_is_ext(ip.next))
		packet_follow(from, p, s);
	p->field[DIVERT_F_PAYLOAD] = s->payload;
	if (p->field[DIVERT_F_PROTO] == PROTO_ESP)
		p->field[DIVERT_F_EXT] |= DIVERT_EXT_ESP;
	if (s->payload > len)
		return PACKET_SHORT;
	if (p->field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		return 0;
	if (packet_is_ext(p->field[DIVERT_F_PROTO]))
		return PACKET_SHORT; /* the packet ends within the header */
	return packet_transport(from, p->field[DIVERT_F_PROTO], s->payload, len, p);
}

/*
 * Fill in p and s from a packet of at most avail bytes. The caller has set flags, mark and names.
 * -1: no IP stack would accept it. PACKET_SHORT: a valid IP packet that may be forwarded, but it
 * ends within the headers that rules test.
 */
static __always_inline int packet_read(void *from, int version, __u32 avail,
				       struct divert_packet *p, struct packet_shape *s)
{
	int rc;

	p->field[DIVERT_F_SRC4] = p->field[DIVERT_F_DST4] = DIVERT_ABSENT;
	p->field[DIVERT_F_EXT] = 0;
	p->field[DIVERT_F_SPORT] = p->field[DIVERT_F_DPORT] = DIVERT_ABSENT;
	p->field[DIVERT_F_ICMP] = p->field[DIVERT_F_ICMP6] = DIVERT_ABSENT;
	rc = version == 4 ? packet_read4(from, avail, p, s) : packet_read6(from, avail, p, s);
	if (rc < 0)
		return rc;
	p->field[DIVERT_F_LEN] = s->len;
	p->field[DIVERT_F_TOS] = s->tos;
	return rc;
}

#endif
