/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses arguments of options about header fields: values, flags, code points, owners, lookups. */
#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int parse_values(struct parser *p, struct rule_match *m, const char *word)
{
	const struct rule_kind *k = &rule_kind[m->type];
	char *copy = strdup(word), *rest = copy, *item;
	unsigned int i, n = 0;
	int rc = -1;

	m->value = calloc(list_count(word), sizeof(*m->value));
	if (!copy || !m->value) {
		rules_fail(p->err, EX_OSERR, "out of memory");
		goto out;
	}
	while ((item = list_item(&rest))) {
		if (!parse_number(item, k->max, &m->value[m->n]) ||
		    (m->n && k->argument == ARG_VALUE)) {
			rules_fail(p->err, EX_DATAERR, "%s: not a %s: expected 0 to %u", word,
				   k->argument == ARG_VALUE ? k->what : "list of flow labels",
				   k->max);
			goto out;
		}
		m->n++;
	}
	qsort(m->value, m->n, sizeof(*m->value), by_value);
	for (i = 0; i < m->n; i++)
		if (!n || m->value[i] != m->value[n - 1])
			m->value[n++] = m->value[i];
	m->n = n;
	rc = 0;
out:
	free(copy);
	return rc;
}

static const struct flag_name *find_flag(const struct rule_match *m, const char *name)
{
	const struct flag_name *f = rule_kind[m->type].flags;

	for (; f->name; f++)
		if (!strcmp(name, f->name))
			return f;
	return NULL;
}

static int bad_flag(struct parser *p, const struct rule_match *m, const char *item,
		    const char *word)
{
	const struct flag_name *f = rule_kind[m->type].flags;
	char names[128] = "";
	size_t at = 0;

	for (; f->name && at < sizeof(names); f++)
		at += snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "", f->name);
	return rules_fail(p->err, EX_DATAERR, "%s: not one of the %s: %s", *item ? item : word,
			  rule_kind[m->type].what, names);
}

static int parse_names(struct parser *p, struct rule_match *m, const char *word, bool may_clear)
{
	char *copy = strdup(word), *rest = copy, *item;
	const struct flag_name *f;
	bool clear;
	int rc = 0;

	if (!copy)
		return rules_fail(p->err, EX_OSERR, "out of memory");
	while (!rc && (item = list_item(&rest))) {
		clear = may_clear && *item == '!';
		f = find_flag(m, item + clear);
		if (!f) {
			rc = bad_flag(p, m, item, word);
			break;
		}
		if (clear)
			m->flags.clear |= f->flag;
		else
			m->flags.set |= f->flag;
	}
	free(copy);
	return rc;
}

int parse_flags(struct parser *p, struct rule_match *m, const char *word)
{
	if (parse_names(p, m, word, true))
		return -1;
	if (m->type == RULE_TCPFLAGS && m->flags.set == TH_SYN && m->flags.clear == TH_ACK)
		m->type = RULE_SETUP;
	return 0;
}

int parse_any(struct parser *p, struct rule_match *m, const char *word)
{
	return parse_names(p, m, word, false);
}

/* ---- code points ---- */

static const struct {
	const char *name;
	uint8_t value;
} dscps[] = {
	{"be", 0},    {"cs0", 0},   {"cs1", 8},	  {"af11", 10}, {"af12", 12}, {"af13", 14},
	{"cs2", 16},  {"af21", 18}, {"af22", 20}, {"af23", 22}, {"cs3", 24},  {"af31", 26},
	{"af32", 28}, {"af33", 30}, {"cs4", 32},  {"af41", 34}, {"af42", 36}, {"af43", 38},
	{"cs5", 40},  {"va", 44},   {"ef", 46},	  {"cs6", 48},	{"cs7", 56},
};

#define N_DSCPS (sizeof(dscps) / sizeof(*dscps))

const char *dscp_name(unsigned int v)
{
	unsigned int i;

	for (i = 0; i < N_DSCPS; i++)
		if (dscps[i].value == v)
			return dscps[i].name;
	return NULL;
}

static bool dscp_value(const char *name, uint32_t *v)
{
	unsigned int i;

	if (parse_number(name, 63, v))
		return true;
	for (i = 0; i < N_DSCPS; i++)
		if (!strcasecmp(name, dscps[i].name)) {
			*v = dscps[i].value;
			return true;
		}
	return false;
}

int parse_dscp(struct parser *p, struct rule_match *m, const char *word)
{
	char *copy = strdup(word), *rest = copy, *item;
	uint64_t all = 0;
	uint32_t v;

	m->range = calloc(64, sizeof(*m->range));
	if (!copy || !m->range) {
		free(copy);
		return rules_fail(p->err, EX_OSERR, "out of memory");
	}
	while ((item = list_item(&rest))) {
		if (!dscp_value(item, &v)) {
			rules_fail(p->err, EX_DATAERR,
				   "%s: not a code point: expected 0 to 63, be, ef, va, cs0 to cs7 "
				   "or af11 to af43",
				   *item ? item : word);
			free(copy);
			return -1;
		}
		all |= 1ull << v;
	}
	free(copy);
	for (v = 0; v < 64; v++)
		if (all >> v & 1) {
			m->range[m->n].lo = m->range[m->n].hi = v;
			m->n++;
		}
	return 0;
}

/* ---- owners ---- */

int parse_owner(struct parser *p, struct rule_match *m, const char *word)
{
	bool user = m->type == RULE_UID;
	const struct passwd *pw;
	const struct group *gr;

	m->value = calloc(1, sizeof(*m->value));
	if (!m->value)
		return rules_fail(p->err, EX_OSERR, "out of memory");
	m->n = 1;
	if (parse_number(word, rule_kind[m->type].max, m->value))
		return 0;
	if (!isdigit((unsigned char)*word)) {
		pw = user ? getpwnam(word) : NULL;
		gr = user ? NULL : getgrnam(word);
		if (pw || gr) {
			*m->value = pw ? pw->pw_uid : gr->gr_gid;
			return 0;
		}
	}
	return rules_fail(p->err, EX_DATAERR, "%s: unknown %s", word, rule_kind[m->type].what);
}

/* ---- lookups ---- */

static const char *const lookups[] = {
	[RULE_LOOKUP_SRC] = "src-ip",	  [RULE_LOOKUP_DST] = "dst-ip",
	[RULE_LOOKUP_SPORT] = "src-port", [RULE_LOOKUP_DPORT] = "dst-port",
	[RULE_LOOKUP_UID] = "uid",	  [RULE_LOOKUP_DSCP] = "dscp",
	[RULE_LOOKUP_MARK] = "fwmark",
};

#define N_LOOKUPS (sizeof(lookups) / sizeof(*lookups))

const char *lookup_name(enum rule_lookup key)
{
	return lookups[key];
}

int parse_lookup(struct parser *p, struct rule_match *m, const char *word)
{
	unsigned int i;

	for (i = 0; i < N_LOOKUPS && strcmp(word, lookups[i]); i++)
		;
	if (i == N_LOOKUPS && absent_lookup(word, p->err))
		return -1;
	if (i == N_LOOKUPS)
		return rules_fail(p->err, EX_DATAERR,
				  "%s: cannot be looked up; expected src-ip, dst-ip, src-port, "
				  "dst-port, uid, dscp or fwmark",
				  word);
	m->lookup.key = i;
	word = parser_next(p, "table");
	if (!word)
		return -1;
	return parse_table(p, &m->lookup.table, word);
}
