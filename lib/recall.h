/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knew of a packet and a sockaddr cannot carry: its fwmark, and
 * the link that a packet without a route of its own (multicast, link-local) was
 * to leave on. It is kept by flow when the packet is received and looked up when
 * it, or another of the flow, is written back. Threads may use it at once.
 */
#ifndef LIB_RECALL_H
#define LIB_RECALL_H

#include <stdint.h>

#include "engine/layout.h"

#define RECALL_SLOTS 4096u

struct recall {
	/* each a flow's hash in the high half and the value in the low one; 0: free. Made on first need. */
	uint64_t *mark;
	uint64_t *link;
	uint64_t last; /* tag and direction, and mark, of the packet received last */
};

/* Nothing is kept, and nothing is spent, as long as no packet has a mark or needs a link. */
void recall_put(struct recall *r, const struct divert_record *rec, const uint8_t *packet,
		uint32_t len);
/* tag, out: as the packet is being written. len: checked to hold the IP header. */
uint32_t recall_mark(const struct recall *r, const uint8_t *packet, uint32_t len, uint16_t tag,
		     int out);
/* 0: not known, or the packet's route says. */
uint32_t recall_link(const struct recall *r, const uint8_t *packet, uint32_t len);
void recall_free(struct recall *r);

/* Is the destination one that only its link can tell: IPv6 link-local, multicast, limited broadcast? */
int recall_needs_link(const uint8_t *packet);

#endif
