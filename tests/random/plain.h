/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plain evaluator: it walks the rule model, rule by rule, and looks at what the packet was
 * made of, never at its bytes.
 */
#ifndef TESTS_RANDOM_PLAIN_H
#define TESTS_RANDOM_PLAIN_H

#include "packet.h"
#include "ruleset.h"

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
	bool told; /* answered: and the sender hears of it */
	struct plain_copy {
		uint32_t rule, port;
	} copy[PLAIN_MET_MAX];
	unsigned int copies;
};

void plain_run(const struct rules *set, struct random_sample *s, struct plain_met *met);

#endif
