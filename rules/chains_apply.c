/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains as numbered rules. A rule that leads to a user chain becomes a skipto into a copy of
 * that chain, which follows, and a skipto past the copy for packets that the rule is not for:
 *
 *	50001 skipto 50003 tcp ... in	// input 1
 *	50002 skipto 50005 ip4 ... in	// input 1: else
 *	50003 deny ... in		// input 1: user 1
 *	50004 divert 8668 ... in	// input 1: user 2
 *	50005 ...			// input 2
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chains.h"
#include "parse.h"

struct made {
	char *line;
	uint16_t number;
	struct chain_rule *from; /* NULL: nobody's counter */
};

struct maker {
	struct chains *chains;
	struct made *made;
	unsigned int n, room;
	enum chain_kind kind;
	bool alone; /* for chain_test(): an end is an end, also of forward */
	struct rules_error *err;
};

static int no_memory(struct rules_error *err)
{
	return rules_fail(err, ENOMEM, "out of memory");
}

static unsigned int first_of(enum chain_kind kind)
{
	return CHAIN_FIRST + kind * CHAIN_STEP + 1;
}

static unsigned int end_of(enum chain_kind kind)
{
	return CHAIN_FIRST + (kind + 1) * CHAIN_STEP - 1;
}

/* ---- one rule's words ---- */

static void put_address(FILE *f, struct in_addr ip, struct in_addr mask, bool negate)
{
	char text[INET_ADDRSTRLEN];
	uint32_t bits = ntohl(mask.s_addr);

	if (!bits) {
		fputs(" any", f);
		return;
	}
	inet_ntop(AF_INET, &ip, text, sizeof(text));
	fprintf(f, " %s%s", negate ? "not " : "", text);
	if (bits == ~0u)
		return;
	if (!(~bits & (~bits + 1))) {
		fprintf(f, "/%d", 32 - __builtin_ctz(bits));
		return;
	}
	inet_ntop(AF_INET, &mask, text, sizeof(text));
	fprintf(f, ":%s", text);
}

static void put_range(FILE *f, char *comma, unsigned int lo, unsigned int hi)
{
	fprintf(f, lo == hi ? "%c%u" : "%c%u-%u", *comma, lo, hi);
	*comma = ',';
}

/*
 * Those that are not in the range: the others. A plain "not" would also match fragments, which have
 * no ports, and in Linux 2.2 those match no rule about ports.
 */
static void put_ranges(FILE *f, const uint16_t range[2], unsigned int max, bool negate)
{
	char comma = ' ';

	if (!negate) {
		put_range(f, &comma, range[0], range[1] < max ? range[1] : max);
		return;
	}
	if (range[0])
		put_range(f, &comma, 0, range[0] - 1);
	if (range[1] < max)
		put_range(f, &comma, range[1] + 1, max);
}

static bool is_any(const uint16_t range[2])
{
	return !range[0] && range[1] == CHAIN_PORTS_LAST;
}

static void put_ports(FILE *f, const uint16_t range[2], bool negate)
{
	if (!is_any(range))
		put_ranges(f, range, CHAIN_PORTS_LAST, negate);
}

/* Of types, ipfw(8) has no ranges. */
static void put_types(FILE *f, const uint16_t range[2], bool negate)
{
	unsigned int i;
	char comma = ' ';

	if (is_any(range))
		return;
	fputs(" icmptypes", f);
	for (i = 0; i <= CHAIN_ICMP_LAST; i++)
		if ((i >= range[0] && i <= range[1]) != negate)
			put_range(f, &comma, i, i);
}

static void put_codes(FILE *f, const uint16_t range[2], bool negate)
{
	if (is_any(range))
		return;
	fputs(" icmpcodes", f);
	put_ranges(f, range, CHAIN_ICMP_LAST, negate);
}

static const char *no(const struct chain_spec *s, enum chain_inverse inverse)
{
	return s->inverse & inverse ? " not" : "";
}

static void put_direction(FILE *f, enum chain_kind kind)
{
	static const char *const words[] = {
		[CHAIN_INPUT] = " in",
		[CHAIN_FORWARD] = " out recv *",
		[CHAIN_OUTPUT] = " out",
		[CHAIN_USER] = "",
	};

	fputs(words[kind], f);
}

