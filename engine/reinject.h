/* SPDX-License-Identifier: BSD-2-Clause */
/* Reinjection frames from user space: a packet socket on lo. */
#ifndef DIVERT_ENGINE_REINJECT_H
#define DIVERT_ENGINE_REINJECT_H

#include <stdint.h>

#include "layout.h"

struct engine;

/* Headers of a reinjected packet on lo: its Ethernet header, then the kernel half's. */
struct divert_frame {
	uint8_t link[12];  /* addresses; with DIVERT_META_LINK the packet's own */
	uint16_t protocol; /* ETH_P_IP or ETH_P_IPV6, network order */
	struct divert_reinject reinject;
} __attribute__((packed, aligned(2)));

/*
 * A packet socket that receives nothing and whose frames the engine accepts; close-on-exec. Returns
 * a descriptor or -errno. Needs the privileges of engine_open(); sending later needs none.
 */
int reinject_open(const struct engine *e);
/*
 * The same for frames that start with a struct virtio_net_hdr (linux/virtio_net.h), which can
 * describe a GSO packet.
 */
int reinject_open_large(const struct engine *e);
/* The engine's own socket, which may query and wake any socket of the engine. */
int reinject_open_engine(const struct engine *e);
/* The GSO types that the kernel accepts from this socket: enum divert_gso. UDP since Linux 6.2. */
uint32_t reinject_large_types(int fd);
/*
 * Mark it as the socket in this slot, of the port with this key and these stats (struct
 * divert_port). 0 or -errno.
 */
int reinject_bind(const struct engine *e, int fd, uint32_t key, uint32_t slot, uint32_t stats);
/* Initialise a frame header. protocol: host order. */
void reinject_frame(struct divert_frame *frame, uint16_t protocol);

#endif
