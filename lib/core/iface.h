/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look up interfaces by name and by address. Each thread caches the results for up to a second, so
 * that reinjecting a packet takes no system call.
 */
#ifndef LIB_IFACE_H
#define LIB_IFACE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Cache a name (up to 7 characters, padded to 8 bytes) and its index, as the kernel half has just
 * reported them.
 */
void iface_learn(const char name[8], uint32_t ifindex);
/* 0: no such interface. *guessed: set if the answer is from the cache. */
uint32_t iface_by_name(const char name[8], int *guessed);
/* addr is in network order. */
uint32_t iface_by_addr4(in_addr_t addr, int *guessed);
uint32_t iface_by_addr6(const struct in6_addr *addr, int *guessed);
/* The interface's first IPv6 address, or ::ffff:255.255.255.255 if it has none. */
void iface_addr6(uint32_t ifindex, struct in6_addr *addr);
/*
 * Remember that a destination (4 or 16 bytes) is a local address. It is only a hint, which the
 * kernel half uses where no route leads to another host.
 */
void iface_learn_local(const void *addr, size_t len);
int iface_is_local(const void *addr, size_t len);
/* A cached answer was wrong: empty the cache. */
void iface_forget(void);

#endif
