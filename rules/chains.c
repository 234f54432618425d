/* SPDX-License-Identifier: BSD-2-Clause */
/* The chains, and the rules in them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chains.h"
#include "parse.h"

static const char *const built_in[] = {
	[CHAIN_INPUT] = "input",
	[CHAIN_FORWARD] = "forward",
	[CHAIN_OUTPUT] = "output",
};

static const char *const targets[] = {
	"ACCEPT", "DENY", "REJECT", "RETURN", "DIVERT",
};

static const struct {
	const char *name, *why;
} absent[] = {
	{"MASQ", "ipdivert does not masquerade: use nftables' masquerade, or DIVERT to a natd"},
	{"REDIRECT", "ipdivert does not redirect: use nftables' redirect, or DIVERT"},
	{"QUEUE", "ipdivert does not queue: use nftables' queue, or DIVERT"},
};

static int no_memory(struct rules_error *err)
{
	return rules_fail(err, ENOMEM, "out of memory");
}

bool chain_is_target(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (!strcmp(name, targets[i]))
			return true;
	return false;
}

static int refuse_absent(const char *name, struct rules_error *err)
{
	unsigned int i;

	for (i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (!strcmp(name, absent[i].name))
			return rules_fail(err, EOPNOTSUPP, "%s: %s", name, absent[i].why);
	return 0;
}

/* ---- chains ---- */

static struct chain *add_chain(struct chains *c, const char *name, enum chain_kind kind)
{
	struct chain *new = calloc(1, sizeof(*new)), **at = &c->first;

	if (!new)
		return NULL;
	strcpy(new->name, name);
	new->kind = kind;
	if (kind != CHAIN_USER)
		strcpy(new->policy, "ACCEPT");
	while (*at)
		at = &(*at)->next;
	*at = new;
	return new;
}

int chains_init(struct chains *c, struct rules_error *err)
{
	enum chain_kind kind;

	c->first = NULL;
	for (kind = CHAIN_INPUT; kind < CHAIN_USER; kind++)
		if (!add_chain(c, built_in[kind], kind)) {
			chains_free(c);
			return no_memory(err);
		}
	return 0;
}

static void free_rule(struct chain_rule *r)
{
	free(r->slot);
	free(r);
}

void chain_flush(struct chain *chain)
{
	unsigned int i;

	for (i = 0; i < chain->n; i++)
		free_rule(chain->rule[i]);
	free(chain->rule);
	chain->rule = NULL;
	chain->n = 0;
}

static void free_chain(struct chain *chain)
{
	chain_flush(chain);
	free(chain->end.slot);
	free(chain);
}

void chains_free(struct chains *c)
{
	struct chain *chain, *next;

	for (chain = c->first; chain; chain = next) {
		next = chain->next;
		free_chain(chain);
	}
	c->first = NULL;
}

struct chain *chains_find(const struct chains *c, const char *name, struct rules_error *err)
{
	struct chain *chain;

	for (chain = c->first; chain; chain = chain->next)
		if (!strcmp(chain->name, name))
			return chain;
	rules_fail(err, ENOENT, "%s: no chain by that name", name);
	return NULL;
}

unsigned int chain_references(const struct chains *c, const struct chain *chain)
{
	const struct chain *from;
	unsigned int i, n = 0;

	for (from = c->first; from; from = from->next)
		for (i = 0; i < from->n; i++)
			n += !strcmp(from->rule[i]->spec.target, chain->name);
	return n;
}

int chains_new(struct chains *c, const char *name, struct rules_error *err)
{
	const char *at;

	if (!*name || strlen(name) > CHAIN_NAME_MAX)
		return rules_fail(err, EINVAL, "%.32s: not a chain's name: 1 to %d characters",
				  name, CHAIN_NAME_MAX);
	for (at = name; *at; at++)
		if (!isgraph((unsigned char)*at) || strchr(",#/", *at))
			return rules_fail(err, EINVAL, "not a chain's name: character 0x%02x in it",
					  (unsigned char)*at);
	if (*name == '-' || *name == '!')
		return rules_fail(err, EINVAL, "%s: not a chain's name: it begins with %c", name,
				  *name);
	if (chain_is_target(name) || refuse_absent(name, NULL))
		return rules_fail(err, EEXIST, "%s: the name of a target", name);
	if (chains_find(c, name, NULL))
		return rules_fail(err, EEXIST, "%s: there is such a chain", name);
	return add_chain(c, name, CHAIN_USER) ? 0 : no_memory(err);
}

