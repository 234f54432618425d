// SPDX-License-Identifier: BSD-2-Clause
/* divertctl upgrade: replaces another version's engine by this version's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "divertctl.h"
#include "engine/engine.h"
#include "rules/rules.h"

static void tell(const char *name, const char *why, void *arg)
{
	fprintf(stderr, "divertctl: warning: %s\n", why);
}

/* Add port entries for the rules, so that their packets are counted from now on. */
static int add_ports(struct engine *e, const struct rules *rules)
{
	uint32_t *port = calloc(rules->n + 1, sizeof(*port));
	int rc;

	if (!port)
		return -ENOMEM;
	rc = engine_ports_add(e, port, rules_ports(rules, port));
	free(port);
	return rc;
}

static int put_rules(struct engine *e, const struct rules *rules)
{
	struct rules_compiled code = {};
	struct engine_rules r = {};
	int rc;

	rc = rules_compile(rules, &code);
	if (!rc)
		rc = rules_save(rules, &r.source, &r.source_len);
	if (rc) {
		fprintf(stderr, "divertctl: the rules: %s\n", strerror(-rc));
		rules_compiled_free(&code);
		return EXIT_FAILED;
	}
	r.insn = code.insn;
	r.insns = code.insns;
	r.entry = code.entry;
	r.entries = code.entries;
	rc = add_ports(e, rules);
	if (!rc)
		rc = engine_rules_set(e, &r);
	rules_compiled_free(&code);
	free(r.source);
	return rc ? engine_failed(rc) : EXIT_OK;
}

/* Is the rule owned by a process? It ends with the old engine. */
static bool is_owned(const struct rule *r, void *arg)
{
	return r->owner;
}

/* Load the old engine's rules and compile them again. */
static int move_rules(struct engine_upgrade *u)
{
	struct rules_error err;
	struct rules *rules;
	char *source = NULL;
	uint32_t len;
	int rc;

	rc = engine_rules_get(&u->old, &source, &len);
	if (rc)
		return engine_failed(rc);
	rules = malloc(sizeof(*rules));
	if (!rules) {
		free(source);
		fprintf(stderr, "divertctl: the rules: %s\n", strerror(ENOMEM));
		return EXIT_FAILED;
	}
	rules_init(rules);
	if (rules_load(rules, source, len, &err)) {
		fprintf(stderr,
			"divertctl: %s; nothing has changed: delete the rule by the ipfw of "
			"version %.32s, or 'divertctl unload'\n",
			err.text, u->old.identity.version);
		rc = EXIT_FAILED;
	} else {
		rules_delete_if(rules, is_owned, NULL);
		rc = put_rules(&u->new, rules);
	}
	free(source);
	rules_free(rules);
	free(rules);
	return rc;
}

/*
 * Report programs that hold sockets or rules of the old engine, which do not move to the new one.
 */
static void tell_holders(const struct engine *old)
{
	char names[1024];
	int n = engine_holders(old, -1, names, sizeof(names));

	if (n)
		printf("%d %s left behind: restart %s\n", n,
		       n == 1 ? "socket, or rule of a program, is"
			      : "sockets, or rules of programs, are",
		       names);
}

static int upgrade(struct engine_upgrade *u)
{
	const struct divert_identity *was = &u->old.identity, *is = &u->new.identity;
	int rc;

	if (!u->keeps_maps) {
		rc = move_rules(u);
		if (rc)
			return rc;
	}
	rc = engine_upgrade_finish(u, tell, NULL);
	if (rc)
		return engine_failed(rc);
	printf("engine: ipdivert %.32s, layout %u, is now %.32s, layout %u; %s stay\n",
	       was->version, was->layout, is->version, is->layout,
	       u->keeps_maps ? "rules, counters and sockets" : "rules and their counters");
	if (!u->keeps_maps)
		tell_holders(&u->old);
	return EXIT_OK;
}

int command_upgrade(int argc, char **argv)
{
	struct engine_upgrade u;
	bool force = false;
	int rc;

	if (argc && !strcmp(argv[0], "-f")) {
		force = true;
		argc--;
		argv++;
	}
	if (argc)
		return usage_error("%s: one word too many", argv[0]);
	rc = engine_upgrade_begin(&u, force);
	if (rc == 1) {
		rc = upgrade(&u);
	} else if (!rc) {
		printf("engine: ipdivert %.32s, layout %u: nothing to do\n", u.old.identity.version,
		       u.old.identity.layout);
	} else {
		rc = engine_failed(rc);
	}
	engine_upgrade_close(&u);
	return rc;
}