static void put_body(FILE *f, const struct chain_spec *s, enum chain_kind kind)
{
	bool icmp = s->proto == IPPROTO_ICMP && !(s->inverse & CHAIN_NOT_PROTO);

	fputs(" ip4 from", f);
	put_address(f, s->src, s->src_mask, s->inverse & CHAIN_NOT_SRC);
	if (!icmp)
		put_ports(f, s->sport, s->inverse & CHAIN_NOT_SPORT);
	fputs(" to", f);
	put_address(f, s->dst, s->dst_mask, s->inverse & CHAIN_NOT_DST);
	if (!icmp)
		put_ports(f, s->dport, s->inverse & CHAIN_NOT_DPORT);
	if (s->proto)
		fprintf(f, "%s proto %u", no(s, CHAIN_NOT_PROTO), s->proto);
	if (icmp) {
		put_types(f, s->sport, s->inverse & CHAIN_NOT_SPORT);
		put_codes(f, s->dport, s->inverse & CHAIN_NOT_DPORT);
	}
	put_direction(f, kind);
	if (*s->iface)
		fprintf(f, "%s via %s%s", no(s, CHAIN_NOT_IFACE), s->iface,
			s->flags & CHAIN_WILD ? "*" : "");
	if (s->flags & CHAIN_SYN)
		fprintf(f, "%s tcpflags syn,!fin,!ack", no(s, CHAIN_NOT_SYN));
	if (s->flags & CHAIN_FRAG)
		fprintf(f, "%s frag", no(s, CHAIN_NOT_FRAG));
}

static bool is_open(const struct chain_spec *s)
{
	return !s->src_mask.s_addr && !s->dst_mask.s_addr && !s->proto && !*s->iface &&
	       !(s->flags & CHAIN_FRAG);
}

/* ---- the rules of a chain ---- */

/* path: what is said of it behind "//". NULL spec: any packet of the chain. */
static int make(struct maker *m, unsigned int number, struct chain_rule *from,
		const struct chain_spec *spec, const char *path, const char *action, ...)
{
	static const struct chain_spec any = {
		.sport = {0, CHAIN_PORTS_LAST},
		.dport = {0, CHAIN_PORTS_LAST},
	};
	struct made *made;
	char *line = NULL;
	va_list ap;
	size_t len;
	FILE *f;

	if (m->n == m->room) {
		made = reallocarray(m->made, m->room * 2 + 64, sizeof(*made));
		if (!made)
			return no_memory(m->err);
		m->made = made;
		m->room = m->room * 2 + 64;
	}
	f = open_memstream(&line, &len);
	if (!f)
		return no_memory(m->err);
	va_start(ap, action);
	vfprintf(f, action, ap);
	va_end(ap);
	if (spec && spec->flags & CHAIN_LOG)
		fputs(" log", f);
	put_body(f, spec ? spec : &any, m->kind);
	fprintf(f, " // %.60s", path);
	if (fclose(f)) {
		free(line);
		return no_memory(m->err);
	}
	m->made[m->n++] = (struct made){line, number, from};
	return 0;
}

static struct chain *branch_of(const struct maker *m, const struct chain_spec *s)
{
	struct chain *to;

	if (!*s->target || chain_is_target(s->target))
		return NULL;
	to = chains_find(m->chains, s->target, NULL);
	return to && to->n ? to : NULL;
}

/* How many numbers the chain takes; more than there are: CHAIN_RULES_MAX + 1. */
static unsigned int size_of(struct maker *m, struct chain *chain)
{
	unsigned int i, size = 0;
	struct chain *to;

	if (chain->size)
		return chain->size;
	for (i = 0; i < chain->n && size <= CHAIN_RULES_MAX; i++) {
		to = branch_of(m, &chain->rule[i]->spec);
		size += 1;
		if (to)
			size += !is_open(&chain->rule[i]->spec) + size_of(m, to);
	}
	if (size > CHAIN_RULES_MAX)
		size = CHAIN_RULES_MAX + 1;
	chain->size = size;
	return size;
}

/* The action of DENY and REJECT; NULL: it is neither. Linux 2.2 told the sender: port unreachable. */
static const char *drop_of(const char *target)
{
	if (!strcmp(target, "REJECT"))
		return "unreach port";
	return strcmp(target, "DENY") ? NULL : "deny";
}

static int make_accept(struct maker *m, unsigned int number, struct chain_rule *from,
		       const struct chain_spec *s, const char *path)
{
	if (m->kind == CHAIN_FORWARD && !m->alone)
		return make(m, number, from, s, path, "skipto %u", CHAIN_FIRST + 2 * CHAIN_STEP);
	return make(m, number, from, s, path, "allow");
}