int chains_delete(struct chains *c, struct chain *chain, struct rules_error *err)
{
	struct chain **at = &c->first;

	if (chain->kind != CHAIN_USER)
		return rules_fail(err, EINVAL, "%s: a built-in chain", chain->name);
	if (chain->n)
		return rules_fail(err, ENOTEMPTY, "%s: there are rules in it; flush it first",
				  chain->name);
	if (chain_references(c, chain))
		return rules_fail(err, EBUSY, "%s: rules lead to it; delete them first",
				  chain->name);
	while (*at != chain)
		at = &(*at)->next;
	*at = chain->next;
	free_chain(chain);
	return 0;
}

int chain_policy(struct chain *chain, const char *policy, struct rules_error *err)
{
	if (chain->kind == CHAIN_USER)
		return rules_fail(err, EINVAL, "%s: only built-in chains have a policy",
				  chain->name);
	if (refuse_absent(policy, err))
		return -1;
	if (strcmp(policy, "ACCEPT") && strcmp(policy, "DENY") && strcmp(policy, "REJECT"))
		return rules_fail(err, EINVAL, "%s: not a policy: expected ACCEPT, DENY or REJECT",
				  policy);
	strcpy(chain->policy, policy);
	return 0;
}

/* ---- rules ---- */

/* Visits each chain once. */
static bool search(const struct chains *c, struct chain *from, const struct chain *to)
{
	struct chain *next;
	unsigned int i;

	if (from == to)
		return true;
	from->seen = true;
	for (i = 0; i < from->n; i++) {
		next = chains_find(c, from->rule[i]->spec.target, NULL);
		if (next && !next->seen && search(c, next, to))
			return true;
	}
	return false;
}

static bool leads_to(const struct chains *c, struct chain *from, const struct chain *to)
{
	struct chain *chain;

	for (chain = c->first; chain; chain = chain->next)
		chain->seen = false;
	return search(c, from, to);
}

static int check_target(const struct chains *c, const struct chain *chain,
			const struct chain_spec *spec, struct rules_error *err)
{
	struct chain *to;

	if (refuse_absent(spec->target, err))
		return -1;
	if (!*spec->target || chain_is_target(spec->target))
		return 0;
	to = chains_find(c, spec->target, NULL);
	if (!to)
		return rules_fail(err, ENOENT, "%s: no target or chain by that name", spec->target);
	if (to->kind != CHAIN_USER)
		return rules_fail(err, EINVAL, "%s: a built-in chain is no target", to->name);
	if (leads_to(c, to, chain))
		return rules_fail(err, ELOOP, "%s: leads back to %s", to->name, chain->name);
	return 0;
}

static bool bad_range(const uint16_t range[2])
{
	return range[0] > range[1];
}

static bool any_range(const uint16_t range[2])
{
	return !range[0] && range[1] == CHAIN_PORTS_LAST;
}

/* ICMP types and codes, which use the port fields. */
static int check_icmp(const struct chain_spec *s, struct rules_error *err)
{
	if (s->proto != IPPROTO_ICMP || s->inverse & CHAIN_NOT_PROTO)
		return 0;
	if (s->sport[0] > CHAIN_ICMP_LAST || s->dport[0] > CHAIN_ICMP_LAST)
		return rules_fail(err, EINVAL, "ICMP: types and codes are %u at most",
				  CHAIN_ICMP_LAST);
	if ((s->inverse & CHAIN_NOT_SPORT && !s->sport[0] && s->sport[1] >= CHAIN_ICMP_LAST) ||
	    (s->inverse & CHAIN_NOT_DPORT && !s->dport[0] && s->dport[1] >= CHAIN_ICMP_LAST))
		return rules_fail(err, EINVAL, "ICMP: ! and all of them: never matches");
	return 0;
}

