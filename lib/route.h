/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel's routing says of a packet that is no other host's. */
#ifndef LIB_ROUTE_H
#define LIB_ROUTE_H

#include <stdint.h>

enum route_kind {
	ROUTE_LOCAL, /* to this host */
	ROUTE_LINK,  /* multicast or broadcast on the link of ifindex */
	ROUTE_HOST,  /* to another host, after all */
};

/*
 * Ask for the packet's destination. packet: its IP header lies whole in it. mark: fwmark. The kind,
 * or -errno as of a raw socket: ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL (blackhole).
 */
int route_ask(const uint8_t *packet, uint32_t mark, uint32_t *ifindex);

/*
 * The longest packet that fits the way to the packet's destination, bytes; on the link of
 * ifindex, if that is not 0. -errno.
 */
int route_mtu(const uint8_t *packet, uint32_t mark, uint32_t ifindex);

#endif
