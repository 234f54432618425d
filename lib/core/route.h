/* SPDX-License-Identifier: BSD-2-Clause */
/* Ask the kernel's routing tables about a packet that they do not forward to another host. */
#ifndef LIB_ROUTE_H
#define LIB_ROUTE_H

#include <stdint.h>

enum route_kind {
	ROUTE_LOCAL, /* to this host */
	ROUTE_LINK,  /* multicast or broadcast, on link ifindex */
	ROUTE_HOST,  /* to another host after all */
};

/*
 * Look up the route to the packet's destination. packet: holds at least the whole IP header. mark:
 * fwmark. Returns an enum route_kind, or the -errno that a raw socket would give: ENETUNREACH,
 * EHOSTUNREACH, EACCES, EINVAL (blackhole).
 */
int route_ask(const uint8_t *packet, uint32_t mark, uint32_t *ifindex);

/*
 * Path MTU to the packet's destination, in bytes, or, if ifindex is not 0, the MTU of that link.
 * -errno on failure.
 */
int route_mtu(const uint8_t *packet, uint32_t mark, uint32_t ifindex);

#endif