static int check_ports(const struct chain_spec *s, struct rules_error *err)
{
	bool ports = !any_range(s->sport) || !any_range(s->dport);

	if (bad_range(s->sport) || bad_range(s->dport))
		return rules_fail(err, EINVAL, "ports: the first is above the last");
	if ((s->inverse & CHAIN_NOT_SPORT && any_range(s->sport)) ||
	    (s->inverse & CHAIN_NOT_DPORT && any_range(s->dport)))
		return rules_fail(err, EINVAL, "ports: ! and all of them: never matches");
	if (ports &&
	    ((s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP && s->proto != IPPROTO_ICMP) ||
	     s->inverse & CHAIN_NOT_PROTO))
		return rules_fail(err, EINVAL, "ports: only with -p tcp, udp or icmp, without !");
	if (check_icmp(s, err))
		return -1;
	if (s->flags & CHAIN_SYN && (s->proto != IPPROTO_TCP || s->inverse & CHAIN_NOT_PROTO))
		return rules_fail(err, EINVAL, "-y: only with -p tcp, without !");
	if (s->flags & CHAIN_FRAG && !(s->inverse & CHAIN_NOT_FRAG)) {
		if (ports)
			return rules_fail(err, EINVAL, "-f: only the first fragment has ports");
		if (s->flags & CHAIN_SYN)
			return rules_fail(err, EINVAL,
					  "-f: only the first fragment has flags for "
					  "-y");
	}
	return 0;
}

/* Refuse inverses that can never match, and clear those of flags that are not tested. */
static int check_inverse(struct chain_spec *s, struct rules_error *err)
{
	if (s->inverse & CHAIN_NOT_SRC && !s->src_mask.s_addr)
		return rules_fail(err, EINVAL, "source: ! and any: never matches");
	if (s->inverse & CHAIN_NOT_DST && !s->dst_mask.s_addr)
		return rules_fail(err, EINVAL, "destination: ! and any: never matches");
	if (s->inverse & CHAIN_NOT_PROTO && !s->proto)
		return rules_fail(err, EINVAL, "protocol: ! and all: never matches");
	if (s->inverse & CHAIN_NOT_IFACE && !*s->iface)
		return rules_fail(err, EINVAL, "interface: ! and any: never matches");
	if (!(s->flags & CHAIN_SYN))
		s->inverse &= ~CHAIN_NOT_SYN;
	if (!(s->flags & CHAIN_FRAG))
		s->inverse &= ~CHAIN_NOT_FRAG;
	return 0;
}

static int check_iface(const struct chain_spec *s, struct rules_error *err)
{
	const char *at;

	if (s->iface[sizeof(s->iface) - 1])
		return rules_fail(err, EINVAL,
				  "%.16s: not an interface's name: 15 characters at "
				  "most",
				  s->iface);
	if (*s->iface == '-')
		return rules_fail(err, EINVAL, "%s: not an interface's name", s->iface);
	for (at = s->iface; *at; at++)
		if (!isgraph((unsigned char)*at) || strchr("/:*?[]!,{}#", *at))
			return rules_fail(err, EINVAL, "interface: character 0x%02x in its name",
					  (unsigned char)*at);
	return 0;
}

int chain_spec_check(const struct chain *chain, struct chain_spec *s, struct rules_error *err)
{
	s->src.s_addr &= s->src_mask.s_addr;
	s->dst.s_addr &= s->dst_mask.s_addr;
	s->inverse &= CHAIN_NOT_ALL;
	if (!*s->iface)
		s->flags &= ~CHAIN_WILD;
	if (s->proto > 255)
		return rules_fail(err, EINVAL, "protocol %u: above 255", s->proto);
	/* as ipchains(8), which names RFC 1349; the bit is one of ECN's today */
	if ((s->tos_clear | s->tos_flip) & 1)
		return rules_fail(err, EINVAL,
				  "-t %02x %02x: changes the lowest bit of the TOS, which must "
				  "stay as it is",
				  (uint8_t)~s->tos_clear, s->tos_flip);
	if (check_iface(s, err) || check_ports(s, err) || check_inverse(s, err))
		return -1;
	if (!strcmp(s->target, "DIVERT")) {
		if (!s->port)
			return rules_fail(err, EINVAL, "DIVERT: port missing");
	} else {
		s->port = 0;
	}
	return 0;
}

