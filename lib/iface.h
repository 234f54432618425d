/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces by name and address. Each thread remembers what it saw last, for a
 * second at most: a packet that is written back costs no system call.
 */
#ifndef LIB_IFACE_H
#define LIB_IFACE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel has just told that the interface of this name (up to 7 characters, all 8 bytes given) has this index. */
void iface_learn(const char name[8], uint32_t ifindex);
/* 0: there is none. *guessed: not asked just now. */
uint32_t iface_by_name(const char name[8], int *guessed);
/* Network order. */
uint32_t iface_by_addr4(in_addr_t addr, int *guessed);
uint32_t iface_by_addr6(const struct in6_addr *addr, int *guessed);
/* First IPv6 address of the interface; an IPv4-mapped 255.255.255.255 if it has none. */
void iface_addr6(uint32_t ifindex, struct in6_addr *addr);
/*
 * Destinations that are this host's own: 4 or 16 bytes. What is said of one is a hint,
 * and only where the kernel knows no way to another host.
 */
void iface_learn_local(const void *addr, size_t len);
int iface_is_local(const void *addr, size_t len);
/* What was guessed turned out wrong: ask next time. */
void iface_forget(void);

#endif
