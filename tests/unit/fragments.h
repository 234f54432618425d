/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets in pieces, and the reassembly that the tests pass them to. */
#ifndef TEST_UNIT_FRAGMENTS_H
#define TEST_UNIT_FRAGMENTS_H

#include "lib/packet/reassemble.h"

#define UDP 17
#define TCP 6
#define S   1000000000ll

#define EACH_VERSION(v) for (int v = 4; v <= 6; v += 2)

/* Each test has its own; setup() and teardown() make and free it. */
extern struct reassembly r;
extern struct reassembled done; /* the last packet that was whole */

int setup(void **state);
int teardown(void **state);

/* How many fragments were lost for this cause since the last call. */
uint32_t lost(enum divert_cause cause);
/* Only the fragments that the test expected were lost. */
void nothing_lost(void);

struct next_packet {
	int version;
	uint32_t id, head, len; /* host order; bytes of IP header; bytes in all */
	uint8_t bytes[65535 + 41];
};

/*
 * A whole UDP packet with n bytes behind the IP header. head: 20 to 60 for IPv4; 40, or 48 with
 * options, for IPv6.
 */
struct next_packet *packet(int version, uint32_t id, uint32_t head, uint32_t n);
/* n bytes from offset on, as a fragment that came. */
struct divert_record *cut(const struct next_packet *w, uint32_t offset, uint32_t n, int more);
/*
 * Pass it on. Returns whether a packet is whole now, which then is in done. The default time is S.
 */
bool add_at(struct divert_record *rec, int64_t now);
bool add(struct divert_record *rec);
/* The packet was put together correctly, in a record of its own. */
void is_whole(struct next_packet *w);

#endif
