/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of the way back, from user space: a packet socket on lo. */
#ifndef DIVERT_ENGINE_BACK_H
#define DIVERT_ENGINE_BACK_H

#include <stdint.h>

#include "layout.h"

/* What precedes a packet on lo: an Ethernet header. */
struct divert_frame {
	struct divert_back back; /* where the addresses are */
	uint16_t protocol;	 /* ETH_P_..., network order */
} __attribute__((packed));

/*
 * A packet socket that sends such frames and receives nothing; close-on-exec. mark: the engine's
 * secret. A descriptor or -errno. Needs CAP_NET_RAW, and sending later needs none.
 */
int back_open(uint32_t mark);
/*
 * The same for frames that start with a struct virtio_net_hdr (linux/virtio_net.h), which can say that the
 * packet is to be cut into segments, and how.
 */
int back_open_large(uint32_t mark);
/* What the kernel takes from it: enum divert_gso. UDP since Linux 6.2. */
uint32_t back_large_types(int fd);
/* Its frames count for the port with these stats (struct divert_port). Needs CAP_NET_ADMIN. */
int back_account(int fd, uint32_t stats);
/* A frame header with nothing in it. protocol: host order. */
void back_frame(struct divert_frame *frame, uint16_t protocol);

#endif
