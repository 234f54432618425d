// SPDX-License-Identifier: BSD-2-Clause
/* The entries of tables, and the log. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "engine.h"
#include "error.h"

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

int engine_table_put(struct engine *e, enum engine_map map, const struct engine_entry *entry)
{
	if (!bpf_map_update_elem(e->map[map], &entry->addr, &entry->value, BPF_ANY))
		return 0;
	if (errno == ENOSPC || errno == E2BIG)
		return engine_fail(-ENOSPC, "the tables are full: %d entries at most",
				   room_of(map));
	return engine_fail_errno(-errno, "a table's entry");
}

int engine_table_remove(struct engine *e, enum engine_map map, const struct engine_entry *entry)
{
	if (!bpf_map_delete_elem(e->map[map], &entry->addr))
		return 0;
	return errno == ENOENT ? -ENOENT : engine_fail_errno(-errno, "a table's entry");
}

static uint32_t table_of(const struct engine_entry *entry, enum engine_map map)
{
	if (map == ENGINE_TABLE_ADDRS)
		return ntohl(entry->addr.table) >> 1;
	return map == ENGINE_TABLE_KEYS ? entry->key.table : entry->flow.table;
}

int engine_table_sweep(struct engine *e, enum engine_map map,
		       bool (*keep)(uint32_t table, void *arg), void *arg)
{
	struct engine_entry entry = {}, next = {};
	bool more;
	int rc;

	/* the next one is asked for while there still is the one before it */
	for (more = !bpf_map_get_next_key(e->map[map], NULL, &entry.addr); more; entry = next) {
		more = !bpf_map_get_next_key(e->map[map], &entry.addr, &next.addr);
		if (keep(table_of(&entry, map), arg))
			continue;
		rc = engine_table_remove(e, map, &entry);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	return 0;
}

/* Of addresses the first 4 bytes are how many bits count, of others the table: last. */
static int by_key(const void *a, const void *b, void *size)
{
	int order = memcmp((const char *)a + 4, (const char *)b + 4, *(size_t *)size - 4);

	return order ? order : memcmp(a, b, 4);
}

int engine_table_entries(struct engine *e, enum engine_map map, uint32_t table,
			 struct engine_entry **entries)
{
	struct engine_entry *all = NULL, *grown, next = {};
	size_t size = engine_table_key(map);
	unsigned int n = 0, room = 0;
	struct engine_entry key;
	void *from = NULL;

	*entries = NULL;
	while (!bpf_map_get_next_key(e->map[map], from, &next.addr)) {
		key = next;
		from = &key.addr;
		if (table_of(&next, map) != table ||
		    bpf_map_lookup_elem(e->map[map], &next.addr, &next.value))
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
		qsort_r(all, n, sizeof(*all), by_key, &size);
	*entries = all;
	return n;
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
		/* one that is being written, or was since, is passed over */
		if (entry->serial == *serial)
			return 1;
	}
	return 0;
}