static int make_chain(struct maker *m, const struct chain *chain, const char *prefix,
		      unsigned int *number, unsigned int back);

static int make_branch(struct maker *m, struct chain *to, struct chain_rule *r, const char *path,
		       unsigned int *number)
{
	char prefix[64];
	unsigned int at = *number, back;
	bool open = is_open(&r->spec);

	snprintf(prefix, sizeof(prefix), "%.50s: ", path);
	*number += 2 - open;
	back = *number + size_of(m, to);
	if (open ? make(m, at, r, &r->spec, path, "count")
		 : make(m, at, r, &r->spec, path, "skipto %u", *number))
		return -1;
	if (!open) {
		char other[80];

		snprintf(other, sizeof(other), "%selse", prefix);
		if (make(m, at + 1, NULL, NULL, other, "skipto %u", back))
			return -1;
	}
	return make_chain(m, to, prefix, number, back);
}

/* back: where RETURN goes */
static int make_rule(struct maker *m, struct chain_rule *r, const char *path, unsigned int *number,
		     unsigned int back)
{
	const struct chain_spec *s = &r->spec;
	struct chain *to = branch_of(m, s);
	unsigned int at = *number;

	if (to)
		return make_branch(m, to, r, path, number);
	++*number;
	if (!strcmp(s->target, "ACCEPT"))
		return make_accept(m, at, r, s, path);
	if (drop_of(s->target))
		return make(m, at, r, s, path, "%s", drop_of(s->target));
	if (!strcmp(s->target, "RETURN"))
		return make(m, at, r, s, path, "skipto %u", back);
	if (!strcmp(s->target, "DIVERT"))
		return make(m, at, r, s, path, "divert %u", s->port);
	return make(m, at, r, s, path, "count");
}

static int make_chain(struct maker *m, const struct chain *chain, const char *prefix,
		      unsigned int *number, unsigned int back)
{
	unsigned int i;
	char path[96];

	for (i = 0; i < chain->n; i++) {
		snprintf(path, sizeof(path), "%.60s%s %u", prefix, chain->name, i + 1);
		if (make_rule(m, chain->rule[i], path, number, back))
			return -1;
	}
	return 0;
}

static int make_policy(struct maker *m, struct chain *chain)
{
	unsigned int number = end_of(chain->kind);
	char path[32];

	snprintf(path, sizeof(path), "%s policy", chain->name);
	if (drop_of(chain->policy))
		return make(m, number, &chain->end, NULL, path, "%s", drop_of(chain->policy));
	return make_accept(m, number, &chain->end, NULL, path);
}

static int make_all_of(struct maker *m, struct chain *chain)
{
	enum chain_kind kind = chain->kind == CHAIN_USER ? CHAIN_OUTPUT : chain->kind;
	unsigned int number = first_of(kind);

	m->kind = chain->kind;
	if (size_of(m, chain) > CHAIN_RULES_MAX)
		return rules_fail(m->err, ENOSPC,
				  "%s: with the chains that it leads to more than %u rules",
				  chain->name, CHAIN_RULES_MAX);
	if (make_chain(m, chain, "", &number, end_of(kind)))
		return -1;
	/* a chain that does nothing costs nothing, and counts nothing */
	if (chain->kind == CHAIN_USER || (!chain->n && !strcmp(chain->policy, "ACCEPT")))
		return 0;
	return make_policy(m, chain);
}

static void forget_sizes(struct chains *c)
{
	struct chain *chain;

	for (chain = c->first; chain; chain = chain->next)
		chain->size = 0;
}

static int make_all(struct maker *m)
{
	struct chain *chain;

	forget_sizes(m->chains);
	for (chain = m->chains->first; chain && chain->kind != CHAIN_USER; chain = chain->next)
		if (make_all_of(m, chain))
			return -1;
	return 0;
}

static void maker_free(struct maker *m)
{
	while (m->n)
		free(m->made[--m->n].line);
	free(m->made);
}

/* ---- from a rule set ---- */

static int add_slot(struct chain_rule *r, uint32_t slot)
{
	uint32_t *more = reallocarray(r->slot, r->slots + 1, sizeof(*more));

	if (!more)
		return -1;
	r->slot = more;
	r->slot[r->slots++] = slot;
	return 0;
}

