/* SPDX-License-Identifier: BSD-2-Clause */
/* A divert socket, as this process has it. */
#ifndef LIB_SOCKET_H
#define LIB_SOCKET_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "recall.h"
#include "ring.h"
#include "spin.h"

/* Options that are on or off. */
enum socket_switch {
	SOCKET_REUSEPORT = 1 << 0,
	SOCKET_BYPASS = 1 << 1,	     /* the port it is bound to, or will be, */
	SOCKET_BYPASS_SAID = 1 << 2, /* has it from this socket, whatever it had before */
	SOCKET_INFO = 1 << 3,
	SOCKET_TIMESTAMP = 1 << 4,
	SOCKET_TIMESTAMPNS = 1 << 5,
	SOCKET_RXQ_OVFL = 1 << 6,
	SOCKET_MARK = 1 << 7, /* what it writes has fwmark */
	SOCKET_REASSEMBLE = 1 << 8,
};

/* The socket, as far as processes that share it by fork(2) have it in common. */
struct shared {
	pthread_mutex_t lock; /* robust: whoever holds it may be killed */
	uint32_t segment;     /* of the record at the head of the ring, the next one to deliver */
	bool shut_read, shut_write;
	bool down; /* all is read that came before the engine was removed: ring_is_down() */

	bool bound;
	uint32_t mark; /* of the engine that it is bound in */
	uint32_t key;  /* port, with DIVERT_KEY_V6 */
	uint32_t slot;
	struct divert_socket conf; /* what the kernel half knows of its options, once it is bound */

	uint32_t on;			       /* enum socket_switch */
	uint32_t sndbuf;		       /* bytes */
	int64_t receive_timeout, send_timeout; /* ns; 0: none */
	uint32_t gso_types; /* DIVERT_GSO: enum divert_gso, those that come whole; 0: off */
	uint32_t fwmark;
	uint32_t cookie;       /* SO_USER_COOKIE: only kept */
	uint32_t busy_poll;    /* us */
	int directions;	       /* IP_DIVERTFL; 0: not said */
	uint32_t multicast[2]; /* interface that multicast leaves on, of IPv4 and IPv6; 0: any */
	struct in_addr multicast_addr; /* by which it was said */
};

/* Where a packet went, how long it was, and when (lib/defer.c). */
#define PASSED 64
struct passed {
	uint32_t where, len, time;
};

struct dsock {
	uint32_t users; /* calls under way and descriptors: the last one out frees it */
	struct dsock *next_free;

	struct thread *keeper; /* NULL: all take the lock (lib/bias.c, as the next ones) */
	struct thread *reader; /* who took packets from it last; never looked into */
	bool many;	       /* several have */
	uint32_t rest;	       /* locks until somebody may keep it again */

	int domain;	  /* AF_INET or AF_INET6 */
	struct ring ring; /* read under shared->lock */
	struct shared *shared;
	void *scratch; /* one packet, built under shared->lock where it cannot go right to its place */
	struct recall recall;
	struct loans *loans; /* made with the first that is lent */
	struct whole *whole; /* fragments being put together; NULL as long as there was none */

	struct spin spin;
	bool watched; /* by epoll(7), which asks when it likes: the kernel is to know where we are */
	int64_t asked; /* when divert_ready() last found nothing, ns; 0: it was not asked since */
	uint32_t batches;	   /* numbers given: a child goes on where its parent was */
	struct deferred *deferred; /* packets that wait to be sent; NULL as long as none did */
	struct passed passed[PASSED];

	int back;	/* inner: packet socket of the way back */
	int back_gso;	/* inner: another, for large packets */
	int errors;	/* inner: why a frame was refused */
	int shut;	/* inner: an eventfd, readable once nobody is to receive any more */
	uint32_t mark;	/* of the engine that back belongs to */
	uint32_t stats; /* which counters are those of its port */
	uint32_t cut;	/* segments given to the program and not yet joined again (lib/join.c) */
	uint32_t train_rest; /* batches until it is tried again (lib/train.c) */
};

/*
 * The socket behind a descriptor, to be given back with socket_put(); NULL and ENOTSOCK.
 * It stays whole meanwhile, whoever closes the descriptor.
 */
struct dsock *socket_get(int fd);
void socket_put(struct dsock *s);

/* Nobody else is at it until socket_unlock(), which is given the answer (lib/bias.c). Not around a sleep. */
bool socket_lock(struct dsock *s);
void socket_unlock(struct dsock *s, bool locked);

/* Why the kernel half refused the last frame of this packet socket; 0: it did not (lib/send.c). */
uint32_t socket_refusal(const struct dsock *s, int back);

/* Have the kernel half count a loss that only we have seen (lib/send.c). */
void socket_count_loss(const struct dsock *s, enum divert_cause cause);
void socket_count_losses(const struct dsock *s, enum divert_cause cause, uint32_t n);

/* Have the kernel half know of an option of a bound socket: `of` is its slot, or its key (lib/send.c). */
int socket_set(const struct dsock *s, enum divert_set what, uint32_t of, uint32_t value);

/* The same for one of enum divert_socket_flags, now or when it is bound (lib/option.c). */
int socket_flag(struct dsock *s, uint32_t flag, bool on);

/* What IP_MULTICAST_IF says about a packet (its IP header, whole). 0: nothing (lib/option.c). */
uint32_t socket_multicast(const struct dsock *s, const uint8_t *packet);

/* Have sends wait as long as shared->send_timeout says. */
int socket_send_timeout(const struct dsock *s);

/* Room for size bytes of packets at least, where that is still possible; locked (lib/buffer.c). */
void socket_grow(struct dsock *s, size_t size);

/* -1 with errno = error. */
int fail(int error);

#endif
