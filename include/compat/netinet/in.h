/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system's <netinet/in.h>, and in addition what FreeBSD and OpenBSD declare there for divert
 * sockets. A program, or its configure script, that finds IPPROTO_DIVERT here needs no change.
 */
#ifndef DIVERT_COMPAT_NETINET_IN_H
#define DIVERT_COMPAT_NETINET_IN_H

#pragma GCC system_header

#include_next <netinet/in.h>

/* Sources of the time of 32 bits call inet_ntoa(3) without it, and get half of a pointer. */
#include <arpa/inet.h>

#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 258
#endif

/* OpenBSD's socket option at level IPPROTO_IP, and its flags: which directions are diverted. */
#ifndef IP_DIVERTFL
#define IP_DIVERTFL 0x1022
#endif
#ifndef IPPROTO_DIVERT_INIT
#define IPPROTO_DIVERT_INIT 2
#endif
#ifndef IPPROTO_DIVERT_RESP
#define IPPROTO_DIVERT_RESP 1
#endif

#endif
