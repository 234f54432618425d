/* SPDX-License-Identifier: BSD-2-Clause */
/* Unaligned access to header fields in network order. */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include <stdint.h>

static inline uint32_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static inline uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

/* Writes the lower 16 bits of value. */
static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

#endif
