/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a packet's headers: the one place where lengths, header lengths,
 * fragments and extension headers are checked. Both halves compile it; the
 * includer says how bytes are had:
 *
 *	int packet_load(void *from, __u32 offset, void *to, __u32 len)
 *
 * 0, or not 0 where the packet has no such bytes. Offsets are from the IP header.
 */
#ifndef DIVERT_ENGINE_PACKET_H
#define DIVERT_ENGINE_PACKET_H

#include "layout.h"

/* The headers that would do this have inline assembly, which is nothing for a BPF program. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define packet_u16(be) __builtin_bswap16(be)
#define packet_u32(be) __builtin_bswap32(be)
#else
#define packet_u16(be) ((__u16)(be))
#define packet_u32(be) ((__u32)(be))
#endif

/* The same, of what is read of nearly every packet: the kernel half has a quicker way, which is longer. */
#ifndef packet_load_head
#define packet_load_head packet_load
#endif

#define PACKET_EXT_MAX 8 /* IPv6 extension headers that are followed */

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

/* What rules look at. */
struct divert_packet {
	__u32 field[DIVERT_F_ROOM];
	__u64 wide[DIVERT_W_ROOM][2];
};

/* What else its headers tell. */
struct packet_shape {
	__u32 len;     /* of the whole packet, by its header */
	__u32 payload; /* offset of what follows the IP headers */
	__u8 tos;      /* or traffic class */
	__u8 fragment; /* is one, also the first */
	__u32 id;      /* of a fragment, as it is in the header */
};

/* An IPv4 header without options, an IPv6 header, by their bytes: no alignment is assumed. */
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

/*
 * The protocol's own fields; a packet too short to have them goes without: what
 * is behind its len bytes is padding, which has no ports.
 */
static __always_inline void packet_transport(void *from, __u8 proto, __u32 at, __u32 len,
					     struct divert_packet *p)
{
	__be16 port[2];
	__u8 type;

	switch (proto) {
	case PROTO_TCP:
	case PROTO_UDP:
	case PROTO_DCCP:
	case PROTO_SCTP:
	case PROTO_UDPLITE:
		if (at + sizeof(port) > len || packet_load_head(from, at, port, sizeof(port)))
			return;
		p->field[DIVERT_F_SPORT] = packet_u16(port[0]);
		p->field[DIVERT_F_DPORT] = packet_u16(port[1]);
		return;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		if (at + 1 > len || packet_load(from, at, &type, 1))
			return;
		p->field[proto == PROTO_ICMP ? DIVERT_F_ICMP : DIVERT_F_ICMP6] = type;
		return;
	}
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
	if (!len && avail > 65535) /* the kernel's own packets above 64 KiB have none */
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
	if (frag & 0x1fff)
		p->field[DIVERT_F_FLAGS] |= DIVERT_IS_FRAG;
	else
		packet_transport(from, ip.proto, ihl, len, p);
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

static __always_inline int packet_read6(void *from, __u32 avail, struct divert_packet *p,
					struct packet_shape *s)
{
	struct packet_ip6 ip;
	__u8 next, ext[8];
	__u32 at, len;
	int i;

	if (packet_load_head(from, 0, &ip, sizeof(ip)))
		return -1;
	len = packet_u16(ip.len) + sizeof(ip);
	if (!ip.len && avail > 65535)
		len = avail; /* the same; some kernels add a jumbo option */
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

	/*
	 * A chain that ends early or is too long leaves the protocol at the
	 * header where it was lost: rules on ports then do not match.
	 */
	next = ip.next;
	at = sizeof(ip);
	for (i = 0; i < PACKET_EXT_MAX; i++) {
		if (next != PROTO_HOPOPTS && next != PROTO_ROUTING && next != PROTO_DSTOPTS &&
		    next != PROTO_FRAGMENT && next != PROTO_AH)
			break;
		if (at + sizeof(ext) > len || packet_load(from, at, ext, sizeof(ext)))
			break;
		p->field[DIVERT_F_EXT] |= packet_ext(next, ext[2]);
		if (next == PROTO_FRAGMENT) {
			s->fragment = 1;
			__builtin_memcpy(&s->id, ext + 4, sizeof(s->id));
			if (ext[2] || ext[3] & 0xf8)
				p->field[DIVERT_F_FLAGS] |= DIVERT_IS_FRAG;
			at += 8;
		} else if (next == PROTO_AH) {
			at += (ext[1] + 2) * 4;
		} else {
			at += (ext[1] + 1) * 8;
		}
		next = ext[0];
		if (p->field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
			break; /* what follows is the middle of something */
	}
	if (next == PROTO_ESP)
		p->field[DIVERT_F_EXT] |= DIVERT_EXT_ESP;
	s->payload = at;
	p->field[DIVERT_F_PAYLOAD] = at;
	p->field[DIVERT_F_PROTO] = next;
	if (!(p->field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG))
		packet_transport(from, next, at, len, p);
	return 0;
}

/*
 * Fill in p and s from a packet of at most avail bytes. The caller has set
 * flags, mark and names. -1: not an IP packet that any stack would accept.
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
	if (rc)
		return rc;
	p->field[DIVERT_F_LEN] = s->len;
	p->field[DIVERT_F_TOS] = s->tos;
	return rc;
}

#endif
