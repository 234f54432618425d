/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of ICMP types and codes in ipchains(8). */
#include <stddef.h>

#include "chains.h"

const struct chain_icmp chain_icmp[] = {
	{"echo-reply", 0, -1},
	{"pong", 0, -1},
	{"destination-unreachable", 3, -1},
	{"network-unreachable", 3, 0},
	{"host-unreachable", 3, 1},
	{"protocol-unreachable", 3, 2},
	{"port-unreachable", 3, 3},
	{"fragmentation-needed", 3, 4},
	{"source-route-failed", 3, 5},
	{"network-unknown", 3, 6},
	{"host-unknown", 3, 7},
	{"network-prohibited", 3, 9},
	{"host-prohibited", 3, 10},
	{"TOS-network-unreachable", 3, 11},
	{"TOS-host-unreachable", 3, 12},
	{"communication-prohibited", 3, 13},
	{"host-precedence-violation", 3, 14},
	{"precedence-cutoff", 3, 15},
	{"source-quench", 4, -1},
	{"redirect", 5, -1},
	{"network-redirect", 5, 0},
	{"host-redirect", 5, 1},
	{"TOS-network-redirect", 5, 2},
	{"TOS-host-redirect", 5, 3},
	{"echo-request", 8, -1},
	{"ping", 8, -1},
	{"router-advertisement", 9, -1},
	{"router-solicitation", 10, -1},
	{"time-exceeded", 11, -1},
	{"ttl-exceeded", 11, -1},
	{"ttl-zero-during-transit", 11, 0},
	{"ttl-zero-during-reassembly", 11, 1},
	{"parameter-problem", 12, -1},
	{"ip-header-bad", 12, 0},
	{"required-option-missing", 12, 1},
	{"timestamp-request", 13, -1},
	{"timestamp-reply", 14, -1},
	{"address-mask-request", 17, -1},
	{"address-mask-reply", 18, -1},
};

const unsigned int chain_icmps = sizeof(chain_icmp) / sizeof(*chain_icmp);

/* The first name found is the usual one. NULL: none. */
const char *chain_icmp_name(unsigned int type, unsigned int code_low, unsigned int code_high)
{
	unsigned int i;

	for (i = 0; i < chain_icmps; i++) {
		if (chain_icmp[i].type != type)
			continue;
		if (chain_icmp[i].code < 0
			    ? !code_low && code_high >= 255
			    : code_low == code_high && (int)code_low == chain_icmp[i].code)
			return chain_icmp[i].name;
	}
	return NULL;
}
