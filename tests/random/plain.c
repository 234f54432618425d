// SPDX-License-Identifier: BSD-2-Clause
/* The plain evaluator: rule by rule. */
#include <string.h>

#include "plain.h"

/* What a later fragment cannot tell. */
static bool asks_ports(const struct rule_match *m)
{
	switch (m->type) {
	case RULE_SPORT:
	case RULE_DPORT:
	case RULE_ICMP:
	case RULE_ICMP6:
	case RULE_ICMPCODES:
	case RULE_ESTABLISHED:
	case RULE_SETUP:
	case RULE_TCPFLAGS:
	case RULE_TCPOPTIONS:
	case RULE_TCPSEQ:
	case RULE_TCPACK:
	case RULE_TCPWIN:
	case RULE_TCPMSS:
	case RULE_TCPDATALEN:
	case RULE_FLOW:
		return true;
	case RULE_LOOKUP:
		return m->lookup.key == RULE_LOOKUP_SPORT || m->lookup.key == RULE_LOOKUP_DPORT;
	default:
		return false;
	}
}

/* Conditions are and'ed, those or'ed count as one. ports: also those that ask for ports. */
static bool plain_holds(const struct rule *r, struct random_sample *s, bool ports, bool *asked)
{
	const struct rule_match *m;
	bool holds, asks;

	for (m = r->match; m; m = m->next) {
		asks = asks_ports(m);
		holds = plain_match(m, s) != m->negate;
		while (m->or_next) {
			m = m->next;
			asks |= asks_ports(m);
			if (!holds)
				holds = plain_match(m, s) != m->negate;
		}
		*asked |= asks;
		if (!holds && (ports || !asks))
			return false;
	}
	return true;
}

static bool is_same_packet(const struct random_sample *a, const struct random_sample *b)
{
	return a->six == b->six && a->out == b->out && a->tag == b->tag &&
	       !memcmp(a->src, b->src, 16) && !memcmp(a->dst, b->dst, 16) &&
	       (a->six ? a->fragment_id == b->fragment_id : a->id == b->id && a->proto == b->proto);
}

static struct plain_fragment *find_first(struct plain_fragments *known,
					 const struct random_sample *s)
{
	unsigned int i;

	for (i = 0; i < known->n; i++)
		if (is_same_packet(&known->packet[i].first, s))
			return &known->packet[i];
	return NULL;
}

static void keep_first(struct plain_fragments *known, const struct random_sample *s,
		       const struct plain_met *met)
{
	struct plain_fragment *f = find_first(known, s);
	bool taken = met->verdict == PLAIN_DIVERTED || met->verdict == PLAIN_DROPPED;

	if (!f && known->n < PLAIN_FRAGMENTS_MAX)
		f = &known->packet[known->n++];
	if (f)
		*f = (struct plain_fragment){*s, taken ? met->rule : 0, taken ? met->port : 0};
}

/* A later fragment, and the first one was taken by this rule? */
static bool goes_with_first(const struct rule *r, struct random_sample *s,
			    struct plain_fragments *known)
{
	const struct plain_fragment *f;
	bool asked = false;

	if (!known || r->action != RULE_DIVERT || r->tablearg || !random_fragment(s) ||
	    !plain_holds(r, s, false, &asked) || !asked)
		return false;
	if (!s->frag_offset)
		known->asked = true;
	f = s->frag_offset ? find_first(known, s) : NULL;
	return f && f->rule == r->number && f->port == r->arg;
}

/* tablearg is the rule's own. */
static bool plain_applies(const struct rule *r, struct random_sample *s,
			  struct plain_fragments *known)
{
	bool asked = false;

	s->tablearg = 0;
	if (goes_with_first(r, s, known))
		return true;
	return plain_holds(r, s, true, &asked) &&
	       (r->prob == RULES_PROB_ALL ||
		s->random < ((uint64_t)r->prob << 32) / RULES_PROB_ALL);
}

static unsigned int first_from(const struct rules *s, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < s->n && s->rule[i]->number < number; i++)
		;
	return i;
}

