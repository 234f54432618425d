// SPDX-License-Identifier: BSD-2-Clause
/* Entries of tables, and the log. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "engine.h"
#include "error.h"
#include "hosts.h"
#include "load.h"

size_t engine_table_key(enum engine_map map)
{
	if (map == ENGINE_TABLE_ADDRS)
		return sizeof(struct divert_table_addr);
	return map == ENGINE_TABLE_KEYS ? sizeof(struct divert_table_key)
					: sizeof(struct divert_table_flow);
}

static int room_of(enum engine_map map)
{
	if (map == ENGINE_TABLE_ADDRS)
		return DIVERT_TABLE_ADDRS;
	return map == ENGINE_TABLE_KEYS ? DIVERT_TABLE_KEYS : DIVERT_TABLE_FLOWS;
}

static uint32_t table_of(const struct engine_entry *entry, enum engine_map map)
{
	if (map == ENGINE_TABLE_ADDRS)
		return ntohl(entry->addr.table) >> 1;
	return map == ENGINE_TABLE_KEYS ? entry->key.table : entry->flow.table;
}

/* ---- which kinds of entries the tables may have ---- */

static void note_kind(struct divert_table_kinds *kinds, const struct divert_table_addr *addr)
{
	kinds->kind[ntohl(addr->table) % DIVERT_TABLE_PLACES] |=
		hosts_are(addr) ? DIVERT_TABLE_HOSTS : DIVERT_TABLE_NETS;
}

static int read_kinds(struct engine *e, struct divert_table_kinds *kinds)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(e->map[ENGINE_TABLE_KINDS], &zero, kinds) ? -errno : 0;
}

static int write_kinds(struct engine *e, const struct divert_table_kinds *kinds)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(e->map[ENGINE_TABLE_KINDS], &zero, kinds, BPF_ANY) ? -errno : 0;
}

/* ---- entries ---- */

static int put(struct engine *e, enum engine_map map, const struct engine_entry *entry)
{
	return bpf_map_update_elem(e->map[map], &entry->addr, &entry->value, BPF_ANY) ? -errno : 0;
}

/* Removing an entry leaves its table's bits set, until engine_table_sweep(). */
static int put_addr(struct engine *e, const struct engine_entry *entry)
{
	struct divert_table_kinds was, is;
	int rc = read_kinds(e, &was);

	if (rc)
		return rc;
	is = was;
	note_kind(&is, &entry->addr);
	if (hosts_are(&entry->addr))
		rc = hosts_put(e, &entry->addr, entry->value, &is);
	else
		rc = put(e, ENGINE_TABLE_ADDRS, entry);
	return rc || !memcmp(&is, &was, sizeof(is)) ? rc : write_kinds(e, &is);
}

int engine_table_put(struct engine *e, enum engine_map map, const struct engine_entry *entry)
{
	int rc = map == ENGINE_TABLE_ADDRS ? put_addr(e, entry) : put(e, map, entry);

	if (rc == -ENOSPC || rc == -E2BIG)
		return engine_fail(-ENOSPC, "the tables are full: %d entries at most",
				   room_of(map));
	return rc ? engine_fail_errno(rc, "a table's entry") : 0;
}

int engine_table_remove(struct engine *e, enum engine_map map, const struct engine_entry *entry)
{
	const void *key = &entry->addr;
	int fd = e->map[map];

	if (map == ENGINE_TABLE_ADDRS && hosts_are(&entry->addr)) {
		key = &entry->addr.table;
		fd = hosts_open(e);
		if (fd < 0)
			return -ENOENT;
	}
	if (!bpf_map_delete_elem(fd, key))
		return 0;
	return errno == ENOENT ? -ENOENT : engine_fail_errno(-errno, "a table's entry");
}

/* Call see() for each entry of a map; it may remove the entry. */
struct walk {
	struct engine *e;
	enum engine_map map;
	int (*see)(struct walk *w, const struct engine_entry *entry);
	void *arg;
};

static int walk_map(struct walk *w, int fd, bool hosts)
{
	const size_t skip = hosts ? offsetof(struct divert_table_addr, table) : 0;
	struct engine_entry entry = {}, next = {};
	void *key = (char *)&entry.addr + skip, *next_key = (char *)&next.addr + skip;
	bool more;
	int rc = 0;

	/* get the next key while the current one still exists */
	for (more = !bpf_map_get_next_key(fd, NULL, key); more && !rc; entry = next) {
		more = !bpf_map_get_next_key(fd, key, next_key);
		if (bpf_map_lookup_elem(fd, key, &entry.value))
			continue;
		if (hosts)
			entry.addr.bits = hosts_bits(entry.addr.table);
		rc = w->see(w, &entry);
	}
	return rc;
}

