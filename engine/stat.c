// SPDX-License-Identifier: BSD-2-Clause
/* Reads the counters of the ports. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "port.h"

static const struct {
	const char *name, *text;
} cause[DIVERT_N_CAUSES] = {
	[DIVERT_N_DIVERTED] = {"diverted", "packets delivered to a socket"},
	[DIVERT_N_TEED] = {"teed", "copies delivered to a socket"},
	[DIVERT_N_WRITTEN_IN] = {"written-in", "packets written inbound"},
	[DIVERT_N_WRITTEN_OUT] = {"written-out", "packets written outbound"},
	[DIVERT_N_PASSED] = {"passed", "nobody listens: passed on"},
	[DIVERT_N_NO_LISTENER] = {"no-listener", "nobody listens: dropped"},
	[DIVERT_N_RING_FULL] = {"buffer-full", "the socket's buffer was full: dropped"},
	[DIVERT_N_TOO_LONG] = {"too-long", "longer than any packet: dropped"},
	[DIVERT_N_MALFORMED] = {"malformed", "headers that cannot be read: dropped"},
	[DIVERT_N_BAD_CHECKSUM] = {"bad-checksum",
				   "written inbound with a wrong header checksum: dropped"},
	[DIVERT_N_BAD_FRAME] = {"bad-frame", "a frame for the engine that it does not know"},
	[DIVERT_N_NO_INTERFACE] = {"no-interface", "written for an interface that is gone"},
	[DIVERT_N_IF_DOWN] = {"interface-down", "written for an interface that is down"},
	[DIVERT_N_NO_ROUTE] = {"no-route", "written outbound, no route"},
	[DIVERT_N_UNROUTED] = {"asked-route", "written outbound, way found in a second try"},
	[DIVERT_N_TOO_BIG] = {"too-big", "written outbound, or to a next hop, above the MTU"},
	[DIVERT_N_LOOP] = {"loop", "written back too often: dropped"},
	[DIVERT_N_TRUNCATED] = {"truncated", "read into a buffer that was too short"},
	[DIVERT_N_FRAG_TIMEOUT] = {"frag-timeout", "fragments whose packet did not get complete"},
	[DIVERT_N_FRAG_OVERLAP] = {"frag-overlap", "fragments that overlapped: packet dropped"},
	[DIVERT_N_FRAG_DUP] = {"frag-duplicate", "fragments that were there already"},
	[DIVERT_N_FRAG_FULL] = {"frag-full", "fragments for which there was no room"},
	[DIVERT_N_FRAG_BAD] = {"frag-bad", "fragments that no packet can have"},
	[DIVERT_N_ENTERED] = {"entered", "written, and past its tag in the rules"},
	[DIVERT_N_BY_BULK] = {"by-train", "written inbound, many at a time"},
	[DIVERT_N_JOINED] = {"joined", "segments written that went as one large packet"},
	[DIVERT_N_MARTIAN] = {"martian",
			      "written inbound with a source or destination that no interface "
			      "takes: dropped by the stack"},
	[DIVERT_N_IPSEC] = {"ipsec",
			    "written inbound, came through IPsec: dropped by the stack's policy"},
	[DIVERT_N_QUEUE_FULL] = {"queue-full", "written outbound, the interface's queue was full"},
	[DIVERT_N_FLOW_FULL] = {"states-full", "a rule's state had no room: dropped"},
	[DIVERT_N_FLOW_LIMIT] = {"states-limit", "a rule's limit of states was reached: dropped"},
	[DIVERT_N_NO_OWNER] = {"no-owner",
			       "written outbound, and a rule asked for its user, who is not known"},
	[DIVERT_N_UNREAD] = {"unread", "delivered, and not read before the socket was closed"},
	[DIVERT_N_RELEASED_PASSED] = {"released-passed", "of a flow that was released: passed on"},
	[DIVERT_N_RELEASED_DROPPED] = {"released-dropped", "of a flow that was released: dropped"},
	[DIVERT_N_RELEASES_FULL] = {"releases-full",
				    "flows that were to be released, without room"},
	[DIVERT_N_FWD] = {"fwd-unreachable",
			  "a rule's next hop was not reached: dropped, or waiting for it"},
	[DIVERT_N_LOST] = {"lost-on-entry",
			   "written, but lost in the stack (backlog, neighbour), or waiting there"},
};

const char *engine_cause_name(enum divert_cause c)
{
	return c < DIVERT_N_CAUSES ? cause[c].name : NULL;
}

const char *engine_cause_text(enum divert_cause c)
{
	return c < DIVERT_N_CAUSES ? cause[c].text : NULL;
}

static int get_stats(struct engine *e, uint32_t index, struct divert_port_stats *sum)
{
	int i, c, n = libbpf_num_possible_cpus();
	struct divert_port_stats *cpu = n > 0 ? calloc(n, sizeof(*cpu)) : NULL;
	uint64_t written;

	memset(sum, 0, sizeof(*sum));
	if (!cpu)
		return engine_fail(-ENOMEM, "no memory for counters");
	if (bpf_map_lookup_elem(e->map[ENGINE_PORT_STATS], &index, cpu)) {
		n = -errno;
		free(cpu);
		return engine_fail_errno(n, "counters");
	}
	for (i = 0; i < n; i++)
		for (c = 0; c < DIVERT_N_ROOM; c++)
			sum->n[c] += cpu[i].n[c];
	free(cpu);
	written = sum->n[DIVERT_N_WRITTEN_IN] + sum->n[DIVERT_N_WRITTEN_OUT];
	if (written > sum->n[DIVERT_N_ENTERED])
		sum->n[DIVERT_N_LOST] = written - sum->n[DIVERT_N_ENTERED];
	return 0;
}

int engine_stats(struct engine *e, struct divert_port_stats *sum)
{
	return get_stats(e, 0, sum);
}

static int by_key(const void *a, const void *b)
{
	const struct engine_port *x = a, *y = b;
	uint32_t p = x->key & 0xffff, q = y->key & 0xffff;

	return p != q ? (p > q) - (p < q) : (x->key > y->key) - (x->key < y->key);
}

int engine_ports(struct engine *e, struct engine_port **ports)
{
	struct engine_port *list = calloc(DIVERT_PORTS_MAX, sizeof(*list));
	uint32_t key, *from = NULL;
	int rc, n = 0;

	*ports = NULL;
	if (!list)
		return engine_fail(-ENOMEM, "no memory for the list of ports");
	while (n < DIVERT_PORTS_MAX && !bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		list[n].key = key;
		if (port_get(e, key, &list[n].conf))
			continue;
		rc = get_stats(e, list[n].conf.stats % DIVERT_PORTS_MAX, &list[n].stats);
		if (!rc)
			rc = port_alive(e, &list[n].conf);
		if (rc < 0) {
			free(list);
			return rc;
		}
		list[n].alive = rc;
		n++;
	}
	qsort(list, n, sizeof(*list), by_key);
	*ports = list;
	return n;
}
