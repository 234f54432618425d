// SPDX-License-Identifier: BSD-2-Clause
#include "held.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "no_listener.h"

int held_rule_parse(const char *words, struct rule **rule, struct rules_error *err)
{
	if (rule_parse(words, rule, err))
		return -1;
	if (!rule_add_bypass(*rule))
		return 0;
	rule_free(*rule);
	return rules_fail(err, ENOMEM, "out of memory");
}

/* An unused ring: the kernel half notices when its last descriptor is closed. */
static int make_owner(struct transaction *c, uint32_t *slot, struct rules_error *err)
{
	char why[ENGINE_ERROR_MAX];
	int rc, fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "divert_ring", 0, 0,
				    sysconf(_SC_PAGESIZE), NULL);

	rc = fd < 0 ? -errno : engine_owner_add(&c->engine, fd, slot);
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	engine_reason(rc, why, sizeof(why));
	return rules_fail(err, -rc, "the program's hold on its rules: %s", why);
}

static int add(struct transaction *c, struct rule **rule, unsigned int n, uint16_t *number,
	       uint32_t slot, struct rules_error *err)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		rule[i]->owner = slot + 1;
		if (rules_add(&c->rules, rule[i], err))
			return -1;
		c->fresh[rule[i]->counter] = 1;
		if (number)
			number[i] = rule[i]->number;
		rule[i] = NULL;
	}
	return 0;
}

static void tell_interfaces(const struct rule *r,
			    void (*tell)(const char *name, const char *why, void *arg))
{
	const struct rule_match *m;
	char text[NO_LISTENER_TEXT];

	for (m = r->match; m; m = m->next)
		if ((m->type == RULE_VIA || m->type == RULE_RECV || m->type == RULE_XMIT) &&
		    m->iface.kind == RULE_IFACE_NAME &&
		    unseen_interface(rules_iface_name(m->iface.name), text))
			tell(m->iface.name, text, NULL);
}

int held_rules_add(struct rule **rule, unsigned int n, uint16_t *number,
		   void (*tell)(const char *name, const char *why, void *arg),
		   struct rules_error *err)
{
	struct transaction *c = transaction_open(ENGINE_LOAD | ENGINE_LOCK, err);
	unsigned int i;
	uint32_t slot;
	int fd = -1;

	if (!c)
		return -1;
	for (i = 0; i < n; i++)
		tell_interfaces(rule[i], tell);
	/* Commit first: no rule may name an owner that has ended, whose slot may be used again. */
	if (!c->replaced || !transaction_commit(c, NULL, err))
		fd = make_owner(c, &slot, err);
	if (fd >= 0 && (add(c, rule, n, number, slot, err) || transaction_commit(c, tell, err))) {
		close(fd);
		fd = -1;
	}
	transaction_close(c);
	return fd;
}

/* A failure leaves rules that do not match; the next change removes them. */
void held_rules_end(int fd)
{
	struct rules_error err;
	struct transaction *c;

	close(fd);
	c = transaction_open(ENGINE_LOCK, &err);
	if (!c)
		return;
	if (c->replaced)
		transaction_commit(c, NULL, &err);
	transaction_close(c);
}
