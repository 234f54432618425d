/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet cache: fwmark, GSO segment size, hops (how often a packet was reinjected before), and the
 * outgoing link of packets without a route (multicast, link-local). A sockaddr cannot carry these.
 * Entries are made per flow or per packet on receive, and looked up on reinject. Thread-safe.
 */
#ifndef LIB_PKTCACHE_H
#define LIB_PKTCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/layout.h"

#define PKTCACHE_SLOTS 4096u

struct pktcache {
	/*
	 * Hash tables, allocated on first use. Each entry has the key's hash in the upper half and
	 * the value in the lower half; 0: free.
	 */
	uint64_t *mark;
	uint64_t *link;
	uint64_t *gso;
	uint64_t *hops;
	uint64_t *origin;
	bool keeps_origin;
	uint64_t last;	   /* tag, direction and mark of the last received packet */
	uint64_t last_gso; /* tag, direction and segment size of the last GSO packet */
	uint32_t last_hops;
	uint64_t last_in; /* address and interface of the last received inbound packet */
};

/* Costs nothing as long as no packet has a mark or needs a link. */
void pktcache_put(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
		  uint32_t len);
/*
 * tag, out: those that the packet is reinjected with. The caller has checked that len bytes hold
 * the IP header.
 */
uint32_t pktcache_mark(const struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		       int out);
/* 0: not known, or the packet is routed. */
uint32_t pktcache_link(const struct pktcache *r, const uint8_t *packet, uint32_t len);

/*
 * For a socket with DIVERT_GSO. gso_size: that of the packet as delivered; 0: it is a single
 * segment.
 */
void pktcache_put_gso(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
		      uint32_t len, uint32_t gso_size);
/* The segment size to split the packet by, if its payload is longer; 0: not known. */
uint32_t pktcache_gso(const struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		      int out);

/*
 * Hops, which end loops: put the count of a delivered packet, get that of a packet to reinject.
 * Packets are matched by their bytes, else (modified) by tag and direction, else (tag changed, too)
 * as the last one delivered. Costs nothing until a packet comes that was reinjected before.
 * As packets of several rules may be outstanding at once, an entry with a tag matches only as often
 * as one like it was delivered. So each finds its own hops, and a stale tag finds none.
 */
void pktcache_put_hops(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
		       uint32_t len);
uint32_t pktcache_hops(struct pktcache *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		       int out);

/*
 * The receiving interface, for programs whose addresses have no room for its name, such as
 * Python's. Packets are matched by their bytes; a modified one, or one from before the first call
 * of pktcache_origin(), is taken for the last one with this address. 0: not known. The table is
 * filled only after the first call of pktcache_origin().
 */
void pktcache_put_origin(struct pktcache *r, const struct divert_record *rec, const uint8_t *packet,
			 uint32_t len);
/* addr: that of the packet's sockaddr; 0: outbound. */
uint32_t pktcache_origin(struct pktcache *r, const uint8_t *packet, uint32_t len, uint32_t addr);

void pktcache_free(struct pktcache *r);

/* Hash of the bytes that distinguish a packet within its flow and that no router changes. */
uint32_t pktcache_identity(const uint8_t *packet, uint32_t len);

#endif
