/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Converts chains to numbered rules. A rule that leads to a user chain becomes two rules in front
 * of a copy of that chain: a skipto into the copy, and a skipto past it for other packets:
 *
 *	50001 skipto 50003 tcp ... in	// input 1
 *	50002 skipto 50005 ip4 ... in	// input 1: else
 *	50003 deny ... in		// input 1: user 1
 *	50004 divert 8668 ... in	// input 1: user 2
 *	50005 ...			// input 2
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chains_make.h"

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

static bool is_open(const struct chain_spec *s)
{
	return !s->src_mask.s_addr && !s->dst_mask.s_addr && !s->proto && !*s->iface &&
	       !(s->flags & CHAIN_FRAG);
}

/* path: for the comment behind "//". spec NULL: all packets of the chain. */
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
	if (spec)
		chain_put_change(f, spec);
	chain_put_body(f, spec ? spec : &any, m->kind);
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

/* How many numbers the chain takes; CHAIN_RULES_MAX + 1 if that is more than there are. */
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

/*
 * The action for DENY and REJECT; NULL: another target. Linux 2.2's REJECT sent port unreachable.
 */
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

/* back: the target of RETURN */
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
	/* a chain without effect gets no rules, and counts nothing */
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

int make_chains(struct maker *m)
{
	struct chain *chain;

	forget_sizes(m->chains);
	for (chain = m->chains->first; chain && chain->kind != CHAIN_USER; chain = chain->next)
		if (make_all_of(m, chain))
			return -1;
	return 0;
}

int make_chain_alone(struct maker *m, struct chain *chain)
{
	int rc;

	forget_sizes(m->chains);
	rc = make_all_of(m, chain);
	if (!rc && chain->kind != CHAIN_USER && !chain->n && !strcmp(chain->policy, "ACCEPT"))
		rc = make_policy(m, chain);
	return rc;
}

void maker_free(struct maker *m)
{
	while (m->n)
		free(m->made[--m->n].line);
	free(m->made);
}