/* The rules of the set, by number, to those that it must have been made of. */
static int find_slots(struct chains *c, const struct rules *s, struct rules_error *err)
{
	struct maker m = {.chains = c, .err = err};
	unsigned int i, k = 0;
	int rc = make_all(&m);

	for (i = 0; i < m.n && !rc; i++) {
		while (k < s->n && (!s->rule[k]->chain || s->rule[k]->number < m.made[i].number))
			k++;
		if (k == s->n)
			break;
		if (s->rule[k]->number == m.made[i].number && m.made[i].from &&
		    add_slot(m.made[i].from, s->rule[k]->counter))
			rc = no_memory(err);
	}
	maker_free(&m);
	return rc;
}

int chains_load(struct chains *c, const struct rules *s, struct rules_error *err)
{
	char *copy, *rest, *line;
	int rc = chains_init(c, err);

	if (rc || !s->chains)
		return rc;
	copy = rest = strdup(s->chains);
	if (!copy)
		rc = no_memory(err);
	while (!rc && (line = strsep(&rest, "\n")))
		if (*line)
			rc = chains_read_line(c, line, err);
	free(copy);
	if (!rc)
		rc = find_slots(c, s, err);
	if (rc)
		chains_free(c);
	return rc;
}

/* ---- into a rule set ---- */

static int add(struct rules *s, const struct made *made, uint8_t *fresh, struct rules_error *err)
{
	struct chain_rule *from = made->from;
	struct rule *r;
	uint32_t slot = 0;

	if (rule_parse(made->line, &r, err)) {
		if (err)
			err->status = EOPNOTSUPP;
		return -1;
	}
	r->number = made->number;
	r->chain = true;
	r->set = RULES_SET_RESERVED; /* which cannot be disabled, moved or swapped */
	if (rules_add(s, r, err)) {
		rule_free(r);
		if (err)
			err->status = ENOSPC;
		return -1;
	}
	if (from && from->given < from->slots) {
		slot = from->slot[from->given++];
		s->slot[r->counter] &= ~RULES_SLOT_USED;
		r->counter = slot;
		s->slot[slot] |= RULES_SLOT_USED;
	} else if (fresh) {
		fresh[r->counter] = 1;
	}
	return 0;
}

static bool is_old(const struct rule *r, void *arg)
{
	return r->chain;
}

/* Counters that rules of a chain have stay with them: nobody else gets one. */
static void hold_slots(struct maker *m, struct rules *s)
{
	struct chain_rule *r;
	unsigned int i, k;

	for (i = 0; i < m->n; i++) {
		r = m->made[i].from;
		if (!r)
			continue;
		r->given = 0;
		for (k = 0; k < r->slots; k++)
			s->slot[r->slot[k]] |= RULES_SLOT_USED;
	}
}

static void let_slots_go(struct maker *m, struct rules *s)
{
	struct chain_rule *r;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		r = m->made[i].from;
		for (; r && r->given < r->slots; r->slots--)
			s->slot[r->slot[r->slots - 1]] &= ~RULES_SLOT_USED;
	}
}

int chains_apply(struct chains *c, struct rules *s, uint8_t fresh[DIVERT_RULES_MAX],
		 struct rules_error *err)
{
	struct maker m = {.chains = c, .err = err};
	unsigned int i;
	char *text;
	int rc = chains_text(c, &text);

	if (rc)
		return no_memory(err);
	free(s->chains);
	s->chains = text;
	rc = make_all(&m);
	if (!rc) {
		rules_delete_if(s, is_old, NULL);
		hold_slots(&m, s);
		for (i = 0; i < m.n && !rc; i++)
			rc = add(s, &m.made[i], fresh, err);
		let_slots_go(&m, s);
	}
	maker_free(&m);
	return rc;
}

int chain_alone(struct chains *c, struct chain *chain, struct rules *s, struct rules_error *err)
{
	struct maker m = {.chains = c, .alone = true, .err = err};
	unsigned int i;
	int rc;

	rules_init(s);
	forget_sizes(c);
	rc = make_all_of(&m, chain);
	if (!rc && chain->kind != CHAIN_USER && !chain->n && !strcmp(chain->policy, "ACCEPT"))
		rc = make_policy(&m, chain);
	for (i = 0; i < m.n && !rc; i++) {
		m.made[i].from = NULL;
		rc = add(s, &m.made[i], NULL, err);
	}
	maker_free(&m);
	if (rc)
		rules_free(s);
	return rc;
}
