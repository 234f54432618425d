// SPDX-License-Identifier: BSD-2-Clause
/* The table of ports: an entry and counters for each port that a rule or a socket names. */
#include "port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"

#define KEYS	    (2 * DIVERT_KEY_V6)
#define ENTRIES_MAX (DIVERT_PORTS_MAX - 1) /* index 0 of the counters belongs to no port */

int port_get(struct engine *e, uint32_t key, struct divert_port *port)
{
	return bpf_map_lookup_elem(e->map[ENGINE_PORTS], &key, port) ? -errno : 0;
}

static int no_room(void)
{
	return engine_fail(-ENOSPC,
			   "no room, %u ports can be in use at a time; 'divertctl status' lists "
			   "them: delete rules, or end programs, that name some",
			   ENTRIES_MAX);
}

int port_put(struct engine *e, uint32_t key, const struct divert_port *port)
{
	if (!bpf_map_update_elem(e->map[ENGINE_PORTS], &key, port, BPF_ANY))
		return 0;
	if (errno == E2BIG || errno == ENOMEM)
		return no_room();
	return engine_fail_errno(-errno, "port %u", key & 0xffff);
}

int engine_port_leave(struct engine *e, uint32_t key, uint32_t slot)
{
	const struct divert_socket none = {};
	struct divert_port port;
	int i, rc = port_get(e, key, &port);

	if (rc)
		return rc;
	for (i = 0; i < DIVERT_GROUP_MAX; i++)
		if (port.members & 1u << i && port.slot[i] == slot)
			break;
	if (i == DIVERT_GROUP_MAX)
		return 0; /* it belongs to another socket by now */
	port.members &= ~(1u << i);
	rc = port_put(e, key, &port);
	bpf_map_delete_elem(e->map[ENGINE_SOCKETS], &slot);
	bpf_map_update_elem(e->map[ENGINE_SOCKET_CONF], &slot, &none, BPF_ANY);
	return rc;
}

/* ---- adding an entry ---- */

enum { WANTED = 1, THERE };

struct table {
	uint8_t key[KEYS]; /* by key: WANTED, THERE, or 0 */
	uint32_t missing;
	bool taken[DIVERT_PORTS_MAX]; /* by index of counters */
	uint32_t entries;
};

static void survey(struct engine *e, struct table *t)
{
	uint32_t key, *from = NULL;
	struct divert_port port;

	t->taken[0] = true;
	while (!bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		if (key >= KEYS || port_get(e, key, &port))
			continue;
		t->taken[port.stats % DIVERT_PORTS_MAX] = true;
		t->entries++;
		if (t->key[key] == WANTED) {
			t->key[key] = THERE;
			t->missing--;
		}
	}
}

/*
 * Clear all counters at this index. next: bump the generation in *stats, so that late updates for
 * the previous port are ignored.
 */
static int clear_stats(struct engine *e, uint32_t index, bool next, uint32_t *stats)
{
	int i, n = libbpf_num_possible_cpus();
	struct divert_port_stats *cpu = n > 0 ? calloc(n, sizeof(*cpu)) : NULL;
	int rc;

	if (!cpu)
		return engine_fail(-ENOMEM, "no memory for counters");
	rc = bpf_map_lookup_elem(e->map[ENGINE_PORT_STATS], &index, cpu);
	if (!rc) {
		*stats = cpu->n[DIVERT_N_STATS] ? cpu->n[DIVERT_N_STATS] : index;
		*stats += next ? DIVERT_PORTS_MAX : 0;
		memset(cpu, 0, n * sizeof(*cpu));
		for (i = 0; i < n; i++)
			cpu[i].n[DIVERT_N_STATS] = *stats;
		rc = bpf_map_update_elem(e->map[ENGINE_PORT_STATS], &index, cpu, BPF_EXIST);
	}
	rc = rc ? engine_fail_errno(-errno, "counters") : 0;
	free(cpu);
	return rc;
}

static int add(struct engine *e, struct table *t, uint32_t key)
{
	struct divert_port port = {};
	uint32_t index = 1;
	int rc;

	while (index < DIVERT_PORTS_MAX && t->taken[index])
		index++;
	if (index == DIVERT_PORTS_MAX)
		return no_room();
	rc = clear_stats(e, index, false, &port.stats);
	if (!rc)
		rc = port_put(e, key, &port);
	if (rc)
		return rc;
	t->taken[index] = true;
	t->key[key] = THERE;
	return 0;
}

/* ---- making room ---- */

/*
 * 1: no rule names the port, and no socket is bound. Ports in table entries are not known. Their
 * packets are dropped with or without a port entry, unless a socket has set the bypass flag. The
 * IPv6 entry is only used while a socket is bound to it.
 */
static int is_idle(struct engine *e, const struct table *t, uint32_t key, const struct named *named)
{
	struct divert_port port;
	int rc;

	if (key >= KEYS || t->key[key] || port_get(e, key, &port))
		return 0;
	if (!(key & DIVERT_KEY_V6) &&
	    (named->port[key] || (named->any && port.flags & DIVERT_PORT_BYPASS)))
		return 0;
	rc = port_alive(e, &port);
	return rc < 0 ? rc : !rc;
}

