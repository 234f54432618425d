/* SPDX-License-Identifier: BSD-2-Clause */
/* Convert between socket addresses and what they encode: direction, interface, tag (divert(4)). */
#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "engine/layout.h"
#include "lib/core/socket.h"
#include "lib/inject/txpacket.h"

/* The address of a received packet, truncated to *len. Sets *len to its full length. */
void address_make(const struct dsock *s, const struct divert_record *rec, struct sockaddr *addr,
		  socklen_t *len);

/*
 * Read an address; addr may be NULL. If the address has no room for the interface, look that up in
 * the packet cache by `packet`, the packet being sent, which may be NULL. 0, -EINVAL, -EAFNOSUPPORT
 * or -EADDRNOTAVAIL.
 */
int address_read(struct dsock *s, const struct sockaddr *addr, socklen_t len, const uint8_t *packet,
		 uint32_t packet_len, struct destination *to);

#endif
