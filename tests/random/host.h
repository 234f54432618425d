/* SPDX-License-Identifier: BSD-2-Clause */
/* The host that packets and rules are for: its addresses, its routes, and its tables' entries. */
#ifndef TESTS_RANDOM_HOST_H
#define TESTS_RANDOM_HOST_H

#include "packet.h"
#include "rules/rules.h"

/* This host's addresses: IPv4, IPv6. */
extern const char *const random_own[2];

/* Whether the interface has the address. name may be NULL. */
bool random_iface_has(const char *name, const char *addr);

#define RANDOM_ENTRIES 15
#define RANDOM_FLOW    "flow:src-ip,proto,dst-port" /* the type of table tf */

extern const struct random_entry {
	const char *table, *key;
	uint32_t value;
} random_entry[RANDOM_ENTRIES];

/*
 * The answers of the host's routes and networks for the packet's source: bits of enum divert_rpf.
 */
uint8_t random_path(const struct random_sample *s);

#endif
