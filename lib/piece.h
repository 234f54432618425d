/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fragment says of itself: RFC 791, RFC 8200. */
#ifndef LIB_PIECE_H
#define LIB_PIECE_H

#include <stdbool.h>
#include <stdint.h>

/* Where a fragment belongs. */
struct piece {
	uint32_t head;	 /* bytes of its headers that the whole packet has, too */
	uint32_t data;	 /* where the bytes that it carries begin, */
	uint32_t len;	 /* how many they are */
	uint32_t offset; /* and where they are in the packet */
	uint32_t id;	 /* network order */
	uint32_t link;	 /* IPv6: where the header before the fragment header names it */
	uint8_t next;	 /* IPv6: what follows the fragment header. IPv4: the protocol */
	bool more;	 /* it is not the last one */
};

/*
 * May this packet be a fragment? Says no to nearly all that are not; its IP header lies whole in it.
 */
static inline bool piece_likely(const uint8_t *packet)
{
	if (packet[0] >> 4 == 4)
		return (packet[6] & 0x3f) | packet[7];
	switch (packet[6]) {
	case 0:
	case 43:
	case 44:
	case 51:
	case 60:
		return true;
	}
	return false;
}

/* Is it one? With piece filled in. */
bool piece_read(const uint8_t *packet, uint32_t len, struct piece *piece);
/* An IPv6 packet that is none: how it is to be cut, its fragment header behind what routers look at. */
void piece_place(const uint8_t *packet, uint32_t len, struct piece *piece);
/* Is it one that no packet can have? */
bool piece_impossible(const struct piece *piece);
/* RFC 7112: a first fragment of IPv6 has all headers, up to the upper layer's and with that. */
bool piece_headers_whole(const uint8_t *packet, uint32_t len, const struct piece *piece);

#endif
