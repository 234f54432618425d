/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system's <netinet/in.h>, and in addition what FreeBSD and OpenBSD declare there for divert
 * sockets. A program, or its configure script, that finds IPPROTO_DIVERT here needs no change.
 */
#ifndef DIVERT_COMPAT_NETINET_IN_H
#define DIVERT_COMPAT_NETINET_IN_H

#pragma GCC system_header

#include <sys/socket.h>

#ifndef _NETINET_IN_H /* nobody came by the system's header without us */
#define DIVERT_COMPAT_ADDRESSES
#define sockaddr_in   __divert_libc_sockaddr_in
#define sockaddr_in6  __divert_libc_sockaddr_in6
#define bindresvport  __divert_libc_bindresvport
#define bindresvport6 __divert_libc_bindresvport6
#endif
#include_next <netinet/in.h>

/*
 * The same structures with a place for sin_len and sin6_len, which BSD sources set: what nobody
 * else has a use for. Divert sockets know that the last byte of sin_zero may hold it; sin6_flowinfo
 * means nothing to them, and to others only with IPV6_FLOWINFO_SEND. No call fills them in.
 */
#ifdef DIVERT_COMPAT_ADDRESSES
#undef DIVERT_COMPAT_ADDRESSES
/* Sources that list the members' values in order need no more braces than without us. */
#pragma GCC diagnostic ignored "-Wmissing-braces"
#undef sockaddr_in
#undef sockaddr_in6
#undef bindresvport
#undef bindresvport6
struct sockaddr_in {
	sa_family_t sin_family;
	in_port_t sin_port;
	struct in_addr sin_addr;
	__extension__ union {
		unsigned char sin_zero[8];
		__extension__ struct {
			unsigned char __sin_name[7];
			unsigned char sin_len;
		};
	};
};
#if !defined __USE_KERNEL_IPV6_DEFS || !__USE_KERNEL_IPV6_DEFS /* <linux/in6.h> came first */
struct sockaddr_in6 {
	sa_family_t sin6_family;
	in_port_t sin6_port;
	__extension__ union {
		uint32_t sin6_flowinfo;
		unsigned char sin6_len;
	};
	struct in6_addr sin6_addr;
	uint32_t sin6_scope_id;
};
#endif
#if defined __GLIBC__ && defined __USE_MISC
#ifdef __cplusplus
extern "C" {
#endif
extern int bindresvport(int, struct sockaddr_in *) __THROW;
extern int bindresvport6(int, struct sockaddr_in6 *) __THROW;
#ifdef __cplusplus
}
#endif
#endif
#endif

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

/*
 * The BSDs' option for the receiving interface. Their number is another option's here; this one is
 * none: ENOPROTOOPT.
 */
#ifndef IP_RECVIF
#define IP_RECVIF 0x1014
#endif

#endif
