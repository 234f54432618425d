// SPDX-License-Identifier: BSD-2-Clause
#include "flow.h"

#include <sys/random.h>

uint64_t flow_key = 0x9e3779b97f4a7c15u;

void flow_begin(void)
{
	static bool begun;
	uint64_t key;

	/*
	 * Safe without a lock: threads racing here have hashed nothing yet. If the kernel has no
	 * random numbers yet, the default key has to do.
	 */
	if (begun || getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		return;
	flow_key = key | 1;
	begun = true;
}
