// SPDX-License-Identifier: BSD-2-Clause
#include "change.h"

#include <errno.h>
#include <stdlib.h>

static int refuse_engine(struct rules_error *err, int rc)
{
	return rules_fail(err, rc == -EACCES ? EPERM : -rc, "%s", engine_error());
}

/* ---- taking it out ---- */

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

/* Rules that went with a process which has ended: the kernel half passes them by, here they go. */
static int drop_dead(struct change *c)
{
	struct dead d = {.engine = &c->engine};

	c->replaced = rules_delete_if(&c->rules, is_dead, &d) > 0;
	return d.rc;
}

static int load(struct change *c, bool afresh, struct rules_error *err)
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

struct change *change_open(unsigned int flags, struct rules_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		rules_fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	rules_init(&c->rules);
	c->soon = flags & CHANGE_SOON;
	if (flags & CHANGE_ALONE)
		return c;
	rc = engine_open(&c->engine, flags & (ENGINE_LOAD | ENGINE_LOCK));
	if (rc == -ENOENT && !(flags & ENGINE_LOAD))
		return c;
	c->open = !rc;
	if (rc)
		refuse_engine(err, rc);
	else
		rc = load(c, flags & CHANGE_AFRESH, err);
	if (!rc)
		return c;
	change_close(c);
	return NULL;
}

void change_close(struct change *c)
{
	if (c->open)
		engine_close(&c->engine);
	rules_free(&c->rules);
	free(c);
}

/* ---- putting it back ---- */

static int add_ports(struct change *c, struct rules_error *err)
{
	uint32_t *port = calloc(c->rules.n + 1, sizeof(*port));
	int rc;

	if (!port)
		return rules_fail(err, ENOMEM, "out of memory");
	rc = engine_ports_add(&c->engine, port, rules_ports(&c->rules, port));
	free(port);
	return rc < 0 ? refuse_engine(err, rc) : 0;
}

static int zero_fresh(struct change *c, struct rules_error *err)
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

static int put(struct change *c, struct rules_error *err)
{
	struct engine_rules r = {.soon = c->soon};
	struct rules_compiled code;
	int rc = rules_compile(&c->rules, &code);

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
	rc = engine_rules_set(&c->engine, &r);
	if (rc < 0)
		rc = refuse_engine(err, rc);
out:
	rules_compiled_free(&code);
	free(r.source);
	return rc;
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

int change_commit(struct change *c, void (*tell)(const char *name, const char *why, void *arg),
		  struct rules_error *err)
{
	struct warning w = {.tell = tell};

	if (!c->open)
		return 0;
	/* interfaces that appeared since; one that cannot be hooked does not keep the rules away */
	if (engine_attach(&c->engine, 0, warn, &w) < 0 && !w.told)
		warn("", engine_error(), &w);
	if (add_ports(c, err) || zero_fresh(c, err) || put(c, err))
		return -1;
	c->replaced = false;
	return 0;
}

static void look(const struct engine_iface *i, void *arg)
{
	const struct warning *w = arg;

	if (*i->warning)
		w->tell(i->name, i->warning, NULL);
}

void change_look(struct change *c, void (*tell)(const char *name, const char *why, void *arg))
{
	struct warning w = {.tell = tell};

	if (c->open && c->rules.n)
		engine_look(&c->engine, look, &w);
}
