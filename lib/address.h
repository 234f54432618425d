/* SPDX-License-Identifier: BSD-2-Clause */
/* Between socket addresses and what they say: direction, interface, tag (divert(4)). */
#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "engine/layout.h"
#include "socket.h"

/* The address of a received packet, cut to *len; *len becomes its whole length. */
void address_make(const struct dsock *s, const struct divert_record *rec, struct sockaddr *addr,
		  socklen_t *len);

struct destination {
	int out;
	uint16_t tag;	  /* host order */
	uint32_t ifindex; /* in: where it arrives; out: where it was received, 0: unknown */
	int guessed;	  /* ifindex is of a name or address that was looked up a while ago */
};

/*
 * Read an address; addr may be NULL. If it has no room for the interface, that is recalled from the packet that is
 * written with it, which may be NULL. -EINVAL, -EAFNOSUPPORT, -EADDRNOTAVAIL.
 */
int address_read(struct dsock *s, const struct sockaddr *addr, socklen_t len, const uint8_t *packet,
		 uint32_t packet_len, struct destination *to);

#endif
