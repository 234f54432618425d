/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plain evaluator: it walks the rule model, rule by rule, and looks at what the packet was
 * made of, never at its bytes.
 */
#ifndef TESTS_RANDOM_PLAIN_H
#define TESTS_RANDOM_PLAIN_H

#include "host.h"

#define PLAIN_FRAGMENTS_MAX 1024

#define PLAIN_MET_MAX 256 /* rules that a packet meets, calls within calls included */

/* What became of a packet, the counters of the rules that it met, and the copies that were made. */
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
	bool told;    /* answered: and the sender hears of it */
	uint16_t mtu; /* that the answer names, or 0 */
	struct plain_copy {
		uint32_t rule, port;
	} copy[PLAIN_MET_MAX];
	unsigned int copies;
};

/* Whether the packet meets the condition, but for its "not". Fills in tablearg if a table does. */
bool plain_match(const struct rule_match *m, struct random_sample *s);

/*
 * Of fragmented packets, what became of their first fragments, as far as a divert rule asked these
 * for ports and the like: a later fragment, which has none, goes to the rule that took the first.
 */
struct plain_fragments {
	struct plain_fragment {
		struct random_sample first;
		uint32_t rule, port; /* that took it; 0: none */
	} packet[PLAIN_FRAGMENTS_MAX];
	unsigned int n;
	bool asked; /* the packet that is looked at: one that is to be kept here */
};

/* known: NULL: nothing is ever known of other fragments. */
void plain_run(const struct rules *set, struct random_sample *s, struct plain_met *met,
	       struct plain_fragments *known);

#endif
