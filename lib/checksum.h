/* SPDX-License-Identifier: BSD-2-Clause */
/* Internet checksums (RFC 1071) and SCTP's CRC32c (RFC 9260). */
#ifndef LIB_CHECKSUM_H
#define LIB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Sum of 16-bit words as they lie in memory, not folded; chain by passing the sum so far. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);
/* Folded to 16 bits, as it lies in memory; not complemented. */
uint16_t checksum_fold(uint64_t sum);
/* The sum of the pseudo header of the packet's transport protocol and length (host order, bytes). */
uint64_t checksum_pseudo(const uint8_t *packet, uint8_t proto, uint32_t len);

/* Is the IPv4 header's checksum right? The header lies whole in packet. */
int checksum_ip4_ok(const uint8_t *packet);
void checksum_ip4_set(uint8_t *packet);

uint32_t checksum_crc32c(const void *data, size_t len);

#endif
