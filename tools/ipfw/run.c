/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs commands on the rule model; the engine gets the result once. */
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"

static int run_add(struct session *s, struct command *c, struct rules_error *err)
{
	struct rule *r = c->rule;
	char *text;

	if (refuse_own_hop(r, err))
		return -1;
	/* the last line of ipfw list, entered again */
	if (r->number != RULES_DEFAULT || strcmp(r->text, RULES_DEFAULT_TEXT)) {
		if (rules_add(&s->change->rules, r, err))
			return -1;
		c->rule = NULL;
		s->change->fresh[r->counter] = 1;
		s->zero[r->counter] = 0;
		s->added[r->counter] = !c->options.quiet;
		s->changed = true;
	}
	tell_interfaces(s, r);
	if (!c->options.quiet) {
		if (r->never)
			fprintf(stderr, "ipfw: the rule never matches: %s\n", r->never);
		text = rule_print(r, RULE_PRINT_LIST | c->options.print);
		if (!text)
			return rules_fail(err, EX_OSERR, "out of memory");
		fprintf(s->out, "%05u ", r->number);
		if (r->set)
			fprintf(s->out, "set %u ", r->set);
		fprintf(s->out, "%s\n", text);
		free(text);
	}
	return 0;
}

/*
 * Refuse to change rules of chains: they are derived from the chains, and only ipchains can change
 * them.
 */
static int refuse_chain(const struct session *s, const struct span *span, struct rules_error *err)
{
	const struct rule *r;
	unsigned int i;

	for (i = 0; i < s->change->rules.n; i++) {
		r = s->change->rules.rule[i];
		if (r->chain && r->number >= span->first && r->number <= span->last)
			return rules_fail(err, EX_UNAVAILABLE,
					  "rule %u: part of a chain, use ipchains: %s", r->number,
					  r->comment ? r->comment : "");
	}
	return 0;
}

static int run_delete(struct session *s, const struct command *c, struct rules_error *err)
{
	unsigned int i;

	if (c->options.states_only) /* as FreeBSD: the rules stay */
		return delete_states(s, c, err);
	for (i = 0; i < c->n; i++) {
		if (c->span[i].first == RULES_DEFAULT)
			return rules_fail(err, EX_UNAVAILABLE,
					  "rule 65535: the default rule cannot be deleted");
		if (!c->options.quiet && !span_has_rules(&s->change->rules, &c->span[i], c->set))
			return no_such_rule(&c->span[i], err);
		if (c->set == NO_SET && refuse_chain(s, &c->span[i], err))
			return -1;
	}
	if (!c->n && !rules_delete_set(&s->change->rules, c->set, 1, RULES_DEFAULT) &&
	    !c->options.quiet)
		return rules_fail(err, EX_UNAVAILABLE, "set %d: no rules in it", c->set);
	for (i = 0; i < c->n; i++) {
		if (c->set == NO_SET)
			rules_delete(&s->change->rules, c->span[i].first, c->span[i].last);
		else
			rules_delete_set(&s->change->rules, c->set, c->span[i].first,
					 c->span[i].last);
	}
	s->changed = true;
	return 0;
}

static void mark_span(struct session *s, const struct span *span, int set, enum zero what)
{
	const struct rule *r;
	unsigned int i;

	for (i = 0; i < s->change->rules.n; i++) {
		r = s->change->rules.rule[i];
		if (r->number >= span->first && r->number <= span->last &&
		    (set == NO_SET || r->set == set))
			s->zero[r->counter] |= what;
	}
	if (span->last == RULES_DEFAULT && set == NO_SET)
		s->zero[0] |= what;
}

