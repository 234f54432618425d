// SPDX-License-Identifier: BSD-2-Clause
#include "outgoing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "checksum.h"
#include "segment.h"

#define HEADER4	   20
#define HEADER6	   40
#define PACKET_MAX 65535
#define GSO_UDP_L4 5 /* VIRTIO_NET_HDR_GSO_UDP_L4, which older headers do not have */
#define TCP_CWR	   0x80

static size_t total(const struct iovec *iov, size_t iovs)
{
	size_t n = 0;

	while (iovs--)
		n += iov[iovs].iov_len;
	return n;
}

/* The first n bytes of the pieces, in one piece: there, or copied. */
static void pull(struct outgoing *o, const struct iovec *iov, size_t iovs, size_t n)
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

/* The first n bytes, which have been pulled, to be changed. */
static uint8_t *own(struct outgoing *o, size_t n)
{
	if (!o->copied) {
		memcpy(o->header, o->packet, n);
		o->copied = n;
	}
	o->packet = o->header;
	return o->header;
}

int outgoing_check(struct outgoing *o, const struct iovec *iov, size_t iovs, uint32_t sndbuf)
{
	size_t len = total(iov, iovs), head, said;
	const uint8_t *p;

	back_frame(&o->frame, 0);
	o->copied = 0;
	o->gso_size = 0;
	o->plain = false;
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
		if (said == HEADER6 && p[6] == IPPROTO_HOPOPTS)
			said = len; /* its options may say the length; without, Linux takes what is there */
		o->frame.protocol = htons(ETH_P_IPV6);
		break;
	default:
		return -EINVAL;
	}
	if (said > len)
		return -EINVAL;
	o->len = said; /* what is behind is no part of the packet: the stack cuts it off, too */
	if (o->copied > said)
		o->copied = said;
	return 0;
}

void outgoing_gather(struct outgoing *o, const struct iovec *iov, size_t iovs)
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

void outgoing_make_large(struct outgoing *o, uint32_t gso_size)
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

void outgoing_fix_header(struct outgoing *o)
{
	if (o->packet[0] >> 4 != 4 || checksum_ip4_ok(o->packet))
		return;
	checksum_ip4_set(own(o, (o->packet[0] & 15) * 4));
}
