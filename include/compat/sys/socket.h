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
#if defined __GLIBC__ && !defined __cplusplus && !defined __USE_GNU
#define __USE_GNU 1
#include_next <sys/socket.h>
#undef __USE_GNU
#else
#include_next <sys/socket.h>
#endif

#ifndef PF_DIVERT
#define PF_DIVERT 258
#endif
#ifndef AF_DIVERT
#define AF_DIVERT PF_DIVERT
#endif

/* FreeBSD's: a number that its rules can look at; and sockets that share a port by flow. */
#ifndef SO_USER_COOKIE
#define SO_USER_COOKIE 0x1015
#endif
#ifndef SO_REUSEPORT_LB
#define SO_REUSEPORT_LB SO_REUSEPORT
#endif

#endif
