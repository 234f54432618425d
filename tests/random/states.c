// SPDX-License-Identifier: BSD-2-Clause
/* The plain evaluator: states of flows. */
#include <stdlib.h>
#include <string.h>

#include "states.h"

enum {
	FIN = 1,
	SYN = 2,
	RST = 4,
	ACK = 16,
};

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 132 || proto == 136;
}

/* UDP, or UDP-Lite. */
static bool is_udp(uint8_t proto)
{
	return proto == 17 || proto == 136;
}

static struct plain_flow flow_of(const struct random_sample *s)
{
	struct plain_flow f = {.six = s->six, .proto = s->proto};

	memcpy(f.src, s->src, s->six ? 16 : 4);
	memcpy(f.dst, s->dst, s->six ? 16 : 4);
	if (has_ports(s->proto)) {
		f.sport = s->t.sport;
		f.dport = s->t.dport;
	}
	return f;
}

static bool goes(const struct plain_flow *a, const struct plain_flow *b)
{
	return a->six == b->six && a->proto == b->proto && !memcmp(a->src, b->src, 16) &&
	       !memcmp(a->dst, b->dst, 16) && a->sport == b->sport && a->dport == b->dport;
}

static bool goes_back(const struct plain_flow *a, const struct plain_flow *b)
{
	return a->six == b->six && a->proto == b->proto && !memcmp(a->src, b->dst, 16) &&
	       !memcmp(a->dst, b->src, 16) && a->sport == b->dport && a->dport == b->sport;
}

static bool is_over(const struct plain_states *st, const struct plain_state *x)
{
	return x->expires <= st->now;
}

/* back: the packet goes the other way than the first one did. */
static struct plain_state *find(struct plain_states *st, const struct plain_flow *f,
				const char *name, int *back)
{
	struct plain_state *x;

	for (x = st->state; x < st->state + st->n; x++) {
		if (is_over(st, x) || strcmp(x->rule->flow, name))
			continue;
		*back = !goes(&x->flow, f);
		if (!*back || goes_back(&x->flow, f))
			return x;
	}
	return NULL;
}

/*
 * An acknowledgement that does not go back. An established flow lives on when both sides send such,
 * in turn.
 */
static bool both_acknowledge(struct plain_state *x, uint32_t ack, int back)
{
	bool both = x->acker == !back;

	if (x->ack[back] && (int32_t)(ack - x->ack[back]) < 0)
		return false;
	x->ack[back] = ack;
	x->acker = back;
	return both;
}

/* How long it lives from now on; -1: as long as before. */
static int tcp_life(struct plain_state *x, const struct random_sample *s, int back)
{
	uint8_t *seen = x->seen;

	seen[back] |= s->t.tcp_flags & (FIN | SYN | RST);
	if (seen[0] == SYN && !seen[1])
		return DIVERT_LIFE_SYN;
	if (seen[0] == (SYN | FIN) && seen[1] == (SYN | FIN))
		return DIVERT_LIFE_FIN;
	if ((seen[0] | FIN) != (SYN | FIN) || (seen[1] | FIN) != (SYN | FIN))
		return DIVERT_LIFE_RST;
	return both_acknowledge(x, s->t.ack, back) ? DIVERT_LIFE_ACK : -1;
}

static void meet(struct plain_states *st, struct plain_state *x, const struct random_sample *s,
		 int back)
{
	int life = is_udp(s->proto) ? DIVERT_LIFE_UDP : DIVERT_LIFE_SHORT;

	if (s->proto == 6)
		life = tcp_life(x, s, back);
	if (life >= 0)
		x->expires = st->now + st->life[life];
}

const struct rule *states_find(struct plain_states *st, const struct random_sample *s,
			       const char *name)
{
	const struct plain_flow f = flow_of(s);
	struct plain_state *x;
	int back;

	if (s->frag_offset)
		return NULL;
	x = find(st, &f, name, &back);
	if (!x)
		return NULL;
	meet(st, x, s, back);
	return x->rule;
}

/* Are they one to the limit of the rule? */
static bool counts_with(const struct rule *r, const struct plain_flow *a,
			const struct plain_flow *b)
{
	const uint8_t by = r->limit_by;

	return a->six == b->six && a->proto == b->proto &&
	       (!(by & DIVERT_FLOW_SRC) || !memcmp(a->src, b->src, 16)) &&
	       (!(by & DIVERT_FLOW_DST) || !memcmp(a->dst, b->dst, 16)) &&
	       (!(by & DIVERT_FLOW_SPORT) || a->sport == b->sport) &&
	       (!(by & DIVERT_FLOW_DPORT) || a->dport == b->dport);
}

static bool is_full(const struct plain_states *st, const struct rule *r, const struct plain_flow *f)
{
	const struct plain_state *x;
	unsigned int n = 0;

	for (x = st->state; x < st->state + st->n; x++)
		n += x->rule == r && !is_over(st, x) && counts_with(r, &x->flow, f);
	return r->limit && n >= r->limit;
}

bool states_record(struct plain_states *st, const struct random_sample *s, const struct rule *r)
{
	const struct plain_flow f = flow_of(s);
	struct plain_state *x;
	int back = 0;

	if (s->frag_offset)
		return true;
	x = find(st, &f, r->flow, &back);
	if (!x) {
		if (is_full(st, r, &f))
			return false;
		if (st->n == PLAIN_STATES_MAX)
			abort();
		x = &st->state[st->n++];
		*x = (struct plain_state){.flow = f, .rule = r, .acker = -1};
		back = 0;
	}
	meet(st, x, s, back);
	return true;
}

/* ---- the first packets of a flow ---- */

static struct plain_first *find_first(struct plain_states *st, const struct plain_flow *f,
				      const struct rule *r)
{
	struct plain_first *x;

	for (x = st->first; x < st->first + st->firsts; x++)
		if (x->rule == r && (goes(&x->flow, f) || goes_back(&x->flow, f)))
			return x;
	return NULL;
}

bool states_first(struct plain_states *st, const struct random_sample *s, const struct rule *r,
		  uint32_t n)
{
	const bool begins = s->proto == 6 && (s->t.tcp_flags & (SYN | ACK)) == SYN;
	const struct plain_flow f = flow_of(s);
	struct plain_first *x;
	uint32_t before;
	int back, life = is_udp(s->proto) ? DIVERT_LIFE_UDP : DIVERT_LIFE_SHORT;

	if (s->frag_offset)
		return true;
	if (s->proto == 6)
		life = DIVERT_LIFE_ACK;
	x = find_first(st, &f, r);
	if (!x) {
		if (st->firsts == PLAIN_FIRSTS_MAX)
			abort();
		x = &st->first[st->firsts++];
		x->rule = NULL;
	}
	if (!x->rule || x->expires <= st->now || begins)
		*x = (struct plain_first){.flow = f, .rule = r};
	x->expires = st->now + st->life[life];
	back = !goes(&x->flow, &f);
	before = x->met[back];
	x->met[back] += s->segments > 1 ? s->segments : 1;
	return before < n;
}