struct candidate {
	uint32_t stats, key;
};

static int by_stats(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->stats > y->stats) - (x->stats < y->stats);
}

/*
 * List all entries, those first whose counters were reused least: mostly the oldest. Returns how
 * many.
 */
static uint32_t list_oldest(struct engine *e, struct candidate *c)
{
	uint32_t key, *from = NULL, n = 0;
	struct divert_port port;

	while (n < DIVERT_PORTS_MAX && !bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		if (!port_get(e, key, &port))
			c[n++] = (struct candidate){port.stats, key};
	}
	qsort(c, n, sizeof(*c), by_stats);
	return n;
}

/* Find up to n idle entries; returns how many. */
static int find_idle(struct engine *e, const struct table *t, uint32_t *idle, uint32_t n)
{
	struct candidate *c = calloc(DIVERT_PORTS_MAX, sizeof(*c));
	struct named *named = calloc(1, sizeof(*named));
	uint32_t i, all, found = 0;
	int rc;

	if (!c || !named) {
		rc = engine_fail(-ENOMEM, "no memory for the list of ports");
		goto out;
	}
	rc = ruleset_named(e, named);
	all = rc < 0 ? 0 : list_oldest(e, c);
	for (i = 0; rc >= 0 && i < all && found < n; i++) {
		rc = is_idle(e, t, c[i].key, named);
		if (rc > 0)
			idle[found++] = c[i].key;
	}
out:
	free(c);
	free(named);
	return rc < 0 ? rc : (int)found;
}

/*
 * Bump the counters' generation first; they are certain to be 0 when the next port uses them, see
 * port_settle().
 */
static int forget(struct engine *e, struct table *t, uint32_t key)
{
	struct divert_port port;
	int i, rc = port_get(e, key, &port);
	uint32_t stats;

	for (i = 0; !rc && i < DIVERT_GROUP_MAX; i++)
		if (port.members & 1u << i)
			rc = engine_port_leave(e, key, port.slot[i]);
	if (!rc)
		rc = clear_stats(e, port.stats % DIVERT_PORTS_MAX, true, &stats);
	if (!rc && bpf_map_delete_elem(e->map[ENGINE_PORTS], &key))
		rc = -errno;
	if (rc)
		return engine_fail_errno(rc, "port %u", key & 0xffff);
	t->taken[port.stats % DIVERT_PORTS_MAX] = false;
	t->entries--;
	return 0;
}

/*
 * Wait until no packet uses the old map contents. A deleted entry's memory may be reused at once,
 * and a counter that is being incremented overwrites a 0, so nothing new may be stored before. The
 * kernel waits for that when any map of maps is updated.
 */
int port_settle(struct engine *e, int map)
{
	const uint32_t zero = 0;

	if (bpf_map_update_elem(map, &zero, &e->map[ENGINE_SETTINGS], BPF_ANY))
		return engine_fail_errno(-errno, "waiting for packets");
	return 0;
}

int port_settle_begin(struct engine *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = e->map[ENGINE_SETTINGS]);
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "settle", sizeof(uint32_t),
				 sizeof(uint32_t), 1, &opts);

	return map < 0 ? engine_fail_errno(-errno, "a map") : map;
}

static int forget_all(struct engine *e, struct table *t, const uint32_t *idle, uint32_t n)
{
	int rc = 0, settled, map = port_settle_begin(e);
	uint32_t i;

	if (map < 0)
		return map;
	for (i = 0; i < n && !rc; i++)
		rc = forget(e, t, idle[i]);
	settled = port_settle(e, map);
	close(map);
	return rc ? rc : settled;
}

/* Remove idle ports, with their counters, if that makes room for all missing ones. */
static int make_room(struct engine *e, struct table *t)
{
	uint32_t *idle, n;
	int rc;

	if (t->missing <= ENTRIES_MAX - t->entries)
		return 0;
	n = t->missing - (ENTRIES_MAX - t->entries);
	if (n > ENTRIES_MAX)
		return no_room();
	idle = calloc(n, sizeof(*idle));
	if (!idle)
		return engine_fail(-ENOMEM, "no memory for the list of ports");
	rc = find_idle(e, t, idle, n);
	if (rc == (int)n)
		rc = forget_all(e, t, idle, n);
	else if (rc >= 0)
		rc = no_room();
	free(idle);
	return rc;
}

int engine_ports_add(struct engine *e, const uint32_t *key, uint32_t n)
{
	struct divert_port port;
	struct table *t;
	uint32_t i;
	int rc;

	for (i = 0; i < n && !port_get(e, key[i], &port); i++)
		;
	if (i == n)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return engine_fail(-ENOMEM, "no memory for the list of ports");
	for (i = 0; i < n; i++) {
		t->missing += !t->key[key[i]];
		t->key[key[i]] = WANTED;
	}
	survey(e, t);
	rc = make_room(e, t);
	for (i = 0; i < n && !rc; i++)
		if (t->key[key[i]] == WANTED)
			rc = add(e, t, key[i]);
	free(t);
	return rc;
}
