/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments put together again: RFC 791 and 815 for IPv4, RFC 8200, 5722, 6946 and 7112 for IPv6,
 * and RFC 3168 for their congestion bits. Bytes in, bytes out: no system call, and the time is an
 * argument. One caller at a time.
 */
#ifndef LIB_REASSEMBLE_H
#define LIB_REASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/layout.h"
#include "piece.h"

/* At most, for a socket. What is above goes, the oldest packet first. */
#define REASSEMBLY_BYTES   (32u << 20)
#define REASSEMBLY_PACKETS 16384u

/* From the first fragment that came: Linux's own. */
#define REASSEMBLY_NS4 30000000000ll
#define REASSEMBLY_NS6 60000000000ll

/* In a record's flags, besides the kernel half's: it was put together here. */
#define REASSEMBLED (1u << 15)

#define REASSEMBLY_BUCKETS 1024u
#define REASSEMBLY_CAUSES  (DIVERT_N_FRAG_BAD - DIVERT_N_FRAG_TIMEOUT + 1)

struct waiting;

struct reassembly {
	struct waiting *bucket[REASSEMBLY_BUCKETS];
	struct waiting *oldest[2], *newest[2]; /* IPv4's and IPv6's */
	uint32_t packets;		       /* under way, and given up but remembered */
	size_t bytes;			       /* that they take */
	uint32_t seed;
	uint32_t lost[REASSEMBLY_CAUSES]; /* fragments, by cause - DIVERT_N_FRAG_TIMEOUT */
	bool any_lost;			  /* the caller takes lost and clears both */
};

/* A packet that is complete. */
struct reassembled {
	struct divert_record *rec; /* the first fragment's, whole: malloc'ed */
	uint32_t size;		   /* bytes of its longest fragment, with headers */
	uint32_t id;		   /* network order */
};

/* seed: unknown to those who send fragments. */
void reassembly_init(struct reassembly *r, uint32_t seed);
void reassembly_free(struct reassembly *r);

/*
 * A record that is a fragment, copied. now: ns. True: it has completed its packet, which is the
 * caller's to free.
 */
bool reassembly_add(struct reassembly *r, const struct divert_record *rec,
		    const struct piece *piece, int64_t now, struct reassembled *whole);

/* Are there fragments of the packet that this is a fragment of? */
bool reassembly_has(const struct reassembly *r, const struct divert_record *rec,
		    const struct piece *piece);

/* Give each fragment of that packet to `out`, as it came, and forget them. */
void reassembly_release(struct reassembly *r, const struct divert_record *rec,
			const struct piece *piece,
			void (*out)(void *data, const struct divert_record *rec), void *data);

/* Drop what is overdue. */
void reassembly_expire(struct reassembly *r, int64_t now);
/* When that is next, ns; 0: nothing is under way. */
int64_t reassembly_due(const struct reassembly *r);

#endif
