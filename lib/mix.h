/* SPDX-License-Identifier: BSD-2-Clause */
/* A quick hash, word by word: of flows, and of where packets go. */
#ifndef LIB_MIX_H
#define LIB_MIX_H

#include <stdint.h>
#include <string.h>

static inline uint32_t mix(uint32_t h, uint32_t word)
{
	h = (h ^ word) * 0x9e3779b1u;
	return h ^ h >> 15;
}

/* Of n bytes, whole words; n is a multiple of 4, or what is over does not count. */
static inline uint32_t mix_bytes(uint32_t h, const uint8_t *p, uint32_t n)
{
	uint32_t word;

	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&word, p, 4);
		h = mix(h, word);
	}
	return h;
}

#endif
