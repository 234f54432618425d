/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is next for the program: the record at the head of the ring, or, where fragments are to be put
 * together, one whole packet of them. The fragments that wait are this process's own: after
 * fork(2) each process puts together what it reads itself.
 */
#ifndef LIB_WHOLE_H
#define LIB_WHOLE_H

#include "origin.h"
#include "reassemble.h"
#include "ring.h"
#include "socket.h"

struct whole {
	struct reassembly frags;
	/*
	 * Complete, and not taken yet. The fragment that completed it stays at the head of the
	 * ring until then, so that poll(2) goes on to say that there is something.
	 */
	struct divert_record *ready;
	unsigned long ready_at; /* where in the ring that fragment is */
	struct origins origins;
};

const struct divert_record *whole_find(struct dsock *s);
/* Is this record none that the program gets as it is? */
static inline bool whole_concerns(const struct divert_record *rec)
{
	return rec->flags & (DIVERT_REC_UNDECIDED | DIVERT_REC_RELEASE) ||
	       (piece_likely((const uint8_t *)(rec + 1)) && !rec->gso_size);
}

/* The record to deliver; NULL: none. It stays in place until whole_next(). Locked, as all of these. */
static inline const struct divert_record *whole_peek(struct dsock *s)
{
	const struct divert_record *rec;

	if (s->whole)
		return whole_find(s);
	rec = ring_peek(&s->ring);
	return rec && whole_concerns(rec) ? whole_find(s) : rec;
}

/* Done with it. */
void whole_next(struct dsock *s);

/* When fragments that wait are overdue: ns of CLOCK_MONOTONIC; 0: none wait. Takes the lock. */
int64_t whole_due(struct dsock *s);

void whole_free(struct dsock *s);

/* lib/send.c: put a fragment back on its way as it came, behind the rules up to tag. */
void socket_write_back(struct dsock *s, const struct divert_record *rec, uint16_t tag);

#endif
