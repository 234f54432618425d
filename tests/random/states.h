/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of flows for the plain evaluator, as ipfw(8) describes them in STATEFUL FIREWALL. They
 * stay from packet to packet, as long as the rule set is the same.
 */
#ifndef TESTS_RANDOM_STATES_H
#define TESTS_RANDOM_STATES_H

#include "packet.h"
#include "rules/rules.h"

#define PLAIN_STATES_MAX 4096
#define PLAIN_FIRSTS_MAX 16384

/* One direction of a flow: the other has source and destination exchanged. */
struct plain_flow {
	bool six;
	uint8_t proto;
	unsigned char src[16], dst[16];
	uint16_t sport, dport;
};

struct plain_states {
	struct plain_state {
		struct plain_flow flow;	 /* of the packet that made it */
		const struct rule *rule; /* that made it */
		uint8_t seen[2];	 /* TCP flags of the flow's direction, of the other one */
		uint32_t ack[2];
		int acker; /* the direction that acknowledged last; -1: none */
		uint64_t expires;
	} state[PLAIN_STATES_MAX];
	unsigned int n;
	struct plain_first {
		struct plain_flow flow;	 /* of the packet that it begins with */
		const struct rule *rule; /* that counts it */
		uint32_t met[2];	 /* packets of the flow's direction, of the other one */
		uint64_t expires;
	} first[PLAIN_FIRSTS_MAX];
	unsigned int firsts;
	uint64_t now;		     /* s, as the caller says */
	uint32_t life[DIVERT_LIVES]; /* s */
};

/* The rule that made the packet's state with this name. NULL: there is none. It lives on. */
const struct rule *states_find(struct plain_states *st, const struct random_sample *s,
			       const char *name);

/* Makes a state for the rule, or lets the one in place live on. false: the limit is reached. */
bool states_record(struct plain_states *st, const struct random_sample *s, const struct rule *r);

/*
 * Is the packet, which meets all else, among the first n of its flow at this rule? It is counted. A
 * later fragment is among them, and is not counted.
 */
bool states_first(struct plain_states *st, const struct random_sample *s, const struct rule *r,
		  uint32_t n);

#endif
