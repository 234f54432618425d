/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets in pieces, and the reassembly that the tests of it give them to. */
#ifndef TEST_UNIT_FRAGMENTS_H
#define TEST_UNIT_FRAGMENTS_H

#include "lib/reassemble.h"

#define UDP 17
#define TCP 6
#define S   1000000000ll

#define EACH_VERSION(v) for (int v = 4; v <= 6; v += 2)

/* In each test its own; setup() and teardown() see to it. */
extern struct reassembly r;
extern struct reassembled done; /* the last packet that was whole */

int setup(void **state);
int teardown(void **state);

/* How many fragments were lost for this cause since it was asked for last. */
uint32_t lost(enum divert_cause cause);
/* None was lost but those that were asked for. */
void nothing_lost(void);

struct whole {
	int version;
	uint32_t id, head, len; /* host order; bytes of IP header; bytes in all */
	uint8_t bytes[65535 + 41];
};

/* A whole packet of UDP, with n bytes behind the IP header. head: 20 to 60 for IPv4; 40, or 48 with options, for IPv6. */
struct whole *packet(int version, uint32_t id, uint32_t head, uint32_t n);
/* Bytes from offset on, n of them, as a fragment that came. */
struct divert_record *cut(const struct whole *w, uint32_t offset, uint32_t n, int more);
/* Give it away: whether a packet is whole now, which then is in done. At S, if no time is said. */
bool add_at(struct divert_record *rec, int64_t now);
bool add(struct divert_record *rec);
/* What was put together is the packet, in a record of its own. */
void is_whole(struct whole *w);

#endif
