/* SPDX-License-Identifier: BSD-2-Clause */
/* 16-bit numbers in network order. */
#ifndef TEST_UNIT_BYTES_H
#define TEST_UNIT_BYTES_H

#include <stdint.h>

static inline unsigned int get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static inline void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

#endif