/* zero, resetlog */
static int run_zero(struct session *s, const struct command *c, struct rules_error *err)
{
	static const struct span all = {1, RULES_DEFAULT};
	bool log = c->op == CMD_RESETLOG;
	enum zero what = log ? ZERO_LOG : ZERO_ASKED | ZERO_LOG;
	unsigned int i;

	for (i = 0; i < c->n; i++)
		if (c->span[i].last != RULES_DEFAULT &&
		    !span_has_rules(&s->change->rules, &c->span[i], c->set))
			return no_such_rule(&c->span[i], err);
	for (i = 0; i < c->n; i++) {
		mark_span(s, &c->span[i], c->set, what);
		if (c->options.quiet)
			continue;
		if (c->span[i].first == c->span[i].last)
			fprintf(s->out,
				log ? "Entry %u logging count reset.\n" : "Entry %u cleared.\n",
				c->span[i].first);
		else
			fprintf(s->out,
				log ? "Entries %u-%u logging counts reset.\n"
				    : "Entries %u-%u cleared.\n",
				c->span[i].first, c->span[i].last);
	}
	if (!c->n) {
		mark_span(s, &all, c->set, what);
		if (!c->options.quiet)
			fputs(log ? "Logging counts reset.\n" : "Accounting cleared.\n", s->out);
	}
	return 0;
}

static int run_flush(struct session *s, const struct command *c, struct rules_error *err)
{
	if (c->options.states_only)
		return delete_states(s, c, err);
	if (c->set == NO_SET)
		rules_flush_sets(&s->change->rules);
	else
		rules_delete_set(&s->change->rules, c->set, 1, RULES_DEFAULT);
	s->changed = true;
	if (!c->options.quiet && !c->options.check)
		fprintf(s->out, c->set == NO_SET ? "Flushed all rules.\n" : "Flushed set.\n");
	return 0;
}

static int run(struct session *s, struct command *c, struct rules_error *err)
{
	switch (c->op) {
	case CMD_ADD:
		return run_add(s, c, err);
	case CMD_DELETE:
		return run_delete(s, c, err);
	case CMD_LIST:
	case CMD_SHOW:
		return list_rules(s, c, err);
	case CMD_ZERO:
	case CMD_RESETLOG:
		return run_zero(s, c, err);
	case CMD_FLUSH:
		return run_flush(s, c, err);
	case CMD_ENABLE:
	case CMD_DISABLE:
		s->change->rules.off = c->op == CMD_DISABLE;
		s->changed = true;
		return 0;
	case CMD_SET:
		return run_set(s, c, err);
	case CMD_TABLE:
		return run_table(s, c, err);
	case CMD_LOG:
		return run_log(s, c, err);
	}
	return 0;
}

int script_run(struct script *script, struct options options, unsigned int *line,
	       struct rules_error *err)
{
	struct session *s = calloc(1, sizeof(*s));
	struct command *c;
	char *text = NULL;
	size_t len;
	int rc = -1;

	*line = 0;
	if (!script->first) { /* an empty file */
		free(s);
		return 0;
	}
	if (!s)
		return rules_fail(err, EX_OSERR, "out of memory");
	s->out = open_memstream(&text, &len);
	if (!s->out) {
		rules_fail(err, EX_OSERR, "out of memory");
		goto out;
	}
	if (session_open(s, script, options.check, err))
		goto out;
	for (c = script->first; c; c = c->next) {
		/* -n does not read the rules: for other commands only the numbers were checked */
		if (options.check && c->op != CMD_ADD && c->op != CMD_FLUSH &&
		    (c->op != CMD_TABLE || strcmp(c->word[1], "create")))
			continue;
		if (!run(s, c, err) ||
		    (options.check && c->line && !script_refuse(script, c->line, err)))
			continue;
		*line = c->line;
		goto out;
	}
	rc = options.check ? 0 : session_commit(s, err);
	if (!rc && s->change->open)
		tell_no_listener(s);
	if (!rc && !script->writes)
		transaction_look(s->change, warn_interface);
out:
	if (!rc && fflush(s->out))
		rc = rules_fail(err, EX_OSERR, "out of memory");
	if (!rc && (fputs(text, stdout) == EOF || fflush(stdout)))
		rc = rules_fail(err, EX_IOERR, "writing the output failed");
	if (s->out)
		fclose(s->out); /* it may leave no text */
	free(text);
	tables_free(s);
	session_close(s);
	free(s->name);
	free(s);
	return rc;
}
