/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash a packet's flow, and tell whether the packet has a route. Inline, because each packet needs
 * it twice.
 */
#ifndef LIB_FLOW_H
#define LIB_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * Multiplier of the hash: odd, and random after flow_begin(). With a known one, a sender could
 * choose flows that evict each other from the hash tables.
 */
extern uint64_t flow_key;
void flow_begin(void);

static inline uint64_t flow_hash_mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * flow_key;
	return h ^ h >> 32;
}

static inline uint64_t flow_word(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/*
 * Hash of the addresses, the protocol and the ports (fragments: without ports). Never 0. The caller
 * has checked that the len bytes of the packet hold the IP header.
 */
static inline uint32_t flow_key_hash(const uint8_t *packet, uint32_t len)
{
	uint32_t at, i, ports = 0, hash;
	uint64_t h, proto;

	if (packet[0] >> 4 == 4) {
		h = flow_hash_mix(4, flow_word(packet + 12));
		proto = packet[9];
		at = (packet[6] & 0x3f) | packet[7] ? len : (packet[0] & 15) * 4u;
	} else {
		for (h = 6, i = 8; i < 40; i += 8)
			h = flow_hash_mix(h, flow_word(packet + i));
		proto = packet[6];
		at = 40;
	}
	if (at + 4 <= len)
		memcpy(&ports, packet + at, sizeof(ports));
	hash = flow_hash_mix(h, proto << 32 | ports);
	return hash ? hash : 1;
}

/*
 * Is the destination valid only on a given link? True for multicast, limited broadcast, and, as in
 * neighbour discovery, IPv6 link-local source or destination addresses.
 */
static inline bool flow_needs_link(const uint8_t *packet)
{
	if (packet[0] >> 4 == 4)
		return packet[16] >> 4 == 14 || !memcmp(packet + 16, "\377\377\377\377", 4);
	return packet[24] == 0xff || (packet[24] == 0xfe && (packet[25] & 0xc0) == 0x80) ||
	       (packet[8] == 0xfe && (packet[9] & 0xc0) == 0x80);
}

#endif
