// SPDX-License-Identifier: BSD-2-Clause
#include "thread.h"

#include <errno.h>
#include <stdlib.h>

static bool has_key(struct thread_memory *m)
{
	if (__atomic_load_n(&m->has_key, __ATOMIC_ACQUIRE))
		return true;
	pthread_mutex_lock(&m->lock);
	if (!m->has_key && !pthread_key_create(&m->key, free))
		__atomic_store_n(&m->has_key, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&m->lock);
	return m->has_key;
}

void *thread_memory(struct thread_memory *m, size_t size)
{
	const int saved = errno;
	void *memory;

	if (!has_key(m))
		return NULL;
	memory = pthread_getspecific(m->key);
	if (!memory) {
		memory = calloc(1, size);
		if (memory && pthread_setspecific(m->key, memory)) {
			free(memory);
			memory = NULL;
		}
	}
	errno = saved;
	return memory;
}
