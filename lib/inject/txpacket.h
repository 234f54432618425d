/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet that the program has written, being made into a frame. */
#ifndef LIB_TXPACKET_H
#define LIB_TXPACKET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/reinject.h"
#include "lib/packet/segment.h"

#define HEADERS_MAX  256 /* bytes of headers that we look at */
#define IOV_MAX_HERE 64	 /* iovecs of a packet */

struct txpacket {
	struct virtio_net_hdr large; /* valid if gso_size is not 0 */
	struct divert_frame frame;
	/* Copy of the first bytes, if they are spread over several iovecs or must be changed. */
	uint8_t header[HEADERS_MAX];
	size_t copied;
	struct iovec iov[IOV_MAX_HERE + 3];
	size_t iovs;
	/* its headers, contiguous; all of the packet if it came in one iovec */
	const uint8_t *packet;
	uint32_t len;
	size_t given; /* bytes that the program passed for it */
	/* payload bytes of a segment if the kernel is to split it; 0: a single packet */
	uint32_t gso_size;
	uint32_t meta; /* result of metacache_find() */
	/* it was sent unfragmented, by normal routing, to a resolved neighbour */
	bool plain;
	bool refused; /* with gso_size: the kernel refused to split it */
};

/* Where a packet is to go. */
struct destination {
	int out;
	uint16_t tag; /* host order */
	/* in: receiving interface; out: where the packet was received, 0: unknown */
	uint32_t ifindex;
	int guessed; /* ifindex comes from a cached lookup */
};

/*
 * Check what divert(4) and the stack require of a packet: 0, -EMSGSIZE or -EINVAL. The packet is
 * not copied and must stay in place until the frame is sent.
 */
int txpacket_check(struct txpacket *o, const struct iovec *iov, size_t iovs, uint32_t sndbuf);
/*
 * If the packet's payload is longer than gso_size, let the kernel split it: add a virtio_net header
 * and leave a partial checksum. gso_size 0: not known to be a GSO packet.
 */
void txpacket_make_large(struct txpacket *o, uint32_t gso_size);
/*
 * The kernel refused to split this packet. Do not ask it again for this packet, nor, if it is UDP,
 * for any UDP packet of this process.
 */
void txpacket_refused(struct txpacket *o);
/* Must we split the packet ourselves? */
bool txpacket_is_ours(const struct txpacket *o);

/* A GSO packet that we split. */
struct txpacket_split {
	const struct divert_frame *frame;
	struct divert_record *whole;
	struct cut cut;
	uint32_t next; /* next segment */
	uint8_t *room; /* for one segment */
};

/* o: gathered. 0 or -ENOBUFS; on failure there is nothing to end. */
int txpacket_split_begin(struct txpacket_split *c, const struct txpacket *o);
/* Get the next segment, gathered and valid until the next call. False: no more. */
bool txpacket_split_next(struct txpacket_split *c, struct txpacket *segment);
/* Bytes of the GSO packet that the segments before the current one covered. */
uint32_t txpacket_split_done(const struct txpacket_split *c);
void txpacket_split_end(struct txpacket_split *c);

/* Correct the IPv4 header checksum of an outbound packet. */
void txpacket_fix_checksum(struct txpacket *o);
/*
 * Fill in the frame's iovecs: the frame header, the copied first bytes, and the rest of the packet.
 */
void txpacket_gather(struct txpacket *o, const struct iovec *iov, size_t iovs);

#endif
