/* SPDX-License-Identifier: BSD-2-Clause */
/* SCTP chunks (RFC 9260): the data after the common header. */
#ifndef LIB_CHUNKS_H
#define LIB_CHUNKS_H

#include <stdint.h>

/*
 * Bytes of the first chunks, as many as fit into one packet: at most `most` bytes, and one AUTH
 * chunk (RFC 4895). 0: a chunk is truncated, or the first one is too long.
 */
uint32_t chunks_fit(const uint8_t *chunks, uint32_t len, uint32_t most);
/* How many packets all the chunks fill. 0: any chunk is truncated or too long. */
uint32_t chunks_packets(const uint8_t *chunks, uint32_t len, uint32_t most);

#endif
