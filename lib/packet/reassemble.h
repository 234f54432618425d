/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reassembly of fragments: RFC 791 and 815 for IPv4, RFC 8200, 5722, 6946 and 7112 for IPv6, and
 * RFC 3168 for the ECN bits. Makes no system calls; the time is an argument. Not thread-safe.
 */
#ifndef LIB_REASSEMBLE_H
#define LIB_REASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/layout.h"
#include "fraghdr.h"

/* Limits per socket. Above them, the oldest packets are dropped. */
#define REASSEMBLY_BYTES   (32u << 20)
#define REASSEMBLY_PACKETS 16384u

/* Timeouts from the first fragment that came; the same as Linux's. */
#define REASSEMBLY_NS4 30000000000ll
#define REASSEMBLY_NS6 60000000000ll

/* Set in a record's flags, beside the kernel half's: the packet was reassembled here. */
#define REASSEMBLED (1u << 15)

#define REASSEMBLY_BUCKETS 1024u
#define REASSEMBLY_CAUSES  (DIVERT_N_FRAG_BAD - DIVERT_N_FRAG_TIMEOUT + 1)

struct waiting;

struct reassembly {
	struct waiting *bucket[REASSEMBLY_BUCKETS];
	struct waiting *oldest[2], *newest[2]; /* lists by age, of IPv4 and IPv6 */
	/* incomplete ones, and given up ones that we remember */
	uint32_t packets;
	size_t bytes; /* memory that they take */
	uint32_t seed;
	uint32_t lost[REASSEMBLY_CAUSES]; /* fragments, by cause - DIVERT_N_FRAG_TIMEOUT */
	/* set with lost[]; the caller reads lost[] and clears both */
	bool any_lost;
};

/* A completed packet. */
struct reassembled {
	struct divert_record *rec; /* first fragment's record with the whole packet; malloc'ed */
	uint32_t size;		   /* bytes of the longest fragment, with headers */
	uint32_t id;		   /* network order */
};

/* seed: must be unknown to those who send fragments. */
void reassembly_init(struct reassembly *r, uint32_t seed);
void reassembly_free(struct reassembly *r);

/*
 * Add a fragment; rec is copied. now: ns. True: the packet is complete, and the caller must free
 * whole->rec.
 */
bool reassembly_add(struct reassembly *r, const struct divert_record *rec,
		    const struct fraghdr *hdr, int64_t now, struct reassembled *whole);

/* Do we have other fragments of this fragment's packet? */
bool reassembly_has(const struct reassembly *r, const struct divert_record *rec,
		    const struct fraghdr *hdr);

/* Pass each fragment of this fragment's packet to `out`, unchanged, and drop the packet. */
void reassembly_release(struct reassembly *r, const struct divert_record *rec,
			const struct fraghdr *hdr,
			void (*out)(void *data, const struct divert_record *rec), void *data);

/* Drop packets whose timeout has passed. */
void reassembly_expire(struct reassembly *r, int64_t now);
/* When the next timeout passes, ns; 0: no packet is waiting. */
int64_t reassembly_due(const struct reassembly *r);

#endif
