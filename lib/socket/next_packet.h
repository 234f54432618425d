/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The next packet for the program: the record at the head of the ring, or, with reassembly, a
 * packet completed from fragments. Waiting fragments belong to this process: after fork(2) each
 * process reassembles what it reads itself.
 */
#ifndef LIB_NEXT_PACKET_H
#define LIB_NEXT_PACKET_H

#include "lib/core/ring.h"
#include "lib/core/socket.h"
#include "lib/packet/fragcache.h"
#include "lib/packet/reassemble.h"

struct next_packet {
	struct reassembly frags;
	/*
	 * A completed packet that has not been delivered. The fragment that completed it stays at
	 * the head of the ring, so that poll(2) keeps reporting the ring readable.
	 */
	struct divert_record *ready;
	unsigned long ready_at; /* ring position of that fragment */
	struct fragcache fragcache;
};

const struct divert_record *next_packet_find(struct dsock *s);
/* Is this a fragment or a message of the kernel half, rather than a packet to deliver as it is? */
static inline bool next_packet_concerns(const struct divert_record *rec)
{
	return rec->flags & (DIVERT_REC_UNDECIDED | DIVERT_REC_GIVE_BACK) ||
	       (fraghdr_likely((const uint8_t *)(rec + 1)) && !rec->gso_size);
}

/*
 * The record to deliver, or NULL. It stays in place until next_packet_skip(). Called with the
 * socket locked, like all of these.
 */
static inline const struct divert_record *next_packet_peek(struct dsock *s)
{
	const struct divert_record *rec;

	if (s->whole)
		return next_packet_find(s);
	rec = ring_peek(&s->ring);
	return rec && next_packet_concerns(rec) ? next_packet_find(s) : rec;
}

/* The packet has been delivered. */
void next_packet_skip(struct dsock *s);

/*
 * When the next reassembly timeout passes: ns of CLOCK_MONOTONIC; 0: no fragments wait. Takes the
 * lock.
 */
int64_t next_packet_due(struct dsock *s);

void next_packet_free(struct dsock *s);

#endif