static int check(const struct chains *c, const struct chain *chain, struct chain_spec *spec,
		 struct rules_error *err)
{
	if (check_target(c, chain, spec, err))
		return -1;
	return chain_spec_check(chain, spec, err);
}

static struct chain_rule *new_rule(const struct chain_spec *spec, struct rules_error *err)
{
	struct chain_rule *r = calloc(1, sizeof(*r));

	if (r)
		r->spec = *spec;
	else
		no_memory(err);
	return r;
}

int chain_insert(struct chains *c, struct chain *chain, unsigned int number,
		 const struct chain_spec *given, struct rules_error *err)
{
	struct chain_spec spec = *given;
	struct chain_rule **rule, *r;

	if (check(c, chain, &spec, err))
		return -1;
	if (number == CHAIN_END)
		number = chain->n + 1;
	if (!number || number > chain->n + 1)
		return rules_fail(err, E2BIG, "%s: no rule number %u: there are %u", chain->name,
				  number, chain->n);
	if (chain->n >= CHAIN_RULES_MAX)
		return rules_fail(err, ENOSPC, "%s: too many rules, %u at most", chain->name,
				  CHAIN_RULES_MAX);
	r = new_rule(&spec, err);
	rule = r ? reallocarray(chain->rule, chain->n + 1, sizeof(*rule)) : NULL;
	if (!rule) {
		free(r);
		return no_memory(err);
	}
	chain->rule = rule;
	memmove(rule + number, rule + number - 1, (chain->n - number + 1) * sizeof(*rule));
	rule[number - 1] = r;
	chain->n++;
	return 0;
}

static int check_number(const struct chain *chain, unsigned int number, struct rules_error *err)
{
	if (number && number <= chain->n)
		return 0;
	return rules_fail(err, E2BIG, "%s: no rule number %u: there are %u", chain->name, number,
			  chain->n);
}

int chain_replace(struct chains *c, struct chain *chain, unsigned int number,
		  const struct chain_spec *given, struct rules_error *err)
{
	struct chain_spec spec = *given;
	struct chain_rule *r;

	if (check_number(chain, number, err) || check(c, chain, &spec, err))
		return -1;
	r = new_rule(&spec, err);
	if (!r)
		return -1;
	free_rule(chain->rule[number - 1]);
	chain->rule[number - 1] = r;
	return 0;
}

int chain_delete(struct chain *chain, unsigned int number, struct rules_error *err)
{
	if (check_number(chain, number, err))
		return -1;
	free_rule(chain->rule[number - 1]);
	memmove(chain->rule + number - 1, chain->rule + number,
		(chain->n - number) * sizeof(*chain->rule));
	chain->n--;
	return 0;
}

static bool same(const struct chain_spec *a, const struct chain_spec *b)
{
	return a->src.s_addr == b->src.s_addr && a->src_mask.s_addr == b->src_mask.s_addr &&
	       a->dst.s_addr == b->dst.s_addr && a->dst_mask.s_addr == b->dst_mask.s_addr &&
	       a->proto == b->proto && a->flags == b->flags && a->inverse == b->inverse &&
	       !memcmp(a->sport, b->sport, sizeof(a->sport)) &&
	       !memcmp(a->dport, b->dport, sizeof(a->dport)) && a->port == b->port &&
	       a->mark == b->mark && a->tos_clear == b->tos_clear && a->tos_flip == b->tos_flip &&
	       !strcmp(a->iface, b->iface) && !strcmp(a->target, b->target);
}

int chain_delete_same(struct chain *chain, const struct chain_spec *given, struct rules_error *err)
{
	struct chain_spec spec = *given;
	unsigned int i;

	if (chain_spec_check(chain, &spec, err))
		return -1;
	for (i = 0; i < chain->n; i++)
		if (same(&chain->rule[i]->spec, &spec))
			return chain_delete(chain, i + 1, err);
	return rules_fail(err, EINVAL, "%s: no such rule", chain->name);
}
