// SPDX-License-Identifier: BSD-2-Clause
/*
 * The maps of flows: of states, which is there only while rules make some, and of released flows,
 * while sockets are bound. 16 bytes for each possible entry are allocated at creation.
 */
#include "flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "error.h"

static const struct {
	enum engine_map place; /* of the map */
	const char *name, *text;
	uint32_t size; /* of a value */
	const char *less;
} kind[] = {
	[FLOWS_STATES] = {ENGINE_FLOWS, "flow_states", "states", sizeof(struct divert_flow),
			  "delete rules that make them"},
	[FLOWS_RELEASED] = {ENGINE_RELEASED, "released_flows", "released flows",
			    sizeof(struct divert_released), "end programs that release them"},
};

#define KINDS	  (sizeof(kind) / sizeof(*kind))
#define VALUE_MAX sizeof(struct divert_flow)

_Static_assert(sizeof(struct divert_released) <= VALUE_MAX, "the longer value is another");

/* The map in place; -1: there is none. */
static int open_map(const struct engine *e, enum flows_kind k)
{
	uint32_t zero = 0, id;

	return bpf_map_lookup_elem(e->map[kind[k].place], &zero, &id) ? -1
								      : bpf_map_get_fd_by_id(id);
}

static bool is_there(const struct engine *e, enum flows_kind k)
{
	uint32_t zero = 0, id;

	return !bpf_map_lookup_elem(e->map[kind[k].place], &zero, &id);
}

static uint32_t room(const struct engine *e)
{
	struct divert_settings settings = {};
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(e->map[ENGINE_SETTINGS], &zero, &settings) || !settings.states)
		return DIVERT_STATES_DEFAULT;
	return settings.states;
}

static int copy(int from, int to)
{
	struct divert_flow_key key, *last = NULL;
	uint64_t value[VALUE_MAX / sizeof(uint64_t)];
	int rc = 0;

	for (; !rc && !bpf_map_get_next_key(from, last, &key); last = &key)
		if (!bpf_map_lookup_elem(from, &key, value) &&
		    bpf_map_update_elem(to, &key, value, BPF_ANY))
			rc = -errno;
	return rc;
}

static int put_map(const struct engine *e, enum flows_kind k, int old)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	uint32_t zero = 0;
	int rc = 0,
	    map = bpf_map_create(BPF_MAP_TYPE_HASH, kind[k].name, sizeof(struct divert_flow_key),
				 kind[k].size, room(e), &opts);

	if (map < 0)
		return engine_fail_errno(-errno, "a map for %s", kind[k].text);
	if (old >= 0)
		rc = copy(old, map);
	if (!rc && bpf_map_update_elem(e->map[kind[k].place], &zero, &map, BPF_ANY))
		rc = -errno;
	close(map);
	if (rc == -E2BIG)
		return engine_fail(-EBUSY, "there are more %s than %u now: %s, or wait",
				   kind[k].text, room(e), kind[k].less);
	return rc ? engine_fail_errno(rc, "%s", kind[k].text) : 0;
}

/* The verdict cache helps states of FIRST and released flows. */
static int put_verdicts(const struct engine *e)
{
	uint32_t zero = 0, id;
	int map, rc;

	if (!bpf_map_lookup_elem(e->map[ENGINE_VERDICTS], &zero, &id))
		return 0;
	map = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "flow_verdicts", sizeof(uint32_t),
			     sizeof(struct divert_verdict), DIVERT_VERDICTS, NULL);
	if (map < 0)
		return engine_fail_errno(-errno, "a map for verdicts");
	rc = bpf_map_update_elem(e->map[ENGINE_VERDICTS], &zero, &map, BPF_ANY) ? -errno : 0;
	close(map);
	return rc ? engine_fail_errno(rc, "verdicts") : 0;
}

int flows_begin(const struct engine *e, enum flows_kind k)
{
	int map = open_map(e, k), rc = put_verdicts(e);

	if (rc)
		return rc;
	if (map < 0)
		return put_map(e, k, -1);
	close(map);
	return 0;
}

void flows_end(const struct engine *e, enum flows_kind k)
{
	uint32_t zero = 0;

	bpf_map_delete_elem(e->map[kind[k].place], &zero);
	if (!is_there(e, FLOWS_STATES) && !is_there(e, FLOWS_RELEASED))
		bpf_map_delete_elem(e->map[ENGINE_VERDICTS], &zero);
}

int engine_flows_resize(struct engine *e)
{
	int map, rc = 0;
	unsigned int k;

	for (k = 0; k < KINDS && !rc; k++) {
		map = open_map(e, k);
		if (map < 0)
			continue;
		rc = put_map(e, k, map);
		close(map);
	}
	return rc;
}

