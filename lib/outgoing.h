/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet that the program has written, on its way to be a frame. */
#ifndef LIB_OUTGOING_H
#define LIB_OUTGOING_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/back.h"

#define HEADERS_MAX  256 /* bytes of headers that are looked at */
#define IOV_MAX_HERE 64	 /* pieces of a packet */

struct outgoing {
	struct virtio_net_hdr large; /* with gso_size */
	struct divert_frame frame;
	uint8_t header
		[HEADERS_MAX]; /* a copy of the first bytes, where they are in pieces or to be changed */
	size_t copied;
	struct iovec iov[IOV_MAX_HERE + 3];
	size_t iovs;
	const uint8_t *packet; /* its headers, whole; of a packet of one piece all of it */
	uint32_t len;
	size_t given;	   /* bytes that the program has given for it */
	uint32_t gso_size; /* to be cut into segments of so much payload; 0: a single packet */
	bool plain;	   /* it went whole, where routes lead, to a neighbour that is known */
};

/*
 * What divert(4) and the stack ask of a packet, before anything is looked at in it: -EMSGSIZE, -EINVAL.
 * It stays where it is, and has to, until the frame is sent.
 */
int outgoing_check(struct outgoing *o, const struct iovec *iov, size_t iovs, uint32_t sndbuf);
/*
 * A packet that is longer than gso_size says stands for several: it goes with what the kernel needs to know to
 * cut it, and with the checksum as it is left to whoever does. 0: it is not known to be large.
 */
void outgoing_make_large(struct outgoing *o, uint32_t gso_size);
/* Outbound, the header checksum is ours to make right. */
void outgoing_fix_header(struct outgoing *o);
/* The frame's pieces: what precedes the packet, what was copied of it, and the rest of it. */
void outgoing_gather(struct outgoing *o, const struct iovec *iov, size_t iovs);

#endif
