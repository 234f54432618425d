// SPDX-License-Identifier: BSD-2-Clause
/* Replaces another build's kernel half by this build's, without a gap between them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "load.h"
#include "sysctl.h"

_Static_assert(offsetof(struct divert_identity, sysctl_was) == 48 &&
		       offsetof(struct divert_identity, entry_key) == 56 &&
		       offsetof(struct divert_rules_head, source_page) == 12 &&
		       offsetof(struct divert_rules_head, source_len) == 16 && DIVERT_PAGE == 4096,
	       "what layouts have in common has moved");

/*
 * Read the first `size` bytes of an array's value, from an engine of another layout; missing bytes
 * are 0.
 */
static int read_stable(int map, uint32_t key, void *ours, size_t size)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	void *value;
	int rc = 0;

	if (bpf_obj_get_info_by_fd(map, &info, &len))
		return -errno;
	value = calloc(1, info.value_size + size);
	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(map, &key, value))
		rc = -errno;
	else
		memcpy(ours, value, size);
	free(value);
	return rc;
}

/* Copy the settings, the interface flags and the table entries. */
static int copy_state(struct engine_upgrade *u)
{
	struct divert_settings settings = {};
	uint32_t zero = 0, key, flags, *from = NULL;
	int rc;

	rc = read_stable(u->old.map[ENGINE_SETTINGS], zero, &settings, sizeof(settings));
	if (!rc && bpf_map_update_elem(u->new.map[ENGINE_SETTINGS], &zero, &settings, BPF_ANY))
		rc = -errno;
	while (!rc && !bpf_map_get_next_key(u->old.map[ENGINE_IFACES], from, &key)) {
		from = &key;
		if (!bpf_map_lookup_elem(u->old.map[ENGINE_IFACES], &key, &flags) &&
		    bpf_map_update_elem(u->new.map[ENGINE_IFACES], &key, &flags, BPF_ANY))
			rc = -errno;
	}
	if (!rc)
		rc = engine_table_copy(&u->old, &u->new, ENGINE_TABLE_ADDRS);
	if (!rc)
		rc = engine_table_copy(&u->old, &u->new, ENGINE_TABLE_KEYS);
	if (!rc)
		rc = engine_table_copy(&u->old, &u->new, ENGINE_TABLE_FLOWS);
	return rc ? engine_fail_errno(rc, "taking over the settings") : 0;
}

/* Layouts before 9 have no bases: 0. */
static int read_base(const struct engine_upgrade *u, uint32_t key, struct divert_rule_base *base)
{
	int map = u->old.map[ENGINE_RULE_BASES];

	memset(base, 0, sizeof(*base));
	return map < 0 ? 0 : read_stable(map, key, base, sizeof(*base));
}

/* Rules keep their counters. The value for each CPU is padded to a multiple of 8 bytes. */
static int copy_counters(const struct engine_upgrade *u)
{
	int i, rc = 0, n = libbpf_num_possible_cpus();
	const struct divert_rule_counter *one;
	struct divert_rule_counter *cpu;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), key;
	struct divert_rule_base base;
	size_t step;
	char *was;

	if (n <= 0 || bpf_obj_get_info_by_fd(u->old.map[ENGINE_RULE_COUNTERS], &info, &len))
		return engine_fail(-EIO, "the rules' counters cannot be read");
	step = (info.value_size + 7) & ~7u;
	was = malloc(n * step + sizeof(*one));
	cpu = calloc(n, sizeof(*cpu));
	if (!was || !cpu)
		rc = -ENOMEM;
	for (key = 0; !rc && key < info.max_entries && key < DIVERT_RULES_MAX; key++) {
		memset(cpu, 0, sizeof(*cpu));
		if (bpf_map_lookup_elem(u->old.map[ENGINE_RULE_COUNTERS], &key, was))
			rc = -errno;
		for (i = 0; !rc && i < n; i++) {
			one = (const void *)(was + i * step);
			cpu->packets += one->packets;
			cpu->bytes += one->bytes;
		}
		if (rc || !cpu->packets)
			continue;
		rc = read_base(u, key, &base);
		cpu->packets -= base.packets;
		cpu->bytes -= base.bytes;
		if (!rc &&
		    bpf_map_update_elem(u->new.map[ENGINE_RULE_COUNTERS], &key, cpu, BPF_EXIST))
			rc = -errno;
	}
	free(was);
	free(cpu);
	return rc ? engine_fail_errno(rc, "taking over the counters") : 0;
}

static bool has_stable(const struct engine *e)
{
	return e->map[ENGINE_SETTINGS] >= 0 && e->map[ENGINE_IFACES] >= 0 &&
	       e->map[ENGINE_RULES] >= 0 && e->map[ENGINE_RULE_COUNTERS] >= 0 &&
	       e->map[ENGINE_SOCKETS] >= 0;
}

static int lock_and_find(struct engine *old)
{
	int rc, lock = sysctl_lock();

	if (lock < 0)
		return lock;
	rc = engine_find_or_undo(old);
	old->lock = lock;
	if (rc == -EPROTO && old->identity.layout != DIVERT_LAYOUT && has_stable(old))
		return 0;
	return rc;
}

int engine_upgrade_begin(struct engine_upgrade *u, bool force)
{
	int rc, age;

	engine_clear(&u->old);
	engine_clear(&u->new);
	rc = lock_and_find(&u->old);
	if (rc)
		return rc;
	u->keeps_maps = u->old.identity.layout == DIVERT_LAYOUT;
	age = engine_age(&u->old);
	if (!age)
		return 0;
	if (age > 0 && !force)
		return engine_fail(-EPROTO,
				   "the engine loaded here is of ipdivert %.32s (layout %u), newer "
				   "than this, which is %s (layout %u)",
				   u->old.identity.version, u->old.identity.layout, VERSION,
				   DIVERT_LAYOUT);
	rc = engine_load_programs(&u->new, &u->old);
	if (!rc && !u->keeps_maps)
		rc = copy_state(u);
	return rc ? rc : 1;
}

int engine_upgrade_finish(struct engine_upgrade *u,
			  void (*tell)(const char *name, const char *why, void *arg), void *arg)
{
	uint8_t was[8], *kept = u->new.identity.sysctl_was;
	/* as late as possible: counts of the old engine after this are lost */
	int i, rc = u->keeps_maps ? 0 : copy_counters(u);

	if (!rc)
		rc = sysctl_look(was);
	if (!rc)
		rc = sysctl_set(was);
	if (rc)
		return rc;
	/* keep the settings from before the first engine, for the last one to restore */
	for (i = 0; i < 8; i++)
		kept[i] = kept[i] == 0xff ? was[i] : kept[i];
	/* reinjection must expect the old engine's hooks until each is replaced */
	rc = engine_attach_noted(&u->new);
	if (rc) {
		sysctl_restore(was);
		return engine_fail_errno(rc, "the hooks of the engine before");
	}
	/* lo first, with the identity: it is where an engine is found */
	rc = engine_attach(&u->new, LO_IFINDEX, NULL, NULL);
	if (!rc)
		rc = engine_write_identity(&u->new);
	if (rc) {
		engine_attach(&u->old, LO_IFINDEX, NULL, NULL);
		sysctl_restore(was);
		return rc;
	}
	engine_attach(&u->new, 0, tell, arg);
	return 0;
}

void engine_upgrade_close(struct engine_upgrade *u)
{
	engine_close(&u->new);
	engine_close(&u->old); /* and unlock */
}
