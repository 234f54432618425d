// SPDX-License-Identifier: BSD-2-Clause
/* Lists the released flows, and says what a flow is in words. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "flows.h"

void engine_flow_text(const struct divert_flow_key *key, bool swapped, char *text)
{
	const struct protoent *proto = getprotobynumber(key->proto);
	char number[16], end[2][INET6_ADDRSTRLEN] = {"", ""};
	int i;

	snprintf(number, sizeof(number), "proto %u", key->proto);
	for (i = 0; i < 2; i++)
		inet_ntop(key->six ? AF_INET6 : AF_INET, key->addr[i], end[i], sizeof(end[i]));
	snprintf(text, ENGINE_FLOW_TEXT, "%s %s %u <-> %s %u", proto ? proto->p_name : number,
		 end[swapped], key->port[swapped], end[!swapped], key->port[!swapped]);
}

/* ---- released flows ---- */

static int by_port(const void *a, const void *b)
{
	const struct engine_released *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* The live port that has released this flow; NULL: that is over. */
static const struct engine_port *port_of(const struct engine_port *ports, int n,
					 const struct divert_flow_key *key,
					 const struct divert_released *r, uint64_t now)
{
	int i;

	for (i = 0; i < n; i++)
		if (ports[i].conf.stats == key->name)
			return ports[i].alive && ports[i].conf.generation == r->generation &&
					       r->expires > now
				       ? &ports[i]
				       : NULL;
	return NULL;
}

/* ---- packets that the verdict cache holds ---- */

static int by_key(const void *a, const void *b)
{
	const struct engine_released *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* Add the packets that the cache of each CPU has not counted at their flow yet. */
static int add_cached(const struct engine *e, struct engine_released *list, int n)
{
	struct divert_verdict *cached;
	struct engine_released key, *flow;
	uint32_t zero = 0, id, place;
	int cpus = libbpf_num_possible_cpus(), cpu, map;

	if (bpf_map_lookup_elem(e->map[ENGINE_VERDICTS], &zero, &id))
		return 0;
	map = bpf_map_get_fd_by_id(id);
	if (map < 0)
		return 0;
	cached = calloc(cpus, sizeof(*cached));
	for (place = 0; cached && place < DIVERT_VERDICTS; place++) {
		if (bpf_map_lookup_elem(map, &place, cached))
			break;
		for (cpu = 0; cpu < cpus; cpu++) {
			key.key = cached[cpu].flow;
			flow = cached[cpu].packets ? bsearch(&key, list, n, sizeof(*list), by_key)
						   : NULL;
			if (flow)
				flow->released.packets += cached[cpu].packets;
		}
	}
	close(map);
	free(cached);
	return cached ? 0 : -ENOMEM;
}

int engine_released(struct engine *e, struct engine_released **flows)
{
	struct engine_released *list = NULL, *more;
	const struct divert_released *released;
	const struct engine_port *port;
	struct engine_port *ports;
	struct divert_flow_key key;
	int n = 0, rc, count = engine_ports(e, &ports);
	struct timespec now;
	struct flows_reader *r;

	*flows = NULL;
	if (count < 0)
		return count;
	r = flows_reader_begin(e, FLOWS_RELEASED);
	if (!r) {
		free(ports);
		return engine_fail(-ENOMEM, "no memory for the released flows");
	}
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	while ((released = flows_reader_next(r, &key))) {
		port = port_of(ports, count, &key, released,
			       now.tv_sec * 1000000000ull + now.tv_nsec);
		if (!port)
			continue;
		more = flows_grow(list, n, sizeof(*list));
		if (!more) {
			r->rc = -ENOMEM;
			break;
		}
		list = more;
		list[n++] = (struct engine_released){port->key & 0xffff, key, *released};
	}
	rc = flows_reader_end(r);
	free(ports);
	if (!rc && n) {
		qsort(list, n, sizeof(*list), by_key);
		rc = add_cached(e, list, n);
	}
	if (rc) {
		free(list);
		return engine_fail_errno(rc, "the released flows");
	}
	if (n)
		qsort(list, n, sizeof(*list), by_port);
	*flows = list;
	return n;
}
