/* SPDX-License-Identifier: BSD-2-Clause */
/* The fragment fields of a packet: RFC 791, RFC 8200. */
#ifndef LIB_FRAGHDR_H
#define LIB_FRAGHDR_H

#include <stdbool.h>
#include <stdint.h>

/* A fragment's position in its packet. */
struct fraghdr {
	uint32_t head;	 /* bytes of the headers that the reassembled packet has, too */
	uint32_t data;	 /* offset of the data in the fragment */
	uint32_t len;	 /* bytes of data */
	uint32_t offset; /* offset of the data in the reassembled packet */
	uint32_t id;	 /* network order */
	uint32_t link;	 /* IPv6: offset of the next-header byte that names the fragment header */
	uint8_t next;	 /* IPv6: next header after the fragment header. IPv4: the protocol */
	bool more;	 /* more fragments follow */
};

/*
 * Could this packet be a fragment? A quick test that rules out nearly all others. packet holds at
 * least the whole IP header.
 */
static inline bool fraghdr_likely(const uint8_t *packet)
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

/* Is the packet a fragment? If so, fills in hdr. */
bool fraghdr_read(const uint8_t *packet, uint32_t len, struct fraghdr *hdr);
/*
 * For an unfragmented IPv6 packet: where to insert a fragment header, after the headers that
 * routers look at.
 */
void fraghdr_place(const uint8_t *packet, uint32_t len, struct fraghdr *hdr);
/* Can no valid packet have this fragment? */
bool fraghdr_impossible(const struct fraghdr *hdr);
/*
 * RFC 7112: does a first IPv6 fragment hold all headers up to and including the upper-layer header?
 */
bool fraghdr_headers_whole(const uint8_t *packet, uint32_t len, const struct fraghdr *hdr);

#endif
