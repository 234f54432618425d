/* SPDX-License-Identifier: BSD-2-Clause */
/* The overlay of an IPv4 header by which BSD sources compute checksums of TCP and UDP. */
#ifndef DIVERT_COMPAT_NETINET_IP_VAR_H
#define DIVERT_COMPAT_NETINET_IP_VAR_H

#pragma GCC system_header

#include <netinet/in.h>
#include <netinet/ip.h>

struct ipovly {
	unsigned char ih_x1[9]; /* 0 */
	unsigned char ih_pr;	/* protocol */
	unsigned short ih_len;	/* of what is behind the header */
	struct in_addr ih_src;
	struct in_addr ih_dst;
} __attribute__((__packed__));

#endif
