/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before it sleeps on an empty ring, a reader polls it for about the cost of one wake-up. It polls
 * for up to SO_BUSY_POLL while sleeps, without the wake-up, are shorter than that and polling finds
 * packets: a wake-up delays the packet and costs its sender, too. At high rates the reader sleeps
 * for a fixed time instead (a timed sleep), after which many packets are there. Then nobody has to
 * wake it, and the CPU is free meanwhile.
 */
#ifndef LIB_BUSYPOLL_H
#define LIB_BUSYPOLL_H

#include <stdbool.h>
#include <stdint.h>

#define BUSYPOLL_DEFAULT 50 /* us */
#define BUSYPOLL_MAX	 1000

struct busypoll {
	bool polling;	/* poll for up to SO_BUSY_POLL */
	uint8_t missed; /* consecutive times that polling found nothing */
	uint16_t rest;	/* sleeps until polling may start again */

	uint32_t taken;	  /* packets since `since`; the code that takes a packet counts it */
	int64_t since;	  /* ns, like all times here */
	int64_t sleep_ns; /* length of a timed sleep; 0: no timed sleeps */
	/* consecutive windows in which timed sleeps paid off, and did not */
	uint8_t held, bad;
	uint64_t rate; /* packets per second before the timed sleeps began */
	/* how long timed sleeps stay off after they did not pay off, and until when */
	int64_t pause, then;
};

/*
 * Report whether polling found a packet, and then how long the reader slept and how long it may
 * poll (SO_BUSY_POLL), ns.
 */
void busypoll_found(struct busypoll *s);
void busypoll_missed(struct busypoll *s);
/* The CPU was taken from this thread while it polled. */
void busypoll_stolen(struct busypoll *s);
void busypoll_slept(struct busypoll *s, int64_t ns, int64_t busy);
/* The ring is empty: returns the length of the timed sleep, 0: none. */
int64_t busypoll_sleep(struct busypoll *s, int64_t now);

#endif
