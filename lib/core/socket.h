/* SPDX-License-Identifier: BSD-2-Clause */
/* A divert socket, as seen by this process. */
#ifndef LIB_SOCKET_H
#define LIB_SOCKET_H

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "busypoll.h"
#include "metacache.h"
#include "pktcache.h"
#include "ring.h"

/* On/off options. */
enum socket_switch {
	SOCKET_REUSEPORT = 1 << 0,
	SOCKET_BYPASS = 1 << 1,	     /* DIVERT_PORT_BYPASS of the port that it is bound to */
	SOCKET_BYPASS_SAID = 1 << 2, /* this socket sets it, also when it is bound later */
	SOCKET_INFO = 1 << 3,
	SOCKET_TIMESTAMP = 1 << 4,
	SOCKET_TIMESTAMPNS = 1 << 5,
	SOCKET_RXQ_OVFL = 1 << 6,
	SOCKET_MARK = 1 << 7, /* use `fwmark` for the packets that it sends */
	SOCKET_REASSEMBLE = 1 << 8,
};

/* The part of a socket that all processes sharing it by fork(2) have in common. */
struct shared {
	pthread_mutex_t lock; /* robust: its holder may be killed */
	uint32_t segment;     /* next segment to deliver of the record at the head of the ring */
	bool shut_read, shut_write;
	bool down; /* everything from before the engine's removal has been read: ring_is_down() */

	bool bound;
	uint32_t engine_id; /* of the engine that it is bound in */
	uint32_t key;	    /* port, with DIVERT_KEY_V6 */
	uint32_t slot;
	struct divert_socket conf; /* what the kernel half knows of its options, once bound */

	uint32_t on;			       /* enum socket_switch */
	uint32_t sndbuf;		       /* bytes */
	int64_t receive_timeout, send_timeout; /* ns; 0: none */
	uint32_t gso_types; /* DIVERT_GSO: enum divert_gso, the types delivered unsplit; 0: off */
	uint32_t fwmark;
	uint32_t cookie;    /* SO_USER_COOKIE: stored only */
	uint32_t busy_poll; /* us */
	int directions;	    /* IP_DIVERTFL; 0: not set */
	struct metacache_reads reads;
	uint32_t multicast[2]; /* outgoing interface for multicast, of IPv4 and IPv6; 0: any */
	struct in_addr multicast_addr; /* address by which it was set */
};

/* Destination, length and time of a sent packet (lib/inject/coalesce.c). */
#define PASSED 64
struct passed {
	uint32_t where, len, time;
};

struct dsock {
	uint32_t users; /* references: descriptors and calls in progress */
	/* frees the socket; called with the last reference (fdtable.c) */
	void (*release)(struct dsock *s);
	struct dsock *next_free;

	/* lock owner; NULL: all threads take the mutex (biased_lock.c, also for the next three) */
	struct thread *lock_owner;
	struct thread *reader; /* thread that last took packets; compared, never dereferenced */
	bool many;	       /* several threads have taken packets */
	uint32_t rest;	       /* lock operations until a thread may become owner again */

	int domain;	  /* AF_INET or AF_INET6 */
	struct ring ring; /* read under shared->lock */
	struct shared *shared;
	/* room for one packet, built under shared->lock if it cannot be built in place */
	void *scratch;
	struct pktcache pktcache;
	struct metacache metacache;
	struct loans *loans;	   /* allocated with the first loan */
	struct next_packet *whole; /* reassembly state; NULL until the first fragment */

	struct busypoll busypoll;
	/* by epoll(7), which may ask at any time: keep the published ring position exact */
	bool watched;
	int64_t asked;	  /* when divert_ready() last found nothing, ns; 0: not asked since */
	uint32_t batches; /* batch numbers used so far; a child continues its parent's */
	struct coalesced *coalesced;	/* packets that wait to be sent; NULL until the first one */
	void (*flush)(struct dsock *s); /* sends them (biased_lock.c); NULL until the first one */
	struct passed passed[PASSED];

	int reinject;	    /* inner: packet socket for reinjecting */
	int reinject_gso;   /* inner: the same for GSO packets */
	int errors;	    /* inner: BPF map that tells why a frame was refused */
	int shut;	    /* inner: eventfd, readable once nobody is to receive any more */
	uint32_t engine_id; /* of the engine that `reinject` belongs to */
	uint32_t stats;	    /* index of its port's counters */
	uint32_t cut; /* segments read by the program, not yet merged again (lib/inject/gro.c) */
	uint32_t bulk_rest; /* batches until the bulk path is tried again (lib/inject/bulk.c) */
};

/* Set errno and return -1. */
static inline int fail(int error)
{
	errno = error;
	return -1;
}

#endif
