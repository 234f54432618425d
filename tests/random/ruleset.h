/* SPDX-License-Identifier: BSD-2-Clause */
/* Rule sets at random, and the host that they are for: its addresses, and the tables' entries. */
#ifndef TESTS_RANDOM_RULESET_H
#define TESTS_RANDOM_RULESET_H

#include "rules/rules.h"

/* This host's addresses: IPv4, IPv6. */
extern const char *const random_own[2];

/* Whether the interface, or NULL, has the address. */
bool random_iface_has(const char *name, const char *addr);

#define RANDOM_ENTRIES 11

extern const struct random_entry {
	const char *table, *key;
	uint32_t value;
} random_entry[RANDOM_ENTRIES];

/* A rule set, with the tables; prob: rules may have it. -1: they are not what they should be. */
int random_rules(struct rules *s, bool prob);

#endif
