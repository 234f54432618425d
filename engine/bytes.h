/* SPDX-License-Identifier: BSD-2-Clause */
/* packet_load() for packets in memory, so that the user half can compile packet.h. */
#ifndef DIVERT_ENGINE_BYTES_H
#define DIVERT_ENGINE_BYTES_H

#include <linux/types.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *at;
	uint32_t len;
};

static int packet_load(void *from, __u32 offset, void *to, __u32 len)
{
	const struct bytes *b = from;

	if (offset > b->len || len > b->len - offset)
		return -1;
	memcpy(to, b->at + offset, len);
	return 0;
}

#endif
