/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a reader does at an empty ring before it sleeps until it is woken. It looks, always for about as long as a
 * wake-up takes of it; and longer, as SO_BUSY_POLL says, while packets come so fast that sleeps, the wake-up aside,
 * are shorter than that, and as long as it finds them so: a wake-up costs whoever writes the packet, too, and the
 * packet waits for it. Where so many come that a short sleep whose end is known, a nap, finds many of them, it naps:
 * that costs nobody a wake-up and leaves the processor to others.
 */
#ifndef LIB_SPIN_H
#define LIB_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_DEFAULT 50 /* us */
#define SPIN_MAX     1000

struct spin {
	bool keen;	/* look longer */
	uint8_t missed; /* times, one after another, that nothing came while it was keen */
	uint16_t rest;	/* sleeps until it may be keen again */

	uint32_t taken;	     /* packets since then; whoever takes one counts it */
	int64_t since;	     /* ns, as all times here */
	int64_t nap;	     /* how long it naps; 0: it does not */
	uint8_t held, bad;   /* times that naps were found to be good, and bad, one after another */
	uint64_t rate;	     /* packets a second before it napped */
	int64_t pause, then; /* how long not to nap after it was bad, and until when */
};

/* A packet came, or none did, while it looked; and then, how long it slept, and may look, ns. */
void spin_found(struct spin *s);
void spin_missed(struct spin *s);
/* While it looked somebody else had its processor. */
void spin_stolen(struct spin *s);
void spin_slept(struct spin *s, int64_t ns, int64_t busy);
/* The ring is empty: how long is it to nap? 0: it is not. */
int64_t spin_naps(struct spin *s, int64_t now);

#endif
