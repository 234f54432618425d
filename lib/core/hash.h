/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fast hash, 32 bits at a time, for destinations and packets. It is not keyed; flow.h has the
 * keyed one.
 */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include <stdint.h>
#include <string.h>

static inline uint32_t hash_mix(uint32_t h, uint32_t word)
{
	h = (h ^ word) * 0x9e3779b1u;
	return h ^ h >> 15;
}

/* Hash n bytes as 32-bit words. If n is not a multiple of 4, the last n % 4 bytes do not count. */
static inline uint32_t hash_bytes(uint32_t h, const uint8_t *p, uint32_t n)
{
	uint32_t word;

	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&word, p, 4);
		h = hash_mix(h, word);
	}
	return h;
}

#endif