struct flows_reader *flows_reader_begin(const struct engine *e, enum flows_kind k)
{
	struct flows_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->map = open_map(e, k);
	r->size = kind[k].size;
	return r;
}

const void *flows_reader_next(struct flows_reader *r, struct divert_flow_key *key)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);

	if (r->map < 0)
		return NULL;
	if (r->next == r->n) {
		r->n = FLOWS_BATCH;
		r->next = 0;
		if (bpf_map_lookup_batch(r->map, r->begun ? &r->place : NULL, &r->place, r->key,
					 r->value, &r->n, &opts) &&
		    errno != ENOENT)
			r->rc = -errno;
		r->begun = true;
		if (r->rc || !r->n)
			return NULL;
	}
	*key = r->key[r->next];
	return (const char *)r->value + (size_t)r->size * r->next++;
}

int flows_reader_end(struct flows_reader *r)
{
	int rc = r->rc;

	if (r->map >= 0)
		close(r->map);
	free(r);
	return rc;
}

void *flows_grow(void *list, int n, size_t size)
{
	return n & (n - 1) ? list : reallocarray(list, n ? 2 * (size_t)n : 1, size);
}

static int by_number(const void *a, const void *b)
{
	const struct engine_flow *x = a, *y = b;

	if (x->flow.number != y->flow.number)
		return x->flow.number < y->flow.number ? -1 : 1;
	if (x->key.kind != y->key.kind)
		return x->key.kind > y->key.kind ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

int engine_flows(struct engine *e, struct engine_flow **flows)
{
	struct flows_reader *r = flows_reader_begin(e, FLOWS_STATES);
	struct engine_flow *list = NULL, *more;
	const struct divert_flow *flow;
	struct divert_flow_key key;
	int n = 0, rc;

	*flows = NULL;
	if (!r)
		return engine_fail(-ENOMEM, "no memory for the states of flows");
	while ((flow = flows_reader_next(r, &key))) {
		more = flows_grow(list, n, sizeof(*list));
		if (!more) {
			r->rc = -ENOMEM;
			break;
		}
		list = more;
		list[n++] = (struct engine_flow){.key = key, .flow = *flow};
	}
	rc = flows_reader_end(r);
	if (rc) {
		free(list);
		return engine_fail_errno(rc, "the states of flows");
	}
	if (n)
		qsort(list, n, sizeof(*list), by_number);
	*flows = list;
	return n;
}

/*
 * Not deleted: the kernel half counts them off the limits when it removes them, which it may do
 * with the next packet, though it looked for room a moment ago. Those that are gone meanwhile stay
 * so.
 */
void engine_flows_expire(struct engine *e, const struct engine_flow *flows, int n)
{
	struct divert_flow_info info;
	struct divert_flow flow;
	uint32_t zero = 0;
	int i, map = open_map(e, FLOWS_STATES);

	if (map < 0)
		return;
	for (i = 0; i < n; i++) {
		if (flows[i].key.kind != DIVERT_FLOW_STATE)
			continue;
		flow = flows[i].flow;
		flow.expires = 0;
		bpf_map_update_elem(map, &flows[i].key, &flow, BPF_EXIST);
	}
	close(map);
	if (bpf_map_lookup_elem(e->map[ENGINE_FLOW_INFO], &zero, &info))
		return;
	info.next_sweep = 0;
	bpf_map_update_elem(e->map[ENGINE_FLOW_INFO], &zero, &info, BPF_ANY);
}

static int by_id(const void *a, const void *b)
{
	const struct divert_entry *x = a, *y = b;

	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* Is this the id of a rule in the list? */
static bool made(const struct divert_entry *rules, uint32_t n, uint32_t id)
{
	const struct divert_entry key = {.rule = id};

	return bsearch(&key, rules, n, sizeof(*rules), by_id) != NULL;
}

int flows_sweep(struct engine *e, const struct divert_entry *rules, uint32_t n)
{
	struct engine_flow *list;
	int i, map = open_map(e, FLOWS_STATES), count = engine_flows(e, &list);

	for (i = 0; i < count; i++)
		if (!made(rules, n, list[i].flow.rule))
			bpf_map_delete_elem(map, &list[i].key);
	free(list);
	if (map >= 0)
		close(map);
	return count < 0 ? count : 0;
}

uint32_t flows_generation(const struct engine *e, uint32_t stats)
{
	uint32_t index = stats % DIVERT_PORTS_MAX, generation = 0;

	if (bpf_map_lookup_elem(e->map[ENGINE_RELEASING], &index, &generation))
		return 1;
	return ++generation ? generation : 1;
}
