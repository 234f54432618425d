// SPDX-License-Identifier: BSD-2-Clause
/* Binds sockets to ports. */
#include <errno.h>
#include <time.h>

#include <bpf/bpf.h>

#include "error.h"
#include "flows.h"
#include "port.h"

#define LOOKS 12

/*
 * A tool that lists maps, such as bpftool, holds a dead ring for a moment, and a killed process
 * takes time to disappear. So try several times before reporting that the port is in use.
 */
static int alive_for_sure(struct engine *e, uint32_t slot)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	int i, rc = 1;

	for (i = 0; i < LOOKS && rc > 0; i++) {
		if (i)
			nanosleep(&moment, NULL);
		rc = engine_slot_alive(e, slot);
	}
	return rc;
}

/* ---- slots ---- */

static int free_slot(struct engine *e, uint32_t *slot)
{
	struct divert_socket conf;
	uint32_t i, id;

	for (i = 0; i < DIVERT_SOCKETS_MAX; i++) {
		if (!bpf_map_lookup_elem(e->map[ENGINE_SOCKET_CONF], &i, &conf) &&
		    (conf.limit || conf.flags))
			continue; /* taken; testing for life may wait: see port_slots() */
		if (bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &i, &id)) {
			if (errno != ENOENT)
				return engine_fail_errno(-errno, "sockets");
			*slot = i;
			return 0;
		}
	}
	return engine_fail(-ENOSPC,
			   "%u sockets are bound, no room for another; 'divertctl status' lists "
			   "them",
			   DIVERT_SOCKETS_MAX);
}

/* ---- binding ---- */

static int in_use(const struct engine *e, uint32_t key, uint32_t slot)
{
	char names[128];

	engine_holders(e, slot, names, sizeof(names));
	return engine_fail(-EADDRINUSE,
			   "port %u: %s is bound to it: end it, take another port, or set "
			   "SO_REUSEPORT in both",
			   key & 0xffff, *names ? names : "another program");
}

/* Find an index in the port's table for a socket; entries of dead sockets are freed. */
static int free_member(struct engine *e, uint32_t key, struct divert_port *port, bool shared)
{
	int i, rc, at = -1;

	for (i = 0; i < DIVERT_GROUP_MAX; i++) {
		if (!(port->members & 1u << i)) {
			at = at < 0 ? i : at;
			continue;
		}
		if (shared && port->flags & DIVERT_PORT_SHARED && at >= 0)
			continue; /* one index is enough */
		rc = alive_for_sure(e, port->slot[i]);
		if (rc < 0)
			return rc;
		if (!rc) {
			rc = port_bury(e, key, port->slot[i]);
			if (rc)
				return rc;
			port->members &= ~(1u << i);
			at = at < 0 ? i : at;
		} else if (!shared || !(port->flags & DIVERT_PORT_SHARED)) {
			return in_use(e, key, port->slot[i]);
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
	int at, rc;

	rc = port_sweep(e);
	if (rc < 0)
		return rc;
	rc = engine_ports_add(e, &key, 1);
	if (!rc)
		rc = port_get(e, key, &port);
	if (rc)
		return rc;
	at = free_member(e, key, &port, shared);
	if (at < 0)
		return at;
	rc = flows_begin(e, FLOWS_RELEASED);
	if (!rc)
		rc = free_slot(e, slot);
	if (rc)
		return rc;
	if (bpf_map_update_elem(e->map[ENGINE_SOCKET_CONF], slot, conf, BPF_ANY) ||
	    bpf_map_update_elem(e->map[ENGINE_SOCKETS], slot, &ring_fd, BPF_ANY))
		return engine_fail_errno(-errno, "port %u", key & 0xffff);
	*stats = port.stats;
	if (!port.members) {
		port.flags &= ~DIVERT_PORT_SHARED;
		port.generation = flows_generation(e, port.stats);
	}
	if (shared)
		port.flags |= DIVERT_PORT_SHARED;
	port.members |= 1u << at;
	port.slot[at] = *slot;
	return port_put(e, key, &port);
}

static int forget_owners(struct engine *e)
{
	const struct divert_socket none = {};
	uint32_t slot[DIVERT_SOCKETS_MAX], i, n = port_slots(e, true, slot);
	int rc = 0;

	for (i = 0; i < n && rc >= 0; i++) {
		rc = engine_slot_alive(e, slot[i]);
		if (rc)
			continue;
		bpf_map_delete_elem(e->map[ENGINE_SOCKETS], &slot[i]);
		bpf_map_update_elem(e->map[ENGINE_SOCKET_CONF], &slot[i], &none, BPF_ANY);
	}
	return rc < 0 ? rc : 0;
}

int engine_owner_add(struct engine *e, int ring_fd, uint32_t *slot)
{
	const struct divert_socket owner = {.flags = DIVERT_SOCK_OWNER};
	int rc = port_sweep(e);

	if (rc >= 0)
		rc = forget_owners(e);
	if (!rc)
		rc = free_slot(e, slot);
	if (rc)
		return rc;
	if (bpf_map_update_elem(e->map[ENGINE_SOCKET_CONF], slot, &owner, BPF_ANY) ||
	    bpf_map_update_elem(e->map[ENGINE_SOCKETS], slot, &ring_fd, BPF_ANY))
		return engine_fail_errno(-errno, "a slot for an owner of rules");
	return 0;
}
