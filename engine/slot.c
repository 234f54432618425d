// SPDX-License-Identifier: BSD-2-Clause
/* The slots of sockets and of owners of rules: which are taken, and which of these live. */
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "error.h"
#include "port.h"
#include "reinject.h"

/*
 * Only the kernel half can see whether a ring is held, so it is asked: with a
 * frame on lo that it refuses if so.
 */
int engine_slot_alive(struct engine *e, uint32_t slot)
{
	struct divert_frame frame;

	if (e->asker < 0)
		e->asker = reinject_open_engine(e);
	if (e->asker < 0)
		return engine_fail_errno(e->asker, "a packet socket");
	reinject_frame(&frame, ETH_P_IP);
	frame.reinject.ifindex = slot;
	frame.reinject.flags |= DIVERT_REINJECT_QUERY;
	if (send(e->asker, &frame, sizeof(frame), 0) >= 0)
		return 0;
	return errno == ENOBUFS ? 1 : engine_fail_errno(-errno, "asking the engine");
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

static void confs_one_by_one(const struct engine *e, struct divert_socket *conf)
{
	uint32_t i;

	for (i = 0; i < DIVERT_SOCKETS_MAX; i++)
		bpf_map_lookup_elem(e->map[ENGINE_SOCKET_CONF], &i, &conf[i]);
}

/* Not by the map of their rings: for each look into that Linux before 6.8 waits, 10 to 25 ms. */
uint32_t port_slots(const struct engine *e, bool owners, uint32_t slot[DIVERT_SOCKETS_MAX])
{
	struct divert_socket *conf = calloc(DIVERT_SOCKETS_MAX, sizeof(*conf));
	uint32_t n = DIVERT_SOCKETS_MAX, next, i;

	if (!conf)
		return 0;
	/* at the end of the map it says ENOENT */
	if (bpf_map_lookup_batch(e->map[ENGINE_SOCKET_CONF], NULL, &next, slot, conf, &n, NULL) &&
	    errno != ENOENT)
		confs_one_by_one(e, conf);
	for (i = n = 0; i < DIVERT_SOCKETS_MAX; i++)
		if (owners ? conf[i].flags & DIVERT_SOCK_OWNER : conf[i].limit)
			slot[n++] = i;
	free(conf);
	return n;
}
