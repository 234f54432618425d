// SPDX-License-Identifier: BSD-2-Clause
/* Ports: who is bound to them, and their counters. */
#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "back.h"
#include "engine.h"
#include "error.h"

/* Index 0 of the counters belongs to no port. */
#define STATS_FIRST 1

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
	[DIVERT_N_MALFORMED] = {"malformed", "no IP packet after all: left to the stack"},
	[DIVERT_N_BAD_CHECKSUM] = {"bad-checksum",
				   "written inbound with a wrong header checksum: dropped"},
	[DIVERT_N_BAD_FRAME] = {"bad-frame", "a frame for the engine that it does not know"},
	[DIVERT_N_NO_INTERFACE] = {"no-interface", "written for an interface that is gone"},
	[DIVERT_N_IF_DOWN] = {"interface-down", "written for an interface that is down"},
	[DIVERT_N_NO_ROUTE] = {"no-route", "written outbound, no route"},
	[DIVERT_N_UNROUTED] = {"asked-route", "written outbound, way found in a second try"},
	[DIVERT_N_TOO_BIG] = {"too-big", "written outbound above the MTU"},
	[DIVERT_N_LOOP] = {"loop", "written back too often: dropped"},
	[DIVERT_N_TRUNCATED] = {"truncated", "read into a buffer that was too short"},
	[DIVERT_N_FRAG_TIMEOUT] = {"frag-timeout", "fragments whose packet did not get complete"},
	[DIVERT_N_FRAG_OVERLAP] = {"frag-overlap", "fragments that overlapped: packet dropped"},
	[DIVERT_N_FRAG_DUP] = {"frag-duplicate", "fragments that were there already"},
	[DIVERT_N_FRAG_FULL] = {"frag-full", "fragments for which there was no room"},
	[DIVERT_N_FRAG_BAD] = {"frag-bad", "fragments that no packet can have"},
	[DIVERT_N_ENTERED] = {"entered", "written, and past its tag in the rules"},
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

/* ---- the table ---- */

static int get_port(struct engine *e, uint32_t key, struct divert_port *port)
{
	return bpf_map_lookup_elem(e->map[ENGINE_PORTS], &key, port) ? -errno : 0;
}

static int put_port(struct engine *e, uint32_t key, const struct divert_port *port)
{
	if (!bpf_map_update_elem(e->map[ENGINE_PORTS], &key, port, BPF_ANY))
		return 0;
	if (errno == E2BIG || errno == ENOMEM)
		return engine_fail(-ENOSPC, "port %u: no room, %u ports are in use", key & 0xffff,
				   DIVERT_PORTS_MAX);
	return engine_fail(-errno, "port %u: %s", key & 0xffff, strerror(errno));
}

/* The lowest index that no port has; 0: none is left. */
static uint32_t free_stats(struct engine *e)
{
	uint8_t *used = calloc(1, DIVERT_PORTS_MAX);
	uint32_t key, index = 0, *from = NULL;
	struct divert_port port;

	if (!used)
		return 0;
	while (!bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		if (!get_port(e, key, &port) && port.stats < DIVERT_PORTS_MAX)
			used[port.stats] = 1;
		from = &key;
	}
	for (index = STATS_FIRST; index < DIVERT_PORTS_MAX && used[index]; index++)
		;
	free(used);
	return index < DIVERT_PORTS_MAX ? index : 0;
}

static int zero_stats(struct engine *e, uint32_t index)
{
	int n = libbpf_num_possible_cpus();
	struct divert_port_stats *cpu = n > 0 ? calloc(n, sizeof(*cpu)) : NULL;
	int rc = 0;

	if (!cpu)
		return engine_fail(-ENOMEM, "no memory for counters");
	if (bpf_map_update_elem(e->map[ENGINE_PORT_STATS], &index, cpu, BPF_EXIST))
		rc = engine_fail(-errno, "counters: %s", strerror(errno));
	free(cpu);
	return rc;
}

