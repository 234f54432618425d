/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a reader looks at an empty ring before it sleeps. Always for about as long as a wake-up takes
 * of it; and longer, as SO_BUSY_POLL says, while packets come so fast that sleeps are shorter than that, and as
 * long as it finds them so: a wake-up costs whoever writes the packet, too, and the packet waits for it.
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
};

/* A packet came, or none did, while it looked; and then, how long it slept, and may look, ns. */
void spin_found(struct spin *s);
void spin_missed(struct spin *s);
/* While it looked somebody else had its processor. */
void spin_stolen(struct spin *s);
void spin_slept(struct spin *s, int64_t ns, int64_t busy);

#endif
