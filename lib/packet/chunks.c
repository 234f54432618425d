// SPDX-License-Identifier: BSD-2-Clause
#include "chunks.h"

#include <stdbool.h>

#include "wire.h"

#define CHUNK_HEADER 4
#define CHUNK_AUTH   15

/* Length of the chunk with its padding, which the last chunk may lack; 0: it is truncated. */
static uint32_t chunk_len(const uint8_t *chunk, uint32_t left)
{
	uint32_t len, padded;

	if (left < CHUNK_HEADER)
		return 0;
	len = get16(chunk + 2);
	if (len < CHUNK_HEADER || len > left)
		return 0;
	padded = (len + 3) & ~3u;
	return padded < left ? padded : left;
}

uint32_t chunks_fit(const uint8_t *chunks, uint32_t len, uint32_t most)
{
	uint32_t at = 0, n;
	bool auth = false;

	while (at < len) {
		n = chunk_len(chunks + at, len - at);
		if (!n || n > most)
			return 0;
		if (at + n > most || (auth && chunks[at] == CHUNK_AUTH))
			break;
		auth |= chunks[at] == CHUNK_AUTH;
		at += n;
	}
	return at;
}

uint32_t chunks_packets(const uint8_t *chunks, uint32_t len, uint32_t most)
{
	uint32_t at = 0, packets = 0, n;

	while (at < len) {
		n = chunks_fit(chunks + at, len - at, most);
		if (!n)
			return 0;
		at += n;
		packets++;
	}
	return packets;
}
