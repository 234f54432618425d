// SPDX-License-Identifier: BSD-2-Clause
/* Rules that programs add themselves, in the syntax of ipfw(8). */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "divert.h"
#include "engine/thread.h"
#include "lib/core/socket.h"
#include "rule_owner.h"
#include "ruleset/transaction.h"

/* This thread's error. Threads for which there is no memory share one. */
static struct rules_error *error(void)
{
	static struct thread_memory errors = THREAD_MEMORY;
	static struct rules_error shared;
	struct rules_error *err = thread_memory(&errors, sizeof(*err));

	return err ? err : &shared;
}

const char *divert_rule_error(void)
{
	return error()->text;
}

static int refuse(int number, const char *text)
{
	struct rules_error *err = error();

	err->status = number;
	snprintf(err->text, sizeof(err->text), "%s", text);
	return fail(number);
}

/* Translate the rules module's error, which is an exit status, to errno. */
static int refuse_rule(void)
{
	switch (error()->status) {
	case EX_OSERR:
		return fail(ENOMEM);
	case EX_UNAVAILABLE:
		return fail(ENOSPC);
	}
	return fail(EINVAL);
}

/* Skip "add", which is not part of a rule, but people copy it along. */
static const char *behind_add(const char *words)
{
	while (isspace((unsigned char)*words))
		words++;
	if (!strncmp(words, "add", 3) && isspace((unsigned char)words[3]))
		words += 3;
	return words;
}

/* -1: failed; error() says why, with an errno as status. */
static int own(struct transaction *c, struct rule *r)
{
	char why[ENGINE_ERROR_MAX];
	uint32_t slot;
	int rc;

	/* commit first, so that no rule refers to an ended owner, whose slot may be reused */
	if (c->replaced && transaction_commit(c, NULL, error()))
		return -1;
	rc = rule_owner_slot(&c->engine, &slot);
	if (rc) {
		engine_reason(rc, why, sizeof(why));
		return rules_fail(error(), -rc, "the process's hold on its rules: %s", why);
	}
	r->owner = slot + 1;
	return 0;
}

static int add(struct transaction *c, struct rule *r, int flags)
{
	if (r->number == RULES_DEFAULT) {
		rule_free(r);
		return refuse(EINVAL, "65535: the default rule's number; expected 1 to 65534");
	}
	if (flags & DIVERT_RULE_OWNED && own(c, r)) {
		rule_free(r);
		return fail(error()->status);
	}
	if (rules_add(&c->rules, r, error())) {
		rule_free(r);
		return refuse_rule();
	}
	c->fresh[r->counter] = 1;
	return transaction_commit(c, NULL, error()) ? fail(error()->status) : r->number;
}

int divert_rule_add(const char *words, int flags)
{
	struct transaction *c;
	struct rule *r;
	int rc, saved;

	if (flags & ~DIVERT_RULE_OWNED)
		return refuse(EINVAL, "unknown flags");
	if (!words)
		return refuse(EFAULT, "the words are NULL; expected those of ipfw(8)");
	if (rule_parse(behind_add(words), &r, error()))
		return refuse_rule();
	c = transaction_open(ENGINE_LOAD | ENGINE_LOCK, error());
	if (!c) {
		rule_free(r);
		return fail(error()->status);
	}
	rc = add(c, r, flags);
	saved = errno;
	transaction_close(c);
	errno = saved;
	return rc;
}

/* ---- deleting ---- */

struct choice {
	unsigned int number;
	uint16_t owner; /* 0: any owner */
	bool chain;	/* a rule of this number belongs to a chain */
};

static bool is_chosen(const struct rule *r, void *arg)
{
	struct choice *c = arg;

	if (r->number != c->number || (c->owner && r->owner != c->owner))
		return false;
	if (r->chain)
		c->chain = true;
	return !r->chain;
}

static int delete (struct transaction *c, struct choice *choice, int flags)
{
	uint32_t slot;

	if (flags & DIVERT_RULE_OWNED) {
		if (!c->open || !rule_owner_has(&c->engine, &slot))
			return refuse(ENOENT, "no such rule of this process");
		choice->owner = slot + 1;
	}
	if (!rules_delete_if(&c->rules, is_chosen, choice))
		return choice->chain ? refuse(EBUSY, "it is part of an ipchains chain")
				     : refuse(ENOENT, "no such rule");
	return transaction_commit(c, NULL, error()) ? fail(error()->status) : 0;
}

int divert_rule_delete(int number, int flags)
{
	struct choice choice = {.number = number};
	struct transaction *c;
	int rc, saved;

	if (flags & ~DIVERT_RULE_OWNED)
		return refuse(EINVAL, "unknown flags");
	if (number < 1 || number >= RULES_DEFAULT) {
		rules_fail(error(), EINVAL, "rule %d: expected 1 to 65534", number);
		return fail(EINVAL);
	}
	c = transaction_open(ENGINE_LOCK, error());
	if (!c)
		return fail(error()->status);
	rc = delete (c, &choice, flags);
	saved = errno;
	transaction_close(c);
	errno = saved;
	return rc;
}