int engine_port_add(struct engine *e, uint32_t key)
{
	struct divert_port port = {};
	int rc = get_port(e, key, &port);

	if (rc != -ENOENT)
		return rc;
	port.stats = free_stats(e);
	if (!port.stats)
		return engine_fail(-ENOSPC, "port %u: no room, %u ports are in use", key & 0xffff,
				   DIVERT_PORTS_MAX - STATS_FIRST);
	rc = zero_stats(e, port.stats);
	return rc ? rc : put_port(e, key, &port);
}

/* ---- binding ---- */

/*
 * Only the kernel half can see whether a ring is held, so it is asked: with a
 * frame on lo that it refuses if so. fd: a packet socket that has the mark.
 */
static int ask_alive(int fd, uint32_t slot)
{
	struct divert_frame frame;

	back_frame(&frame, ETH_P_IP);
	frame.back.ifindex = slot;
	frame.back.flags |= DIVERT_BACK_QUERY;
	if (send(fd, &frame, sizeof(frame), 0) >= 0)
		return 0;
	return errno == ENOBUFS ? 1 : -errno;
}

int engine_slot_alive(struct engine *e, uint32_t slot)
{
	int rc, fd = back_open(e->identity.mark);

	if (fd < 0)
		return engine_fail(fd, "a packet socket: %s", strerror(-fd));
	rc = ask_alive(fd, slot);
	close(fd);
	return rc < 0 ? engine_fail(rc, "asking the engine: %s", strerror(-rc)) : rc;
}

/*
 * Whoever lists maps (bpftool does) holds a dead ring for a moment: a second
 * look, a little later, before it is said to be in use.
 */
static int alive_for_sure(struct engine *e, uint32_t slot)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	int i, rc = 1;

	for (i = 0; i < 3 && rc > 0; i++) {
		if (i)
			nanosleep(&moment, NULL);
		rc = engine_slot_alive(e, slot);
	}
	return rc;
}

/* The first of the port's sockets that has died; its slot is free then. 0: none has. */
static int forget_dead(struct engine *e, uint32_t key, const struct divert_port *port)
{
	int i, rc;

	for (i = 0; i < DIVERT_GROUP_MAX; i++) {
		if (!(port->members & 1u << i))
			continue;
		rc = engine_slot_alive(e, port->slot[i]);
		if (rc < 0)
			return rc;
		if (!rc) {
			rc = engine_port_release(e, key, port->slot[i]);
			return rc ? rc : 1;
		}
	}
	return 0;
}

static int free_slot(struct engine *e, uint32_t *slot)
{
	uint32_t i, id, key, *from = NULL;
	struct divert_port port;
	int rc;

	for (i = 0; i < DIVERT_SOCKETS_MAX; i++) {
		if (bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &i, &id)) {
			if (errno != ENOENT)
				return engine_fail(-errno, "sockets: %s", strerror(errno));
			*slot = i;
			return 0;
		}
	}
	/* all taken, but some by sockets that died without a word? */
	while (!bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		if (get_port(e, key, &port))
			continue;
		rc = forget_dead(e, key, &port);
		if (rc)
			return rc < 0 ? rc : free_slot(e, slot);
	}
	return engine_fail(-ENOSPC, "%u sockets are bound, no room for another",
			   DIVERT_SOCKETS_MAX);
}

/* Where in the port's table a socket is to stand; those that have died make room. */
static int free_member(struct engine *e, uint32_t key, struct divert_port *port, bool shared)
{
	int i, rc, at = -1;

	for (i = 0; i < DIVERT_GROUP_MAX; i++) {
		if (!(port->members & 1u << i)) {
			at = at < 0 ? i : at;
			continue;
		}
		if (shared && port->flags & DIVERT_PORT_SHARED && at >= 0)
			continue; /* one place is enough */
		rc = alive_for_sure(e, port->slot[i]);
		if (rc < 0)
			return rc;
		if (!rc) {
			rc = engine_port_release(e, key, port->slot[i]);
			if (rc)
				return rc;
			port->members &= ~(1u << i);
			at = at < 0 ? i : at;
		} else if (!shared || !(port->flags & DIVERT_PORT_SHARED)) {
			return engine_fail(-EADDRINUSE, "port %u: another socket is bound to it",
					   key & 0xffff);
		}
	}
	if (at < 0)
		return engine_fail(-ENOSPC, "port %u: %u sockets share it, no room for another",
				   key & 0xffff, DIVERT_GROUP_MAX);
	return at;
}

