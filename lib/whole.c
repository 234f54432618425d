// SPDX-License-Identifier: BSD-2-Clause
#include "whole.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static const uint8_t *packet_of(const struct divert_record *rec)
{
	return (const uint8_t *)(rec + 1);
}

/* Once for a receive, not for each fragment: it is a system call for each cause. */
static void tell_losses(struct dsock *s)
{
	struct reassembly *r = &s->whole->frags;
	int i;

	if (!r->any_lost)
		return;
	for (i = 0; i < REASSEMBLY_CAUSES; i++)
		if (r->lost[i])
			socket_count_losses(s, DIVERT_N_FRAG_TIMEOUT + i, r->lost[i]);
	memset(r->lost, 0, sizeof(r->lost));
	r->any_lost = false;
}

static int make(struct dsock *s)
{
	uint32_t seed;

	if (s->whole)
		return 0;
	s->whole = calloc(1, sizeof(*s->whole));
	if (!s->whole)
		return -1;
	/* without it, it is still right, only somewhat easier to make slow */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uint32_t)now_ns();
	reassembly_init(&s->whole->frags, seed);
	return 0;
}

struct released {
	struct dsock *s;
	uint16_t tag;
};

static void write_back(void *data, const struct divert_record *rec)
{
	const struct released *to = data;

	socket_write_back(to->s, rec, to->tag);
}

/*
 * Is it a fragment that is to be kept? Also without DIVERT_REASSEMBLE: when others of its packet
 * are here from before, and when it is not known yet whether it is for this port.
 */
static bool wanted(const struct dsock *s, const struct divert_record *rec, struct piece *p)
{
	if (!whole_concerns(rec))
		return false;
	if (rec->flags & DIVERT_REC_TEE || !piece_read(packet_of(rec), rec->len, p))
		return rec->flags & DIVERT_REC_RELEASE;
	if (rec->flags & (DIVERT_REC_UNDECIDED | DIVERT_REC_RELEASE) ||
	    s->shared->on & SOCKET_REASSEMBLE)
		return true;
	return s->whole && s->whole->frags.packets && reassembly_has(&s->whole->frags, rec, p);
}

/* True: a packet is ready. */
static bool keep(struct dsock *s, const struct divert_record *rec, const struct piece *p)
{
	struct released to = {s, rec->tag};
	struct reassembled done;
	struct whole *w;

	if (rec->flags & DIVERT_REC_RELEASE) {
		if (s->whole)
			reassembly_release(&s->whole->frags, rec, p, write_back, &to);
		return false;
	}
	if (make(s)) {
		socket_count_loss(s, DIVERT_N_FRAG_FULL);
		return false;
	}
	w = s->whole;
	if (!reassembly_add(&w->frags, rec, p, now_ns(), &done))
		return false;
	if (packet_of(done.rec)[0] >> 4 == 6)
		origin_put(&w->origins, packet_of(done.rec), done.rec->len, done.id, done.size);
	w->ready = done.rec;
	w->ready_at = s->ring.at;
	return true;
}

const struct divert_record *whole_find(struct dsock *s)
{
	const struct divert_record *rec;
	struct piece piece;

	if (s->whole && s->whole->ready)
		return s->whole->ready;
	if (s->whole && s->whole->frags.packets)
		reassembly_expire(&s->whole->frags, now_ns());
	while ((rec = ring_peek(&s->ring)) && wanted(s, rec, &piece)) {
		if (keep(s, rec, &piece)) {
			rec = s->whole->ready;
			break;
		}
		ring_next(&s->ring);
	}
	if (s->whole)
		tell_losses(s);
	return rec;
}

void whole_next(struct dsock *s)
{
	struct whole *w = s->whole;

	if (w && w->ready) {
		free(w->ready);
		w->ready = NULL;
		/* after fork(2) another process may have read on */
		if (!ring_peek(&s->ring) || s->ring.at != w->ready_at)
			return;
	}
	s->shared->segment = 0;
	s->spin.taken++;
	ring_next(&s->ring);
}

int64_t whole_due(struct dsock *s)
{
	bool locked = socket_lock(s);
	int64_t due = s->whole ? reassembly_due(&s->whole->frags) : 0;

	socket_unlock(s, locked);
	return due;
}

void whole_free(struct dsock *s)
{
	if (!s->whole)
		return;
	reassembly_free(&s->whole->frags);
	free(s->whole->ready);
	free(s->whole);
	s->whole = NULL;
}
