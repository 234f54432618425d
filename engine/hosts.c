// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hosts in tables: a hash map that starts small and grows. Its buckets, 16 bytes per possible
 * entry, are allocated at creation: at the maximum size that is more memory than the rest of the
 * engine.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "hosts.h"

#define FIRST  1024
#define HASHES 3 /* hash functions of the Bloom filter, which has 8 bits per host then */
#define TIMES  4 /* growth factor; after five steps the size is DIVERT_TABLE_ADDRS */

_Static_assert(sizeof(struct divert_table_host) ==
		       sizeof(struct divert_table_addr) - offsetof(struct divert_table_addr, table),
	       "a host's key ends an address' key");

uint32_t hosts_bits(__be32 table)
{
	return ntohl(table) & 1 ? 160 : 64;
}

bool hosts_are(const struct divert_table_addr *addr)
{
	return addr->bits == hosts_bits(addr->table);
}

static int info_of(int map, struct bpf_map_info *info)
{
	__u32 len = sizeof(*info);

	return bpf_obj_get_info_by_fd(map, info, &len) ? -errno : 0;
}

/* The inner map of a map-in-map with one entry; -1: there is none. */
static int open_inner(int outer)
{
	uint32_t zero = 0, id;

	return bpf_map_lookup_elem(outer, &zero, &id) ? -1 : bpf_map_get_fd_by_id(id);
}

int hosts_open(struct engine *e)
{
	struct bpf_map_info info = {};

	if (e->hosts >= 0)
		return e->hosts;
	e->hosts = open_inner(e->map[ENGINE_TABLE_HOSTS]);
	/* an engine of another layout may use another format */
	if (e->hosts >= 0 &&
	    (info_of(e->hosts, &info) || info.key_size != sizeof(struct divert_table_host) ||
	     info.value_size != sizeof(uint32_t))) {
		close(e->hosts);
		e->hosts = -1;
	}
	return e->hosts;
}

/* Add to the filter first: hosts that it lacks are not looked up. */
static int put(int filter, int hosts, const void *key, const uint32_t *value)
{
	if (bpf_map_update_elem(filter, NULL, key, BPF_ANY) ||
	    bpf_map_update_elem(hosts, key, value, BPF_ANY))
		return -errno;
	return 0;
}

static int copy(int from, int filter, int hosts, uint32_t *n)
{
	struct divert_table_host key, *last = NULL;
	uint32_t value;
	int rc = 0;

	for (*n = 0; !rc && !bpf_map_get_next_key(from, last, &key); last = &key, ++*n)
		rc = bpf_map_lookup_elem(from, &key, &value) ? -errno
							     : put(filter, hosts, &key, &value);
	return rc;
}

static int put_in_place(int outer, int map)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(outer, &zero, &map, BPF_ANY) ? -errno : 0;
}

static void keep(int *fd, int map)
{
	if (*fd >= 0)
		close(*fd);
	*fd = map;
}

/*
 * Replace both maps by new ones of this size. A packet may use the old filter with the new map, or
 * the reverse, and still finds each host: both pairs have the same hosts.
 */
static int renew(struct engine *e, uint32_t room, struct divert_table_kinds *kinds)
{
	const uint32_t key_size = sizeof(struct divert_table_host);
	LIBBPF_OPTS(bpf_map_create_opts, hosts_opts, .map_flags = BPF_F_NO_PREALLOC);
	LIBBPF_OPTS(bpf_map_create_opts, filter_opts, .map_extra = HASHES);
	int rc = 0, filter, hosts;

	hosts = bpf_map_create(BPF_MAP_TYPE_HASH, "hosts", key_size, sizeof(uint32_t), room,
			       &hosts_opts);
	if (hosts < 0)
		return -errno;
	filter = bpf_map_create(BPF_MAP_TYPE_BLOOM_FILTER, "filter", 0, key_size, room,
				&filter_opts);
	if (filter < 0)
		rc = -errno;
	kinds->filtered = 0;
	if (!rc && e->hosts >= 0)
		rc = copy(e->hosts, filter, hosts, &kinds->filtered);
	if (!rc)
		rc = put_in_place(e->map[ENGINE_TABLE_FILTER], filter);
	if (!rc)
		rc = put_in_place(e->map[ENGINE_TABLE_HOSTS], hosts);
	if (rc) {
		close(hosts);
		if (filter >= 0)
			close(filter);
		return rc;
	}
	keep(&e->filter, filter);
	keep(&e->hosts, hosts);
	return 0;
}

int hosts_put(struct engine *e, const struct divert_table_addr *addr, uint32_t value,
	      struct divert_table_kinds *kinds)
{
	struct bpf_map_info info = {};
	const void *key = &addr->table;
	uint32_t was;
	int rc;

	if (hosts_open(e) < 0) {
		rc = renew(e, FIRST, kinds);
		if (rc)
			return rc;
	}
	if (!bpf_map_lookup_elem(e->hosts, key, &was))
		return bpf_map_update_elem(e->hosts, key, &value, BPF_ANY) ? -errno : 0;
	if (e->filter < 0)
		e->filter = open_inner(e->map[ENGINE_TABLE_FILTER]);
	rc = put(e->filter, e->hosts, key, &value);
	kinds->filtered++;
	if (rc != -E2BIG && kinds->filtered % FIRST)
		return rc;
	if (info_of(e->hosts, &info))
		return -errno;
	if (rc == -E2BIG && info.max_entries < DIVERT_TABLE_ADDRS) {
		rc = renew(e, info.max_entries * TIMES, kinds);
		return rc ? rc : hosts_put(e, addr, value, kinds);
	}
	/* entries cannot be removed from the filter: rebuild it if it has too many */
	if (!rc && kinds->filtered >= 2 * info.max_entries)
		rc = renew(e, info.max_entries, kinds);
	return rc;
}
