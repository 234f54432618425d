/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that each thread has for itself, made at its first need and freed at its end. It is for what is large or
 * seldom needed: thread-local variables are few bytes here, so that dlopen(3) finds room for them.
 */
#ifndef ENGINE_THREAD_H
#define ENGINE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct thread_memory {
	pthread_mutex_t lock;
	bool has_key;
	pthread_key_t key;
};
#define THREAD_MEMORY                                                                              \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                  \
	}

/* size bytes, at first zeros: each time the same size, and the same memory. NULL: there is none. Keeps errno. */
void *thread_memory(struct thread_memory *m, size_t size);

#endif
