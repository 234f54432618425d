/* SPDX-License-Identifier: BSD-2-Clause */
/* Internet checksums (RFC 1071) and SCTP's CRC32c (RFC 9260). */
#ifndef LIB_CHECKSUM_H
#define LIB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Add data to a sum of 16-bit words in memory order, not folded. Pass the previous sum to continue
 * it.
 */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);
/* Fold a sum to 16 bits, in memory order. The result is not complemented. */
uint16_t checksum_fold(uint64_t sum);
/*
 * Sum of the pseudo header for the packet's transport protocol. len: of the transport part, bytes,
 * host order.
 */
uint64_t checksum_pseudo(const uint8_t *packet, uint8_t proto, uint32_t len);

/* Is the IPv4 header's checksum correct? packet holds at least the whole header. */
int checksum_ip4_ok(const uint8_t *packet);
void checksum_ip4_set(uint8_t *packet);

uint32_t checksum_crc32c(const void *data, size_t len);

#endif
