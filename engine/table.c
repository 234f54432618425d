// SPDX-License-Identifier: BSD-2-Clause
/* The entries of tables, and the log. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "engine.h"
#include "error.h"

static int map_of(const struct engine *e, bool addrs)
{
	return e->map[addrs ? ENGINE_TABLE_ADDRS : ENGINE_TABLE_KEYS];
}

int engine_table_put(struct engine *e, bool addrs, const struct engine_entry *entry)
{
	if (!bpf_map_update_elem(map_of(e, addrs), &entry->addr, &entry->value, BPF_ANY))
		return 0;
	if (errno == ENOSPC || errno == E2BIG)
		return engine_fail(-ENOSPC, "the tables are full: %d entries at most",
				   addrs ? DIVERT_TABLE_ADDRS : DIVERT_TABLE_KEYS);
	return engine_fail(-errno, "a table's entry: %s", strerror(errno));
}

int engine_table_remove(struct engine *e, bool addrs, const struct engine_entry *entry)
{
	if (!bpf_map_delete_elem(map_of(e, addrs), &entry->addr))
		return 0;
	return errno == ENOENT ? -ENOENT
			       : engine_fail(-errno, "a table's entry: %s", strerror(errno));
}

static uint32_t table_of(const struct engine_entry *entry, bool addrs)
{
	return addrs ? ntohl(entry->addr.table) >> 1 : entry->key.table;
}

int engine_table_sweep(struct engine *e, bool addrs, bool (*keep)(uint32_t table, void *arg),
		       void *arg)
{
	struct engine_entry entry = {}, next = {};
	int rc, map = map_of(e, addrs);
	bool more;

	/* the next one is asked for while there still is the one before it */
	for (more = !bpf_map_get_next_key(map, NULL, &entry.addr); more; entry = next) {
		more = !bpf_map_get_next_key(map, &entry.addr, &next.addr);
		if (keep(table_of(&entry, addrs), arg))
			continue;
		rc = engine_table_remove(e, addrs, &entry);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct engine_entry *x = a, *y = b;
	int order = memcmp((const char *)x + 4, (const char *)y + 4, sizeof(x->addr) - 4);

	return order ? order : memcmp(x, y, 4);
}

int engine_table_entries(struct engine *e, bool addrs, uint32_t table,
			 struct engine_entry **entries)
{
	struct engine_entry *all = NULL, *grown, next = {};
	unsigned int n = 0, room = 0;
	void *from = NULL;
	int map = map_of(e, addrs);
	struct engine_entry key;

	*entries = NULL;
	while (!bpf_map_get_next_key(map, from, &next.addr)) {
		key = next;
		from = &key.addr;
		if (table_of(&next, addrs) != table ||
		    bpf_map_lookup_elem(map, &next.addr, &next.value))
			continue;
		if (n == room) {
			room = room ? room * 2 : 64;
			grown = reallocarray(all, room, sizeof(*all));
			if (!grown) {
				free(all);
				return engine_fail(-ENOMEM, "no memory for a table");
			}
			all = grown;
		}
		all[n++] = next;
	}
	if (n)
		qsort(all, n, sizeof(*all), by_key);
	*entries = all;
	return n;
}

/* ---- the log ---- */

int engine_log_reset(struct engine *e, uint32_t counter)
{
	uint64_t zero = 0;

	if (bpf_map_update_elem(e->map[ENGINE_LOG_COUNTS], &counter, &zero, BPF_EXIST))
		return engine_fail(-errno, "the log's counter %u: %s", counter, strerror(errno));
	return 0;
}

int engine_log_read(struct engine *e, uint64_t *serial, struct divert_log_entry *entry)
{
	struct divert_log_head head;
	uint32_t at = 0;

	if (bpf_map_lookup_elem(e->map[ENGINE_LOG_HEAD], &at, &head))
		return engine_fail(-errno, "the log: %s", strerror(errno));
	if (head.serial > DIVERT_LOG_ROOM && *serial < head.serial - DIVERT_LOG_ROOM)
		*serial = head.serial - DIVERT_LOG_ROOM;
	while (*serial < head.serial) {
		at = ++*serial % DIVERT_LOG_ROOM;
		if (bpf_map_lookup_elem(e->map[ENGINE_LOG_ENTRIES], &at, entry))
			return engine_fail(-errno, "the log: %s", strerror(errno));
		/* one that is being written, or was since, is passed over */
		if (entry->serial == *serial)
			return 1;
	}
	return 0;
}
