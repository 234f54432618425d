// SPDX-License-Identifier: BSD-2-Clause
/* Sockets: which live, and binding them to ports. */
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <bpf/bpf.h>

#include "back.h"
#include "error.h"
#include "port.h"

/*
 * Sockets that died whose slots are taken back when one is bound: the kernel waits, 10 to 25 ms, for
 * each. More than this die together rarely; the next ones take those back.
 */
#define FORGET_AT_ONCE 8

#define LOOKS 12

/*
 * Only the kernel half can see whether a ring is held, so it is asked: with a
 * frame on lo that it refuses if so.
 */
int engine_slot_alive(struct engine *e, uint32_t slot)
{
	struct divert_frame frame;

	if (e->asker < 0)
		e->asker = back_open(e->identity.mark);
	if (e->asker < 0)
		return engine_fail_errno(e->asker, "a packet socket");
	back_frame(&frame, ETH_P_IP);
	frame.back.ifindex = slot;
	frame.back.flags |= DIVERT_BACK_QUERY;
	if (send(e->asker, &frame, sizeof(frame), 0) >= 0)
		return 0;
	return errno == ENOBUFS ? 1 : engine_fail_errno(-errno, "asking the engine");
}

/*
 * Whoever lists maps (bpftool does) holds a dead ring for a moment, and whoever was killed is not
 * gone at once: more looks, a little later, before it is said to be in use.
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

int port_alive(struct engine *e, const struct divert_port *port)
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

/* ---- slots ---- */

/* Of the port's sockets, those that have died are bound no more: how many, `most` at most. */
static int forget_dead_of(struct engine *e, uint32_t key, int most)
{
	struct divert_port port;
	int i, rc, n = 0;

	if (port_get(e, key, &port))
		return 0;
	for (i = 0; i < DIVERT_GROUP_MAX && n < most; i++) {
		if (!(port.members & 1u << i))
			continue;
		rc = engine_slot_alive(e, port.slot[i]);
		if (!rc) {
			rc = engine_port_release(e, key, port.slot[i]);
			n++;
		}
		if (rc < 0)
			return rc;
	}
	return n;
}

/*
 * The same of all ports. A socket dies without a word, and its slot keeps its buffer, which is
 * megabytes.
 */
static int forget_dead(struct engine *e, int most)
{
	uint32_t key, *from = NULL;
	int rc = 0, n = 0;

	while (rc >= 0 && n < most && !bpf_map_get_next_key(e->map[ENGINE_PORTS], from, &key)) {
		from = &key;
		rc = forget_dead_of(e, key, most - n);
		n += rc;
	}
	return rc < 0 ? rc : n;
}

static int free_slot(struct engine *e, uint32_t *slot)
{
	uint32_t i, id;
	int rc;

	for (i = 0; i < DIVERT_SOCKETS_MAX; i++) {
		if (bpf_map_lookup_elem(e->map[ENGINE_SOCKETS], &i, &id)) {
			if (errno != ENOENT)
				return engine_fail_errno(-errno, "sockets");
			*slot = i;
			return 0;
		}
	}
	rc = forget_dead(e, 1);
	if (rc)
		return rc < 0 ? rc : free_slot(e, slot);
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

	rc = forget_dead(e, FORGET_AT_ONCE);
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
	rc = free_slot(e, slot);
	if (rc)
		return rc;
	if (bpf_map_update_elem(e->map[ENGINE_SOCKET_CONF], slot, conf, BPF_ANY) ||
	    bpf_map_update_elem(e->map[ENGINE_SOCKETS], slot, &ring_fd, BPF_ANY))
		return engine_fail_errno(-errno, "port %u", key & 0xffff);
	*stats = port.stats;
	if (!port.members)
		port.flags &= ~DIVERT_PORT_SHARED;
	if (shared)
		port.flags |= DIVERT_PORT_SHARED;
	port.members |= 1u << at;
	port.slot[at] = *slot;
	return port_put(e, key, &port);
}

int engine_port_release(struct engine *e, uint32_t key, uint32_t slot)
{
	struct divert_port port;
	int i, rc = port_get(e, key, &port);

	if (rc)
		return rc;
	for (i = 0; i < DIVERT_GROUP_MAX; i++)
		if (port.members & 1u << i && port.slot[i] == slot)
			break;
	if (i == DIVERT_GROUP_MAX)
		return 0; /* it is somebody else's by now */
	port.members &= ~(1u << i);
	rc = port_put(e, key, &port);
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
		if (port_get(e, key, &port))
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
		return engine_fail_errno(-errno, "a slot for an owner of rules");
	return 0;
}
