// SPDX-License-Identifier: BSD-2-Clause
#include "rule_owner.h"

#include <errno.h>
#include <pthread.h>

#include "lib/core/fdtable.h"
#include "lib/core/ring.h"

#define RING_SIZE 4096 /* bytes: the smallest size */

/* Engines that this process can own rules in: one per network namespace that it has used. */
#define OWNERS 16

static struct owner {
	int fd; /* inner; -1: closed */
	uint32_t engine_id, slot;
	uint64_t loaded;
} owners[OWNERS];

static unsigned int n;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A child owns no rules, and must not keep its parent's alive. */
static void in_child(void)
{
	while (n)
		fdtable_close_inner(&owners[--n].fd);
	pthread_mutex_unlock(&lock);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

static struct owner *find(const struct engine *e)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (owners[i].engine_id == e->identity.id && owners[i].loaded == e->identity.loaded)
			return &owners[i];
	return NULL;
}

static int make(struct engine *e, struct owner *o)
{
	int rc, fd = ring_create(RING_SIZE);

	if (fd < 0)
		return fd;
	fd = fdtable_take_inner(fd);
	if (fd < 0)
		return fd;
	rc = engine_owner_add(e, fd, &o->slot);
	if (rc) {
		fdtable_close_inner(&fd);
		return rc;
	}
	o->fd = fd;
	o->engine_id = e->identity.id;
	o->loaded = e->identity.loaded;
	return 0;
}

int rule_owner_slot(struct engine *e, uint32_t *slot)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct owner *o;
	int rc = 0;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&lock);
	o = find(e);
	if (!o) {
		o = &owners[n];
		rc = n < OWNERS ? make(e, o) : -ENOSPC;
		if (!rc)
			n++;
	}
	if (!rc)
		*slot = o->slot;
	pthread_mutex_unlock(&lock);
	return rc;
}

bool rule_owner_has(const struct engine *e, uint32_t *slot)
{
	struct owner *o;

	pthread_mutex_lock(&lock);
	o = find(e);
	if (o)
		*slot = o->slot;
	pthread_mutex_unlock(&lock);
	return o != NULL;
}

void rule_owner_moved(int from, int to)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (owners[i].fd == from)
			owners[i].fd = to;
}
