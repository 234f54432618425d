/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plain evaluator. It walks the rule model, rule by rule. It looks at what the packet was made
 * of, never at its bytes.
 */
#ifndef TESTS_RANDOM_PLAIN_H
#define TESTS_RANDOM_PLAIN_H

#include "host.h"
#include "states.h"

#define PLAIN_FRAGMENTS_MAX 1024

#define PLAIN_HITS_MAX 16 /* states that a packet meets: rules may lead to each other */

#define PLAIN_MET_MAX 256 /* rules that a packet meets, calls within calls included */

/* The fate of a packet, the counters of the rules that it met, and the copies that were made. */
struct plain_met {
	uint32_t counter[PLAIN_MET_MAX];
	unsigned int n;
	enum {
		PLAIN_ALLOWED,
		PLAIN_DENIED,
		PLAIN_ANSWERED,
		PLAIN_DIVERTED,
		PLAIN_DROPPED,
		PLAIN_ENDLESS,
		PLAIN_VERDICTS
	} verdict;
	uint32_t rule, port;
	bool told;    /* answered, and the answer is sent */
	uint16_t mtu; /* in the answer, or 0 */
	struct plain_copy {
		uint32_t rule, port;
	} copy[PLAIN_MET_MAX];
	unsigned int copies;
	bool recorded; /* a rule made a state, or was to */
};

/* Whether the packet meets the condition, without its "not". Sets tablearg if a table does. */
bool plain_match(const struct rule_match *m, struct random_sample *s);

/*
 * The fate of packets' first fragments, if a divert rule asked for their ports or the like. A later
 * fragment has no ports. It goes to the rule that took the first one.
 */
struct plain_fragments {
	struct plain_fragment {
		struct random_sample first;
		uint32_t rule, port;	  /* of the rule that took it; 0: none */
		const struct rule *maker; /* of the state that it has last had; NULL: of none */
	} packet[PLAIN_FRAGMENTS_MAX];
	unsigned int n;
	bool asked; /* the packet at hand is one that should be kept here */
};

/*
 * If known is NULL, nothing is known of other fragments. Without an end, the packet changes no
 * states.
 */
void plain_run(const struct rules *set, struct random_sample *s, struct plain_met *met,
	       struct plain_fragments *known, struct plain_states *states);

#endif
