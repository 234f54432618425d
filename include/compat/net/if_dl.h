/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Link-layer addresses with the BSDs' names. What Linux's getifaddrs(3) gives, a struct sockaddr_ll
 * of AF_PACKET, is read through it: index, type and address are there; the name is not, and has
 * length 0.
 */
#ifndef DIVERT_COMPAT_NET_IF_DL_H
#define DIVERT_COMPAT_NET_IF_DL_H

#pragma GCC system_header

#include <sys/socket.h>

#ifndef AF_LINK
#define AF_LINK AF_PACKET
#endif

struct sockaddr_dl {
	sa_family_t sdl_family;
	unsigned char sdl_nlen, sdl_slen; /* 0 */
	int sdl_index;
	unsigned short sdl_type; /* <net/if_types.h> */
	unsigned char sdl_len;	 /* 0 */
	unsigned char sdl_alen;
	unsigned char sdl_data[8];
};
#define LLADDR(sdl)  ((char *)((sdl)->sdl_data + (sdl)->sdl_nlen))
#define CLLADDR(sdl) ((const char *)((sdl)->sdl_data + (sdl)->sdl_nlen))

#endif
