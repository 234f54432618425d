/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knew of a packet and a sockaddr cannot carry: its fwmark, the
 * link that a packet without a route of its own (multicast, link-local) was to
 * leave on, the size of the segments that a large one stands for, and how often
 * it was written back before. It is kept when the packet is received, by flow or
 * by packet, and looked up when it, or another of the flow, is written back.
 * Threads may use it at once.
 */
#ifndef LIB_RECALL_H
#define LIB_RECALL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/layout.h"

#define RECALL_SLOTS 4096u

struct recall {
	/* each a key's hash in the high half and the value in the low one; 0: free. Made on first need. */
	uint64_t *mark;
	uint64_t *link;
	uint64_t *gso;
	uint64_t *hops;
	uint64_t *origin;
	bool keeps_origin;
	uint64_t last;	   /* tag and direction, and mark, of the packet received last */
	uint64_t last_gso; /* the same, and segment size, of the last large one */
	uint32_t last_hops;
	uint64_t last_in; /* address and interface of the incoming packet received last */
};

/* Nothing is kept, and nothing is spent, as long as no packet has a mark or needs a link. */
void recall_put(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		uint32_t len);
/* tag, out: as the packet is being written. len: checked to hold the IP header. */
uint32_t recall_mark(const struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		     int out);
/* 0: not known, or the packet's route says. */
uint32_t recall_link(const struct recall *r, const uint8_t *packet, uint32_t len);

/* Of a socket that gets large packets. gso_size: of the packet as it is delivered; 0: a single one. */
void recall_put_gso(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		    uint32_t len, uint32_t gso_size);
/* What the packet is to be cut by if it is longer than that; 0: not known. */
uint32_t recall_gso(const struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		    int out);

/*
 * A packet that the program has now, as it was delivered; and how often the one that it writes has been
 * written before, by which loops are ended. A packet is known again by its bytes; one that was changed by the
 * tag and direction that it was delivered with; one whose tag was changed, too, by being the last one
 * delivered. Nothing is kept, and nothing is spent, before a packet comes that was written back before.
 *
 * Identical packets, or changed ones, of several rules may be with the program at once: each
 * entry that names a tag counts them, so that each finds what its own kind came with, and what a
 * program sends with an older packet's tag, when that one has been sent, does not.
 */
void recall_put_hops(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		     uint32_t len);
uint32_t recall_hops(struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag, int out);

/*
 * The interface that a packet was received on, for programs whose addresses have no room for its name, such as
 * Python's. A packet is known again by its bytes; of one that was changed, or came before the program sent its first one
 * so, it is the one that came last with this address. 0: not known. Nothing is kept before recall_origin() is called.
 */
void recall_put_origin(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		       uint32_t len);
/* addr: as the packet is written; 0: on its way out. */
uint32_t recall_origin(struct recall *r, const uint8_t *packet, uint32_t len, uint32_t addr);

void recall_free(struct recall *r);

/*
 * Does the packet go where only its link can tell: to multicast, limited broadcast, or, as neighbour discovery
 * does, from or to an IPv6 link-local address?
 */
int recall_needs_link(const uint8_t *packet);

#endif
