// SPDX-License-Identifier: BSD-2-Clause
#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t a = 0, b = 0;
	uint32_t w[8];
	uint16_t half;

	/* 32-bit words into 64-bit sums do not overflow below 16 GiB */
	for (; len >= 32; len -= 32, p += 32) {
		memcpy(w, p, 32);
		a += (uint64_t)w[0] + w[1] + w[2] + w[3];
		b += (uint64_t)w[4] + w[5] + w[6] + w[7];
	}
	for (; len >= 4; len -= 4, p += 4) {
		memcpy(w, p, 4);
		a += w[0];
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		a += half;
		p += 2;
		len -= 2;
	}
	if (len) {
		half = 0;
		memcpy(&half, p, 1);
		a += half;
	}
	a += b;
	sum += (a & 0xffffffff) + (a >> 32);
	return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint64_t checksum_pseudo(const uint8_t *packet, uint8_t proto, uint32_t len)
{
	uint32_t tail[2] = {htonl(len), htonl(proto)};

	if (packet[0] >> 4 == 4)
		return checksum_add(checksum_add(0, packet + 12, 8), tail, 8);
	return checksum_add(checksum_add(0, packet + 8, 32), tail, 8);
}

int checksum_ip4_ok(const uint8_t *packet)
{
	return checksum_fold(checksum_add(0, packet, (packet[0] & 15) * 4)) == 0xffff;
}

void checksum_ip4_set(uint8_t *packet)
{
	uint16_t sum = 0;

	memcpy(packet + 10, &sum, 2);
	sum = ~checksum_fold(checksum_add(0, packet, (packet[0] & 15) * 4));
	memcpy(packet + 10, &sum, 2);
}

uint32_t checksum_crc32c(const void *data, size_t len)
{
	/* 4 bits at a time, so that the table fits into one cache line */
	static const uint32_t step[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ step[crc & 15];
		crc = crc >> 4 ^ step[crc & 15];
	}
	return ~crc;
}