static int walk(struct walk *w)
{
	int rc = walk_map(w, w->e->map[w->map], false);

	return rc || w->map != ENGINE_TABLE_ADDRS ? rc : walk_map(w, hosts_open(w->e), true);
}

struct sweep {
	bool (*keep)(uint32_t table, void *arg);
	void *arg;
	struct divert_table_kinds kinds; /* of the kept entries */
};

static int sweep_entry(struct walk *w, const struct engine_entry *entry)
{
	struct sweep *s = w->arg;
	int rc;

	if (!s->keep(table_of(entry, w->map), s->arg)) {
		rc = engine_table_remove(w->e, w->map, entry);
		return rc == -ENOENT ? 0 : rc;
	}
	if (w->map == ENGINE_TABLE_ADDRS)
		note_kind(&s->kinds, &entry->addr);
	return 0;
}

int engine_table_sweep(struct engine *e, enum engine_map map,
		       bool (*keep)(uint32_t table, void *arg), void *arg)
{
	struct sweep s = {.keep = keep, .arg = arg};
	struct divert_table_kinds was;
	int rc = walk(&(struct walk){e, map, sweep_entry, &s});

	if (rc || map != ENGINE_TABLE_ADDRS)
		return rc;
	rc = read_kinds(e, &was);
	s.kinds.filtered = was.filtered;
	if (!rc)
		rc = write_kinds(e, &s.kinds);
	return rc ? engine_fail_errno(rc, "what the tables have") : 0;
}

/*
 * The first 4 bytes of a key are the prefix length for addresses, else the table: compare them
 * last.
 */
static int by_key(const void *a, const void *b, void *size)
{
	int order = memcmp((const char *)a + 4, (const char *)b + 4, *(size_t *)size - 4);

	return order ? order : memcmp(a, b, 4);
}

struct list {
	uint32_t table;
	struct engine_entry *all;
	unsigned int n, room;
};

static int list_entry(struct walk *w, const struct engine_entry *entry)
{
	struct list *l = w->arg;
	struct engine_entry *grown;

	if (table_of(entry, w->map) != l->table)
		return 0;
	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		grown = reallocarray(l->all, l->room, sizeof(*l->all));
		if (!grown)
			return engine_fail(-ENOMEM, "no memory for a table");
		l->all = grown;
	}
	l->all[l->n++] = *entry;
	return 0;
}

int engine_table_entries(struct engine *e, enum engine_map map, uint32_t table,
			 struct engine_entry **entries)
{
	struct list l = {.table = table};
	size_t size = engine_table_key(map);
	int rc = walk(&(struct walk){e, map, list_entry, &l});

	*entries = NULL;
	if (rc) {
		free(l.all);
		return rc;
	}
	if (l.n)
		qsort_r(l.all, l.n, sizeof(*l.all), by_key, &size);
	*entries = l.all;
	return l.n;
}

static int copy_entry(struct walk *w, const struct engine_entry *entry)
{
	return engine_table_put(w->arg, w->map, entry);
}

int engine_table_copy(struct engine *from, struct engine *to, enum engine_map map)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (from->map[map] < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(from->map[map], &info, &len))
		return -errno;
	if (info.key_size != engine_table_key(map) || info.value_size != sizeof(uint32_t))
		return 0;
	return walk(&(struct walk){from, map, copy_entry, to});
}

/* ---- the log ---- */

int engine_log_reset(struct engine *e, uint32_t counter)
{
	uint64_t zero = 0;

	if (bpf_map_update_elem(e->map[ENGINE_LOG_COUNTS], &counter, &zero, BPF_EXIST))
		return engine_fail_errno(-errno, "the log's counter %u", counter);
	return 0;
}

int engine_log_read(struct engine *e, uint64_t *serial, struct divert_log_entry *entry)
{
	struct divert_log_head head;
	uint32_t at = 0;

	if (bpf_map_lookup_elem(e->map[ENGINE_LOG_HEAD], &at, &head))
		return engine_fail_errno(-errno, "the log");
	if (head.serial > DIVERT_LOG_ROOM && *serial < head.serial - DIVERT_LOG_ROOM)
		*serial = head.serial - DIVERT_LOG_ROOM;
	while (*serial < head.serial) {
		at = ++*serial % DIVERT_LOG_ROOM;
		if (bpf_map_lookup_elem(e->map[ENGINE_LOG_ENTRIES], &at, entry))
			return engine_fail_errno(-errno, "the log");
		/* skip an entry that is being written, or was overwritten since */
		if (entry->serial == *serial)
			return 1;
	}
	return 0;
}
