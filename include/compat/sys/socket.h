/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system's <sys/socket.h>, and in addition PF_DIVERT and AF_DIVERT, which FreeBSD 14 and later
 * have there: socket(PF_DIVERT, SOCK_RAW, 0). FreeBSD's number, 44, is AF_XDP on Linux; this one is
 * above every family that Linux has, and fits sa_family_t.
 */
#ifndef DIVERT_COMPAT_SYS_SOCKET_H
#define DIVERT_COMPAT_SYS_SOCKET_H

#pragma GCC system_header

/*
 * Sources of the time of Linux 2.2 give a struct sockaddr_in * to bind(2) and its kin without a
 * cast, which newer compilers refuse. glibc declares these functions so that it is allowed, in C
 * and with _GNU_SOURCE; here they are declared so also without that.
 */
#if defined __has_include
#if __has_include(<features.h>)
#include <features.h>
#endif
#endif
#ifndef _SYS_SOCKET_H /* nobody came by the system's header without us */
#define DIVERT_COMPAT_STORAGE
#define sockaddr_storage __divert_libc_sockaddr_storage
#endif
#if defined __GLIBC__ && !defined __cplusplus && !defined __USE_GNU
#define __USE_GNU 1
#include_next <sys/socket.h>
#undef __USE_GNU
#else
#include_next <sys/socket.h>
#endif

/* BSD sources set ss_len; nothing reads it, and no address is long enough to reach it. */
#ifdef DIVERT_COMPAT_STORAGE
#undef DIVERT_COMPAT_STORAGE
#undef sockaddr_storage
struct sockaddr_storage {
	sa_family_t ss_family;
	char __ss_padding[128 - sizeof(unsigned long) - sizeof(sa_family_t) - 1];
	unsigned char ss_len;
	unsigned long __ss_align;
};
#endif

#ifndef PF_DIVERT
#define PF_DIVERT 258
#endif
#ifndef AF_DIVERT
#define AF_DIVERT PF_DIVERT
#endif

/*
 * FreeBSD's: a number that its rules can look at; sockets that share a port by flow; and a routing
 * table, which Linux has not by that name: ENOPROTOOPT.
 */
#ifndef SO_USER_COOKIE
#define SO_USER_COOKIE 0x1015
#endif
#ifndef SO_REUSEPORT_LB
#define SO_REUSEPORT_LB SO_REUSEPORT
#endif
#ifndef SO_SETFIB
#define SO_SETFIB 0x1014
#endif

#include "../divert-bsd.h"

/*
 * For BSD sources: sa_len is what the family says, and what is assigned to it goes nowhere, as
 * there is no room for it that addresses of all families have. sa->sa_len is
 * sa->sa_family[lengths], an element of lengths.
 */
#if (DIVERT_COMPAT_BSD || defined DIVERT_SA_LEN) && !defined sa_len
static __inline unsigned char *__divert_lengths(void)
{
	static unsigned char lengths[65536];

	lengths[AF_UNSPEC] = sizeof(struct sockaddr);
	lengths[AF_UNIX] = 110;
	lengths[AF_INET] = 16;
	lengths[AF_INET6] = 28;
	lengths[AF_PACKET] = 20;
	lengths[AF_DIVERT] = 16;
	return lengths;
}
#define sa_len sa_family[__divert_lengths()]
#endif

#endif