int engine_port_bind(struct engine *e, uint32_t key, int ring_fd, bool shared,
		     const struct divert_socket *conf, uint32_t *slot, uint32_t *stats)
{
	struct divert_port port;
	int at, rc = engine_port_add(e, key);

	if (!rc)
		rc = get_port(e, key, &port);
	if (rc)
		return rc;
	at = free_member(e, key, &port, shared);
	if (at < 0)
		return at;
	rc = free_slot(e, slot);
	if (rc)
		return rc;
	if (bpf_map_update_elem(e->map[ENGINE_SOCKET_CONF], slot, conf, BPF_ANY) ||
	    bpf_map_update_elem(e->map[ENGINE_SOCKETS], slot, &ring_fd, BPF_ANY))
		return engine_fail(-errno, "port %u: %s", key & 0xffff, strerror(errno));
	*stats = port.stats;
	if (!port.members)
		port.flags &= ~DIVERT_PORT_SHARED;
	if (shared)
		port.flags |= DIVERT_PORT_SHARED;
	port.members |= 1u << at;
	port.slot[at] = *slot;
	return put_port(e, key, &port);
}

int engine_port_release(struct engine *e, uint32_t key, uint32_t slot)
{
	struct divert_port port;
	int i, rc = get_port(e, key, &port);

	if (rc)
		return rc;
	for (i = 0; i < DIVERT_GROUP_MAX; i++)
		if (port.members & 1u << i && port.slot[i] == slot)
			break;
	if (i == DIVERT_GROUP_MAX)
		return 0; /* it is somebody else's by now */
	port.members &= ~(1u << i);
	rc = put_port(e, key, &port);
	bpf_map_delete_elem(e->map[ENGINE_SOCKETS], &slot);
	return rc;
}

/* Which slots sockets have. */
static void members_of(struct engine *e, uint8_t *used)
{
	uint32_t key, *from = NULL;
	struct divert_port port;
	int i;

	while (!bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		if (get_port(e, key, &port))
			continue;
		for (i = 0; i < DIVERT_GROUP_MAX; i++)
			if (port.members & 1u << i && port.slot[i] < DIVERT_SOCKETS_MAX)
				used[port.slot[i]] = 1;
	}
}

/* A slot that is no socket's is an owner's. */
static int forget_owners(struct engine *e)
{
	uint8_t *used = calloc(1, DIVERT_SOCKETS_MAX);
	uint32_t i, id;
	int rc = 0;

	if (!used)
		return engine_fail(-ENOMEM, "no memory for the list of slots");
	members_of(e, used);
	for (i = 0; i < DIVERT_SOCKETS_MAX && rc >= 0; i++) {
		if (used[i] || bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &i, &id))
			continue;
		rc = engine_slot_alive(e, i);
		if (!rc)
			bpf_map_delete_elem(e->map[ENGINE_SOCKETS], &i);
	}
	free(used);
	return rc < 0 ? rc : 0;
}

int engine_owner_add(struct engine *e, int ring_fd, uint32_t *slot)
{
	int rc = forget_owners(e);

	if (!rc)
		rc = free_slot(e, slot);
	if (rc)
		return rc;
	if (bpf_map_update_elem(e->map[ENGINE_SOCKETS], slot, &ring_fd, BPF_ANY))
		return engine_fail(-errno, "a slot for an owner of rules: %s", strerror(errno));
	return 0;
}

/* ---- looking ---- */

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
		return engine_fail(n, "counters: %s", strerror(-n));
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

static int count_alive(struct engine *e, const struct divert_port *port)
{
	int i, rc, n = 0;

	for (i = 0; i < DIVERT_GROUP_MAX; i++) {
		if (!(port->members & 1u << i))
			continue;
		rc = engine_slot_alive(e, port->slot[i]);
		if (rc < 0)
			return rc;
		n += rc;
	}
	return n;
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
		if (get_port(e, key, &list[n].conf))
			continue;
		rc = get_stats(e, list[n].conf.stats, &list[n].stats);
		if (!rc)
			rc = count_alive(e, &list[n].conf);
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
