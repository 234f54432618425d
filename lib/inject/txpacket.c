// SPDX-License-Identifier: BSD-2-Clause
#include "txpacket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "lib/packet/checksum.h"
#include "lib/packet/segment.h"

#define HEADER4	   20
#define HEADER6	   40
#define PACKET_MAX 65535
#define GSO_UDP_L4 5 /* VIRTIO_NET_HDR_GSO_UDP_L4, which older headers lack */
#define TCP_CWR	   0x80

static size_t total(const struct iovec *iov, size_t iovs)
{
	size_t n = 0;

	while (iovs--)
		n += iov[iovs].iov_len;
	return n;
}

/* Make the first n bytes contiguous in o->packet; copy them only if needed. */
static void pull(struct txpacket *o, const struct iovec *iov, size_t iovs, size_t n)
{
	size_t part;

	if (iovs && iov->iov_len >= n) {
		o->packet = iov->iov_base;
		return;
	}
	for (; iovs && o->copied < n; iov++, iovs--) {
		part = iov->iov_len < n - o->copied ? iov->iov_len : n - o->copied;
		memcpy(o->header + o->copied, iov->iov_base, part);
		o->copied += part;
	}
	o->packet = o->header;
}

/* Make the first n bytes, already pulled, writable. */
static uint8_t *own(struct txpacket *o, size_t n)
{
	if (!o->copied) {
		memcpy(o->header, o->packet, n);
		o->copied = n;
	}
	o->packet = o->header;
	return o->header;
}

int txpacket_check(struct txpacket *o, const struct iovec *iov, size_t iovs, uint32_t sndbuf)
{
	size_t len = total(iov, iovs), head, said;
	const uint8_t *p;

	reinject_frame(&o->frame, 0);
	o->copied = 0;
	o->gso_size = 0;
	o->plain = false;
	o->refused = false;
	o->given = len;
	if (iovs > IOV_MAX_HERE || len > sndbuf || len > PACKET_MAX)
		return -EMSGSIZE;
	if (len < HEADER4)
		return -EINVAL;
	pull(o, iov, iovs, len < HEADERS_MAX ? len : HEADERS_MAX);
	p = o->packet;
	switch (p[0] >> 4) {
	case 4:
		head = (p[0] & 15) * 4;
		said = p[2] << 8 | p[3];
		if (head < HEADER4 || said < head)
			return -EINVAL;
		o->frame.protocol = htons(ETH_P_IP);
		break;
	case 6:
		if (len < HEADER6)
			return -EINVAL;
		said = HEADER6 + (p[4] << 8 | p[5]);
		/* a jumbo option may give the length; if it does not, Linux uses the buffer's */
		if (said == HEADER6 && p[6] == IPPROTO_HOPOPTS)
			said = len;
		o->frame.protocol = htons(ETH_P_IPV6);
		break;
	default:
		return -EINVAL;
	}
	if (said > len)
		return -EINVAL;
	o->len = said; /* bytes after that are not part of the packet; the stack trims them, too */
	if (o->copied > said)
		o->copied = said;
	return 0;
}

void txpacket_gather(struct txpacket *o, const struct iovec *iov, size_t iovs)
{
	size_t skip = o->copied, left = o->len - o->copied, part;

	o->iovs = 0;
	if (o->gso_size)
		o->iov[o->iovs++] = (struct iovec){&o->large, sizeof(o->large)};
	o->iov[o->iovs++] = (struct iovec){&o->frame, sizeof(o->frame)};
	if (o->copied)
		o->iov[o->iovs++] = (struct iovec){o->header, o->copied};
	for (; iovs && left; iov++, iovs--) {
		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		part = iov->iov_len - skip < left ? iov->iov_len - skip : left;
		o->iov[o->iovs++] = (struct iovec){(char *)iov->iov_base + skip, part};
		left -= part;
		skip = 0;
	}
}

void txpacket_make_large(struct txpacket *o, uint32_t gso_size)
{
	uint32_t have = o->len < HEADERS_MAX ? o->len : HEADERS_MAX;
	struct virtio_net_hdr *v = &o->large;
	struct heads h;
	uint8_t *p;

	if (!gso_size || o->len <= gso_size || segment_heads(o->packet, have, o->len, &h) ||
	    o->len - h.len <= gso_size)
		return;
	p = own(o, have);
	o->gso_size = gso_size;
	segment_set_partial(p, o->len, &h);
	memset(v, 0, sizeof(*v));
	v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	v->gso_size = gso_size;
	v->hdr_len = sizeof(o->frame) + h.len;
	v->csum_start = sizeof(o->frame) + h.transport;
	v->csum_offset = h.sum - h.transport;
	if (h.proto == IPPROTO_UDP) {
		v->gso_type = GSO_UDP_L4;
		return;
	}
	v->gso_type = p[0] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (p[h.transport + 13] & TCP_CWR)
		v->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
}

/* ---- splitting ---- */

/* Linux before 6.2 has no virtio_net type for UDP GSO. */
static bool refuses_udp;

static bool is_udp(const struct txpacket *o)
{
	return o->large.gso_type == GSO_UDP_L4;
}

void txpacket_refused(struct txpacket *o)
{
	o->refused = true;
	if (is_udp(o))
		__atomic_store_n(&refuses_udp, true, __ATOMIC_RELAXED);
}

bool txpacket_is_ours(const struct txpacket *o)
{
	return o->gso_size &&
	       (o->refused || (is_udp(o) && __atomic_load_n(&refuses_udp, __ATOMIC_RELAXED)));
}

int txpacket_split_begin(struct txpacket_split *c, const struct txpacket *o)
{
	struct divert_record *rec = malloc(sizeof(*rec) + 2 * o->len);
	uint8_t *to = (uint8_t *)(rec + 1);
	size_t i;

	if (!rec)
		return -ENOBUFS;
	*rec = (struct divert_record){
		.len = o->len,
		.flags = DIVERT_REC_PARTIAL,
		.gso_size = o->gso_size,
		.gso_type = is_udp(o) ? DIVERT_GSO_UDP : DIVERT_GSO_TCP,
	};
	for (i = 2; i < o->iovs; i++) /* after the virtio_net header and the frame header */
		to = mempcpy(to, o->iov[i].iov_base, o->iov[i].iov_len);
	c->frame = &o->frame;
	c->whole = rec;
	c->room = to;
	c->next = 0;
	segment_plan(rec, &c->cut);
	return 0;
}

bool txpacket_split_next(struct txpacket_split *c, struct txpacket *segment)
{
	struct iovec iov = {c->room, 0};

	if (c->next == c->cut.segments)
		return false;
	iov.iov_len = segment_len(c->whole, &c->cut, c->next);
	segment_build(c->whole, &c->cut, c->next++, c->room);
	*segment = (struct txpacket){
		.frame = *c->frame,
		.packet = c->room,
		.len = iov.iov_len,
	};
	txpacket_gather(segment, &iov, 1);
	return true;
}

uint32_t txpacket_split_done(const struct txpacket_split *c)
{
	return c->next < 2 ? 0 : c->cut.head + (c->next - 1) * c->cut.size;
}

void txpacket_split_end(struct txpacket_split *c)
{
	free(c->whole);
}

void txpacket_fix_checksum(struct txpacket *o)
{
	if (o->packet[0] >> 4 != 4 || checksum_ip4_ok(o->packet))
		return;
	checksum_ip4_set(own(o, (o->packet[0] & 15) * 4));
}
