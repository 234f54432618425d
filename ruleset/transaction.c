// SPDX-License-Identifier: BSD-2-Clause
#include "transaction.h"

#include <errno.h>
#include <stdlib.h>

static int refuse_engine(struct rules_error *err, int rc)
{
	return rules_fail(err, rc == -EACCES ? EPERM : -rc, "%s", engine_error());
}

/* ---- opening ---- */

struct dead {
	struct engine *engine;
	int rc;
};

static bool is_dead(const struct rule *r, void *arg)
{
	struct dead *d = arg;
	int rc;

	if (!r->owner || d->rc < 0)
		return false;
	rc = engine_slot_alive(d->engine, r->owner - 1);
	if (rc < 0)
		d->rc = rc;
	return !rc;
}

/* Remove rules whose owner, a process, has ended. The kernel half already skips them. */
static int drop_dead(struct transaction *c)
{
	struct dead d = {.engine = &c->engine};

	c->replaced = rules_delete_if(&c->rules, is_dead, &d) > 0;
	return d.rc;
}

static int load(struct transaction *c, bool afresh, struct rules_error *err)
{
	char *source = NULL;
	uint32_t len = 0;
	int rc = engine_rules_get(&c->engine, &source, &len);

	if (rc < 0)
		return refuse_engine(err, rc);
	rc = rules_load(&c->rules, source, len, err);
	free(source);
	if (rc && afresh)
		return 0;
	if (rc) {
		err->status = EPROTO;
		return -1;
	}
	rc = drop_dead(c);
	return rc < 0 ? refuse_engine(err, rc) : 0;
}

struct transaction *transaction_open(unsigned int flags, struct rules_error *err)
{
	struct transaction *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		rules_fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	rules_init(&c->rules);
	c->soon = flags & TRANSACTION_SOON;
	if (flags & TRANSACTION_ALONE)
		return c;
	rc = engine_open(&c->engine, flags & (ENGINE_LOAD | ENGINE_LOCK));
	if (rc == -ENOENT && !(flags & ENGINE_LOAD))
		return c;
	c->open = !rc;
	if (rc)
		refuse_engine(err, rc);
	else
		rc = load(c, flags & TRANSACTION_AFRESH, err);
	if (!rc)
		return c;
	transaction_close(c);
	return NULL;
}

void transaction_close(struct transaction *c)
{
	if (c->open)
		engine_close(&c->engine);
	rules_free(&c->rules);
	free(c);
}

/* ---- committing ---- */

static int add_ports(struct transaction *c, struct rules_error *err)
{
	uint32_t *port = calloc(c->rules.n + 1, sizeof(*port));
	int rc;

	if (!port)
		return rules_fail(err, ENOMEM, "out of memory");
	rc = engine_ports_add(&c->engine, port, rules_ports(&c->rules, port));
	free(port);
	return rc < 0 ? refuse_engine(err, rc) : 0;
}

static int zero_fresh(struct transaction *c, struct rules_error *err)
{
	uint32_t i;
	int rc;

	for (i = 0; i < DIVERT_RULES_MAX; i++) {
		if (!c->fresh[i])
			continue;
		rc = engine_counter_zero(&c->engine, i, NULL);
		if (!rc)
			rc = engine_log_reset(&c->engine, i);
		if (rc < 0)
			return refuse_engine(err, rc);
		c->fresh[i] = 0;
	}
	return 0;
}

struct warning {
	void (*tell)(const char *name, const char *why, void *arg);
	bool told;
};

static void warn(const char *name, const char *why, void *arg)
{
	struct warning *w = arg;

	w->told = true;
	if (w->tell)
		w->tell(name, why, NULL);
}

/*
 * Attach the hooks first that the rules need. Hooks that they do not need stay, because the next
 * change may need them; see also engine.h.
 */
static int put(struct transaction *c, const struct engine_rules *r, struct warning *w,
	       struct rules_error *err)
{
	int rc, set;

	/* an interface that cannot be hooked does not keep the rules from being put in place */
	if (engine_attach_ahead(&c->engine, r, warn, w) < 0 && !w->told)
		warn("", engine_error(), w);
	rc = add_ports(c, err) || zero_fresh(c, err) ? -1 : 0;
	set = rc ? 0 : engine_rules_set(&c->engine, r);
	if (set < 0)
		rc = refuse_engine(err, set);
	return rc;
}

int transaction_commit(struct transaction *c,
		       void (*tell)(const char *name, const char *why, void *arg),
		       struct rules_error *err)
{
	struct engine_rules r = {.soon = c->soon};
	struct warning w = {.tell = tell};
	struct rules_compiled code;
	int rc;

	if (!c->open)
		return 0;
	rc = rules_compile(&c->rules, &code);
	if (rc < 0)
		return rules_fail(err, -rc, "%s",
				  rc == -E2BIG ? "the rule set is too large" : "out of memory");
	rc = rules_save(&c->rules, &r.source, &r.source_len);
	if (rc < 0) {
		rc = rules_fail(err, ENOMEM, "out of memory");
		goto out;
	}
	r.insn = code.insn;
	r.insns = code.insns;
	r.entry = code.entry;
	r.entries = code.entries;
	rc = put(c, &r, &w, err);
	if (!rc)
		c->replaced = false;
out:
	rules_compiled_free(&code);
	free(r.source);
	return rc;
}

static void look(const struct engine_iface *i, void *arg)
{
	const struct warning *w = arg;

	if (*i->warning)
		w->tell(i->name, i->warning, NULL);
}

void transaction_look(struct transaction *c,
		      void (*tell)(const char *name, const char *why, void *arg))
{
	struct warning w = {.tell = tell};

	if (c->open && c->rules.n)
		engine_look(&c->engine, look, &w);
}
