/* SPDX-License-Identifier: BSD-2-Clause */
/* FreeBSD's <machine/in_cksum.h>, as far as it is for programs: sums of IPv4 headers (RFC 1071). */
#ifndef DIVERT_COMPAT_MACHINE_IN_CKSUM_H
#define DIVERT_COMPAT_MACHINE_IN_CKSUM_H

#pragma GCC system_header

#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdint.h>
#include <string.h>

static __inline uint16_t __divert_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static __inline uint16_t in_addword(uint16_t a, uint16_t b)
{
	return __divert_fold((uint64_t)a + b);
}

/* Of three words in network order: two addresses, and what else the pseudo header has. */
static __inline uint16_t in_pseudo(uint32_t a, uint32_t b, uint32_t c)
{
	return __divert_fold((uint64_t)a + b + c);
}

/* The ip_sum that a header without options has to have; 0 if it is right as it is. */
static __inline unsigned int in_cksum_hdr(const struct ip *ip)
{
	uint16_t word[10];
	uint64_t sum = 0;
	int i;

	memcpy(word, ip, sizeof(word));
	for (i = 0; i < 10; i++)
		sum += word[i];
	return ~__divert_fold(sum) & 0xffff;
}

/* The time to live has become one less. */
static __inline void in_cksum_update(struct ip *ip)
{
	ip->ip_sum = in_addword(ip->ip_sum, htons(0x0100));
}

#endif
