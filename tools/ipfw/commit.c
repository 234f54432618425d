/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the rule set from the engine, and writes it back as a whole. */
#include <errno.h>
#include <string.h>

#include "ipfw.h"

/* The library's errors are errnos, ipfw's are exit statuses. */
static int change_failed(struct rules_error *err)
{
	bool refused = err->status == EPERM || err->status == EPROTO;

	err->status = refused ? EX_UNAVAILABLE : EX_OSERR;
	return -1;
}

/* Without an engine there are no rules. Load it only to add some. */
int session_open(struct session *s, const struct script *script, bool check,
		 struct rules_error *err)
{
	unsigned int flags = TRANSACTION_SOON;

	if (script->adds)
		flags |= ENGINE_LOAD;
	if (script->writes)
		flags |= ENGINE_LOCK;
	if (script->first->op == CMD_FLUSH) /* the way to repair a damaged set */
		flags |= TRANSACTION_AFRESH;
	s->change = transaction_open(check ? TRANSACTION_ALONE : flags, err);
	if (!s->change)
		return change_failed(err);
	s->changed = s->change->replaced && script->writes;
	s->last_table = s->change->rules.last_table;
	return 0;
}

void warn_interface(const char *name, const char *why, void *arg)
{
	fprintf(stderr, "ipfw: warning: %s\n", why); /* `why` names the interface */
}

static int zero_counters(struct session *s, struct rules_error *err)
{
	uint32_t i;
	int rc;

	for (i = 0; i < DIVERT_RULES_MAX; i++) {
		rc = 0;
		if (s->zero[i] & ZERO_ASKED)
			rc = engine_counter_zero(&s->change->engine, i, NULL);
		if (!rc && s->zero[i] & ZERO_LOG)
			rc = engine_log_reset(&s->change->engine, i);
		if (rc < 0)
			return rules_fail(err, EX_OSERR, "%s", engine_error());
	}
	return 0;
}

static int commit(struct session *s, struct rules_error *err)
{
	/* entries first, because the new rules look them up */
	if (tables_commit(s, err))
		return -1;
	if (s->changed && transaction_commit(s->change, warn_interface, err))
		return change_failed(err);
	return 0;
}

int session_commit(struct session *s, struct rules_error *err)
{
	struct rules_error why;

	if (!s->change->open)
		return tables_commit(s, err);
	if (commit(s, err)) {
		tables_sweep(s, false, &why); /* the reason is reported already */
		return -1;
	}
	return tables_sweep(s, true, err) || zero_counters(s, err) ? -1 : 0;
}

void session_close(struct session *s)
{
	if (s->change)
		transaction_close(s->change);
}
