// SPDX-License-Identifier: BSD-2-Clause
#include "next_packet.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/core/biased_lock.h"
#include "lib/core/kernel.h"
#include "request.h"

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

/* Once per receive rather than per fragment, because it takes a system call for each cause. */
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
	/* a guessable seed makes hash collisions easier to cause, nothing else */
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
 * Is this a fragment that we must keep? Without DIVERT_REASSEMBLE we still do if others of its
 * packet came before the option changed, or if it is undecided whether the packet is for this port.
 */
static bool wanted(const struct dsock *s, const struct divert_record *rec, struct fraghdr *p)
{
	if (!next_packet_concerns(rec))
		return false;
	if (rec->flags & DIVERT_REC_TEE || !fraghdr_read(packet_of(rec), rec->len, p))
		return rec->flags & DIVERT_REC_GIVE_BACK;
	if (rec->flags & (DIVERT_REC_UNDECIDED | DIVERT_REC_GIVE_BACK) ||
	    s->shared->on & SOCKET_REASSEMBLE)
		return true;
	return s->whole && s->whole->frags.packets && reassembly_has(&s->whole->frags, rec, p);
}

/* True: a packet is complete. */
static bool keep(struct dsock *s, const struct divert_record *rec, const struct fraghdr *p)
{
	struct released to = {s, rec->tag};
	struct reassembled done;
	struct next_packet *w;

	if (rec->flags & DIVERT_REC_GIVE_BACK) {
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
		fragcache_put(&w->fragcache, packet_of(done.rec), done.rec->len, done.id,
			      done.size);
	w->ready = done.rec;
	w->ready_at = s->ring.at;
	return true;
}

const struct divert_record *next_packet_find(struct dsock *s)
{
	const struct divert_record *rec;
	struct fraghdr hdr;

	if (s->whole && s->whole->ready)
		return s->whole->ready;
	if (s->whole && s->whole->frags.packets)
		reassembly_expire(&s->whole->frags, now_ns());
	while ((rec = ring_peek(&s->ring)) && wanted(s, rec, &hdr)) {
		if (keep(s, rec, &hdr)) {
			rec = s->whole->ready;
			break;
		}
		ring_next(&s->ring);
	}
	if (s->whole)
		tell_losses(s);
	return rec;
}

void next_packet_skip(struct dsock *s)
{
	struct next_packet *w = s->whole;

	if (w && w->ready) {
		free(w->ready);
		w->ready = NULL;
		/* after fork(2) another process may have advanced the ring */
		if (!ring_peek(&s->ring) || s->ring.at != w->ready_at)
			return;
	}
	s->shared->segment = 0;
	s->busypoll.taken++;
	ring_next(&s->ring);
}

int64_t next_packet_due(struct dsock *s)
{
	bool locked = socket_lock(s);
	int64_t due = s->whole ? reassembly_due(&s->whole->frags) : 0;

	socket_unlock(s, locked);
	return due;
}

void next_packet_free(struct dsock *s)
{
	if (!s->whole)
		return;
	reassembly_free(&s->whole->frags);
	free(s->whole->ready);
	free(s->whole);
	s->whole = NULL;
}
