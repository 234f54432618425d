// SPDX-License-Identifier: BSD-2-Clause
/* The plain evaluator: rule by rule. */
#include <string.h>

#include "plain.h"

/*
 * A condition, or several that are joined by "or"; *m is the last one afterwards. Any of them may
 * ask for the transport header.
 */
static bool block_holds(const struct rule_match **m, struct random_sample *s, bool *asks)
{
	struct random_sample copy, *seen;
	bool holds = false;

	if ((*m)->type == RULE_FIRST) { /* it comes after all else, see applies() */
		*asks = true;
		return true;
	}
	for (;; *m = (*m)->next) {
		copy = *s;
		seen = holds ? &copy : s; /* after a true one, the others have no effect */
		seen->asked = false;
		holds |= plain_match(*m, seen) != (*m)->negate;
		*asks |= seen->asked;
		if (!(*m)->or_next)
			return holds;
	}
}

/* transport: the conditions that ask for the transport header count, too. */
static bool plain_holds(const struct rule *r, struct random_sample *s, bool transport, bool *asked)
{
	const struct rule_match *m;
	bool holds, asks;

	for (m = r->match; m; m = m->next) {
		asks = false;
		holds = block_holds(&m, s, &asks);
		*asked |= asks;
		if (!holds && (transport || !asks))
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
		       const struct plain_met *met, const struct rule *maker)
{
	struct plain_fragment *f = find_first(known, s);
	bool taken = met->verdict == PLAIN_DIVERTED || met->verdict == PLAIN_DROPPED;

	if (!f && known->n < PLAIN_FRAGMENTS_MAX)
		f = &known->packet[known->n++];
	if (f)
		*f = (struct plain_fragment){*s, taken ? met->rule : 0, taken ? met->port : 0,
					     maker};
}

/* Is this a later fragment whose first one was taken by this rule? */
static bool goes_with_first(const struct rule *r, struct random_sample *s,
			    struct plain_fragments *known)
{
	const struct plain_fragment *f;
	bool asked = false;

	if (!known || r->action != RULE_DIVERT || r->tablearg || !random_fragment(s) ||
	    !plain_holds(r, s, false, &asked) || (!asked && !r->state))
		return false;
	if (!s->frag_offset)
		known->asked = true;
	f = s->frag_offset ? find_first(known, s) : NULL;
	return f && f->rule == r->number && f->port == r->arg;
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
 * No answer is sent for errors, for packets that may be errors, for resets and later fragments (RFC
 * 1122, 3.2.2; RFC 4443, 2.4), nor for an IPv4 packet with an IPv6 code. The only ICMP types here
 * are 8 and 128. In one family each is a query, in the other it is an error, or unknown.
 */
static bool is_told(const struct random_sample *s, uint32_t answer)
{
	if ((answer & DIVERT_REJECT_V6 && !s->six) || s->frag_offset)
		return false;
	if (answer & DIVERT_REJECT_RESET)
		return s->proto == 6 && !(s->t.tcp_flags & 4);
	if (s->proto == (s->six ? 58 : 1))
		return s->t.type == (s->six ? 128 : 8);
	return true;
}

/* ---- states ---- */

/* A packet's way through the rules. */
struct way {
	const struct rules *set;
	struct random_sample *s;
	struct plain_met *met;
	struct plain_fragments *known;
	struct plain_states *states;
	const char *looked; /* for states of this name last; "": of any; NULL: not yet */
	unsigned int hits;
	bool dropped;		  /* there was no room for its state */
	const struct rule *maker; /* of a first fragment: of the state that it has last had */
};

/* Later fragments go where this state of the first one leads. NULL: it has none of a name. */
static void keep_state(struct way *w, const struct rule *maker)
{
	if (!w->known || !random_fragment(w->s) || w->s->frag_offset)
		return;
	w->known->asked = true;
	if (maker)
		w->maker = maker;
}

/* The state with this name that the packet has, or the first fragment of its packet. */
static const struct rule *state_of(struct way *w, const char *name)
{
	const struct plain_fragment *f;

	if (!w->s->frag_offset)
		return states_find(w->states, w->s, name);
	f = w->known ? find_first(w->known, w->s) : NULL;
	return f && f->maker && !strcmp(f->maker->flow, name) ? f->maker : NULL;
}

/* Of any name: names are tried in the order of the rules. */
static const struct rule *find_any(struct way *w)
{
	const struct rule *r = NULL;
	unsigned int i;

	for (i = 0; i < w->set->n && !r; i++)
		if (w->set->rule[i]->state)
			r = state_of(w, w->set->rule[i]->flow);
	return r;
}

/*
 * States are looked for once, and again if it is for another name than the last time. After a look
 * for any name there is nothing more to find.
 */
static const struct rule *find_state(struct way *w, const char *name)
{
	const struct rule *r;

	if ((w->looked && (!*w->looked || !strcmp(w->looked, name))) || w->hits == PLAIN_HITS_MAX)
		return NULL;
	w->looked = name;
	r = *name ? state_of(w, name) : find_any(w);
	w->hits += r != NULL;
	keep_state(w, r);
	/* it has been diverted there, and was written back */
	if (r && (r->action == RULE_DIVERT || r->action == RULE_TEE) && r->number <= w->s->tag)
		return NULL;
	return r;
}

static bool is_lucky(const struct rule *r, const struct random_sample *s)
{
	return r->prob == RULES_PROB_ALL || s->random < ((uint64_t)r->prob << 32) / RULES_PROB_ALL;
}

/* The rule whose state the packet has, if this rule looks for states before all else. */
static const struct rule *hit(struct way *w, const struct rule *r)
{
	bool checks = r->action == RULE_CHECK || r->state == RULE_STATE_KEEP ||
		      r->state == RULE_STATE_LIMIT;

	return checks && is_lucky(r, w->s) ? find_state(w, r->flow) : NULL;
}

/* Is this a later fragment, and the divert rule did not take the first one? */
static bool went_elsewhere(const struct way *w, const struct rule *r)
{
	return r->action == RULE_DIVERT && !r->tablearg && w->known && w->s->frag_offset &&
	       find_first(w->known, w->s);
}

static const struct rule_match *first_of(const struct rule *r)
{
	const struct rule_match *m = r->match;

	while (m && m->type != RULE_FIRST)
		m = m->next;
	return m;
}

/*
 * The packet meets the rule's own conditions, and the rule's action is done now. tablearg is the
 * rule's own.
 */
static bool applies(struct way *w, const struct rule *r)
{
	const struct rule_match *first;
	bool asked = false;

	w->s->tablearg = 0;
	if (r->action == RULE_CHECK)
		return false;
	if (goes_with_first(r, w->s, w->known))
		return true;
	if (!plain_holds(r, w->s, true, &asked) || !is_lucky(r, w->s))
		return false;
	first = first_of(r);
	if (first && went_elsewhere(w, r))
		return false;
	if (first && states_first(w->states, w->s, r, *first->value) == first->negate)
		return false;
	if (r->state) {
		w->met->recorded = true;
		w->dropped = !states_record(w->states, w->s, r);
		if (!w->dropped && !r->only_later)
			keep_state(w, r);
	}
	return w->dropped || !r->only_later;
}

static unsigned int index_of(const struct rules *set, const struct rule *r)
{
	unsigned int i;

	for (i = 0; set->rule[i] != r; i++)
		;
	return i;
}

static void walk(struct way *w)
{
	const struct rules *set = w->set;
	struct random_sample *s = w->s;
	struct plain_met *met = w->met;
	unsigned int stack[DIVERT_CALLS_MAX], depth = 0, i = first_from(set, s->tag + 1), to;
	struct plain_copy copy;
	const struct rule *r, *maker;
	bool nobody;

	met->n = met->copies = met->port = 0;
	met->recorded = false;
	while (i < set->n) {
		r = set->rule[i];
		if (set->disabled & 1u << r->set) {
			i++;
			continue;
		}
		maker = hit(w, r);
		if (maker) {
			r = maker;
			i = index_of(set, r);
			s->tablearg = 0;
		} else if (!applies(w, r)) {
			i++;
			continue;
		}
		if (met->n == PLAIN_MET_MAX) {
			met->verdict = PLAIN_ENDLESS;
			return;
		}
		met->counter[met->n++] = r->counter;
		met->rule = r->number;
		if (w->dropped) {
			met->verdict = PLAIN_DENIED;
			return;
		}
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
		case RULE_SKIPTO: /* never backwards: to the next number instead */
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
		case RULE_CHECK: /* has no action of its own */
		case RULE_FWD:	 /* no random rule has it: tests/net/fwd.sh */
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

/* Copy the states that there are. */
static void copy_states(struct plain_states *to, const struct plain_states *from)
{
	memcpy(to->state, from->state, from->n * sizeof(*from->state));
	to->n = from->n;
	memcpy(to->first, from->first, from->firsts * sizeof(*from->first));
	to->firsts = from->firsts;
}

void plain_run(const struct rules *set, struct random_sample *s, struct plain_met *met,
	       struct plain_fragments *known, struct plain_states *states)
{
	static struct plain_states before;
	struct way w = {.set = set, .s = s, .met = met, .known = known, .states = states};

	if (known)
		known->asked = false;
	copy_states(&before, states);
	walk(&w);
	if (met->verdict == PLAIN_ENDLESS)
		copy_states(states, &before);
	else if (known && known->asked)
		keep_first(known, s, met, w.maker);
}
