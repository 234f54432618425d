/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that each thread has for itself, allocated on first use and freed when the thread ends.
 * Use it for large or seldom needed data: thread-local variables are kept small here, so that
 * dlopen(3) finds room for them.
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

/*
 * size bytes, initially zero. Each call must pass the same size, and returns the same memory. NULL:
 * out of memory. Keeps errno.
 */
void *thread_memory(struct thread_memory *m, size_t size);

#endif