static bool has_bypass(const struct rule *r)
{
	const struct rule_match *m;

	for (m = r->match; m; m = m->next)
		if (m->type == RULE_BYPASS)
			return true;
	return false;
}

/*
 * Errors, what only may be one, resets and later fragments are not answered (RFC 1122, 3.2.2; RFC
 * 4443, 2.4), and no packet of IPv4 in IPv6's words. Of ICMP there are types 8 and 128 here:
 * in one family each is a query, in the other it is an error, or unknown.
 */
static bool is_told(const struct random_sample *s, uint32_t answer)
{
	if ((answer & DIVERT_ANSWER_V6 && !s->six) || s->frag_offset)
		return false;
	if (answer & DIVERT_ANSWER_RESET)
		return s->proto == 6 && !(s->tcp_flags & 4);
	if (s->proto == (s->six ? 58 : 1))
		return s->type == (s->six ? 128 : 8);
	return true;
}

static void walk(const struct rules *set, struct random_sample *s, struct plain_met *met,
		 struct plain_fragments *known)
{
	unsigned int stack[DIVERT_CALLS_MAX], depth = 0, i = first_from(set, s->tag + 1), to;
	struct plain_copy copy;
	const struct rule *r;
	bool nobody;

	met->n = met->copies = met->port = 0;
	while (i < set->n) {
		r = set->rule[i];
		if (set->disabled & 1u << r->set || !plain_applies(r, s, known)) {
			i++;
			continue;
		}
		if (met->n == PLAIN_MET_MAX) {
			met->verdict = PLAIN_ENDLESS;
			return;
		}
		met->counter[met->n++] = r->counter;
		met->rule = r->number;
		to = r->tablearg ? s->tablearg : r->arg;
		if (!to || to > 65535)
			to = 65535;
		switch (r->action) {
		case RULE_ALLOW:
			met->verdict = PLAIN_ALLOWED;
			return;
		case RULE_DENY:
			met->verdict = PLAIN_DENIED;
			return;
		case RULE_ANSWER:
			met->verdict = PLAIN_ANSWERED;
			met->port = r->arg;
			met->told = is_told(s, r->arg);
			met->mtu = r->mtu;
			return;
		case RULE_DIVERT:
			met->port = r->tablearg ? (uint16_t)s->tablearg : r->arg;
			nobody = random_nobody(s, met->port);
			if (!nobody || !has_bypass(r)) {
				met->verdict = nobody ? PLAIN_DROPPED : PLAIN_DIVERTED;
				return;
			}
			i++;
			break;
		case RULE_TEE:
			copy.rule = r->number;
			copy.port = r->tablearg ? (uint16_t)s->tablearg : r->arg;
			if (!random_nobody(s, copy.port))
				met->copy[met->copies++] = copy;
			i++;
			break;
		case RULE_SKIPTO: /* never backwards: the next number instead */
			to = r->tablearg ? s->tablearg : r->arg;
			to = to <= r->number ? r->number + 1u : to > 65535 ? 65535 : to;
			i = first_from(set, to);
			break;
		case RULE_CALL:
			if (depth == DIVERT_CALLS_MAX) {
				i++;
				break;
			}
			stack[depth++] = r->number;
			i = first_from(set, to);
			break;
		case RULE_RETURN:
			i = depth ? first_from(set, stack[--depth] + 1) : i + 1;
			break;
		case RULE_COUNT:
		case RULE_REASS:
			i++;
			break;
		}
	}
	if (met->n == PLAIN_MET_MAX) {
		met->verdict = PLAIN_ENDLESS;
		return;
	}
	met->counter[met->n++] = 0;
	met->rule = 65535;
	met->verdict = PLAIN_ALLOWED;
}

void plain_run(const struct rules *set, struct random_sample *s, struct plain_met *met,
	       struct plain_fragments *known)
{
	if (known)
		known->asked = false;
	walk(set, s, met, known);
	if (known && known->asked && met->verdict != PLAIN_ENDLESS)
		keep_first(known, s, met);
}
