/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule set out of the engine, and back into it as a whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipfw.h"
#include "lib/dead.h"

static int engine_fail(int rc, struct rules_error *err)
{
	if (rc == -EPERM || rc == -EACCES)
		return fail(err, EX_UNAVAILABLE,
			    "Operation not permitted: needs root (CAP_NET_ADMIN, CAP_NET_RAW, "
			    "CAP_BPF and CAP_PERFMON)");
	return fail(err, rc == -EPROTO ? EX_UNAVAILABLE : EX_OSERR, "%s", engine_error());
}

/* Without an engine there are no rules. It is loaded if rules are to be added. */
int session_open(struct session *s, const struct script *script, struct rules_error *err)
{
	unsigned int flags = script->adds ? ENGINE_LOAD : 0;
	char *source = NULL;
	uint32_t len = 0;
	int rc;

	if (script->writes)
		flags |= ENGINE_LOCK;
	rc = engine_open(&s->engine, flags);
	if (rc == -ENOENT && !script->adds)
		return 0;
	if (rc < 0)
		return engine_fail(rc, err);
	s->open = true;
	rc = engine_rules_get(&s->engine, &source, &len);
	if (rc < 0)
		return engine_fail(rc, err);
	rc = rules_load(&s->rules, source, len, err);
	free(source);
	if (rc && script->first && script->first->op == CMD_FLUSH)
		return 0; /* the way out of a damaged set */
	if (rc)
		return rc;
	rc = drop_dead(&s->engine, &s->rules);
	if (rc < 0)
		return engine_fail(rc, err);
	s->changed = rc > 0 && script->writes;
	return 0;
}

static void warn_interface(const char *name, const char *why, void *arg)
{
	*(bool *)arg = true;
	fprintf(stderr, "ipfw: warning: %s\n", why); /* which names it */
}

/* Interfaces that appeared since. One that cannot be hooked does not keep the rules away. */
static void attach(struct session *s)
{
	bool told = false;

	if (engine_attach(&s->engine, 0, warn_interface, &told) < 0 && !told)
		fprintf(stderr, "ipfw: warning: %s\n", engine_error());
}

static int add_ports(struct session *s, struct rules_error *err)
{
	const struct rule *r;
	unsigned int i;
	int rc;

	for (i = 0; i < s->rules.n; i++) {
		r = s->rules.rule[i];
		if ((r->action != RULE_DIVERT && r->action != RULE_TEE) || r->tablearg)
			continue;
		rc = engine_port_add(&s->engine, r->arg);
		if (rc < 0)
			return engine_fail(rc, err);
	}
	return 0;
}

static int zero_counters(struct session *s, enum zero which, struct rules_error *err)
{
	uint32_t i;
	int rc;

	for (i = 0; i < DIVERT_RULES_MAX; i++) {
		if (!(s->zero[i] & which))
			continue;
		rc = s->zero[i] & (ZERO_NEW | ZERO_ASKED) ? engine_counter_zero(&s->engine, i) : 0;
		if (!rc && s->zero[i] & (ZERO_NEW | ZERO_LOG))
			rc = engine_log_reset(&s->engine, i);
		if (rc < 0)
			return engine_fail(rc, err);
	}
	return 0;
}

static int put_rules(struct session *s, struct rules_error *err)
{
	struct engine_rules r = {0};
	struct rules_compiled code;
	int rc;

	rc = rules_compile(&s->rules, &code);
	if (rc < 0)
		return fail(err, EX_OSERR, "%s",
			    rc == -E2BIG ? "the rule set is too large" : "out of memory");
	rc = rules_save(&s->rules, &r.source, &r.source_len);
	if (rc < 0) {
		rc = fail(err, EX_OSERR, "out of memory");
		goto out;
	}
	r.insn = code.insn;
	r.insns = code.insns;
	r.entry = code.entry;
	r.entries = code.entries;
	rc = engine_rules_set(&s->engine, &r);
	if (rc < 0)
		rc = engine_fail(rc, err);
out:
	rules_compiled_free(&code);
	free(r.source);
	return rc;
}

int session_commit(struct session *s, struct rules_error *err)
{
	if (!s->open)
		return tables_commit(s, err);
	if (s->changed)
		attach(s);
	/* entries first: rules find them there */
	if (tables_commit(s, err))
		return -1;
	if (s->changed &&
	    (add_ports(s, err) || zero_counters(s, ZERO_NEW, err) || put_rules(s, err)))
		return -1;
	return zero_counters(s, ZERO_ASKED | ZERO_LOG, err);
}

void session_close(struct session *s)
{
	if (s->open)
		engine_close(&s->engine);
	rules_free(&s->rules);
}
