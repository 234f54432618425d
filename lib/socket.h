/* SPDX-License-Identifier: BSD-2-Clause */
/* A divert socket, as this process has it. */
#ifndef LIB_SOCKET_H
#define LIB_SOCKET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "recall.h"
#include "ring.h"

/* What processes that share the socket by fork(2) have in common. */
struct shared {
	pthread_mutex_t lock; /* robust: whoever holds it may be killed */
	uint32_t segment;     /* of the record at the head of the ring, the next one to deliver */
};

struct dsock {
	uint32_t users; /* calls under way and descriptors: the last one out frees it */
	struct dsock *next_free;

	int domain;	  /* AF_INET or AF_INET6 */
	struct ring ring; /* read under shared->lock */
	struct shared *shared;
	void *scratch; /* one packet, built under shared->lock where it cannot go right to its place */
	struct recall recall;

	int back;      /* inner: packet socket of the way back */
	int errors;    /* inner: why a frame was refused */
	uint32_t mark; /* of the engine that back belongs to */

	bool bound;
	uint32_t key; /* port, with DIVERT_KEY_V6 */
	uint32_t slot;
	bool shared_port;	   /* SO_REUSEPORT */
	struct divert_socket conf; /* what the kernel half knows of its options, once it is bound */

	bool shut_read, shut_write;
	uint32_t sndbuf;	 /* bytes */
	int64_t receive_timeout; /* ns; 0: none */
};

/*
 * The socket behind a descriptor, to be given back with socket_put(); NULL and ENOTSOCK.
 * It stays whole meanwhile, whoever closes the descriptor.
 */
struct dsock *socket_get(int fd);
void socket_put(struct dsock *s);

/* What is to be given to socket_unlock(). */
bool socket_lock(struct dsock *s);
void socket_unlock(struct dsock *s, bool locked);

/* Have the kernel half count a loss that only we have seen (lib/send.c). */
void socket_count_loss(const struct dsock *s, enum divert_cause cause);
void socket_count_losses(const struct dsock *s, enum divert_cause cause, uint32_t n);

/* Have the kernel half know of an option of a bound socket: `of` is its slot, or its key (lib/send.c). */
int socket_set(const struct dsock *s, enum divert_set what, uint32_t of, uint32_t value);

/* -1 with errno = error. */
int fail(int error);

#endif
