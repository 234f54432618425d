// SPDX-License-Identifier: BSD-2-Clause
/*
 * epoll_wait(2) reports no descriptor, only the data that the program stored with it. So we keep
 * both. /proc/self/fdinfo shows them, too, for all descriptors of the set. We read it before we
 * drop an event, in case another descriptor has the same data. A set's number that is reused does
 * no harm: we see whatever is added with the same data.
 */
#include "interpose/sets.h"

#include "interpose/again.h"
#include "interpose/next.h"

#include <divert-interposer.h>
#include <divert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define READABLE (EPOLLIN | EPOLLRDNORM)

enum whose_data {
	NOT_KNOWN,
	ITS_OWN,
	OTHERS_TOO,
};

struct member {
	int set, fd;
	struct epoll_event event;
	enum whose_data data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct member *members;
static unsigned int count, room;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, after_fork);
}

/*
 * The next of our sockets in the set, from *at on; NULL: none. Called with the lock held, like the
 * next functions.
 */
static struct member *next_in(int set, unsigned int *at)
{
	while (*at < count)
		if (members[(*at)++].set == set)
			return &members[*at - 1];
	return NULL;
}

/* The same with this data. */
static struct member *next_with(int set, uint64_t data, unsigned int *at)
{
	struct member *m;

	while ((m = next_in(set, at)) && m->event.data.u64 != data)
		;
	return m;
}

static struct member *find(int set, int fd)
{
	unsigned int at = 0;
	struct member *m;

	while ((m = next_in(set, &at)) && m->fd != fd)
		;
	return m;
}

static void forget_data(int set, uint64_t data)
{
	unsigned int at = 0;
	struct member *m;

	while ((m = next_with(set, data, &at)))
		m->data = NOT_KNOWN;
}

static int make_room(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const unsigned int more = room ? room * 2 : 8;
	struct member *larger;

	(void)pthread_once(&once, watch_forks);
	if (count < room)
		return 0;
	larger = reallocarray(members, more, sizeof(*members));
	if (!larger)
		return -1;
	members = larger;
	room = more;
	return 0;
}

static void note(int set, int op, int fd, const struct epoll_event *event)
{
	struct member *m = find(set, fd);

	if (op == EPOLL_CTL_DEL) {
		if (m)
			*m = members[--count];
		return;
	}
	forget_data(set, event->data.u64);
	if (!m)
		m = &members[__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED)];
	*m = (struct member){.set = set, .fd = fd, .event = *event};
}

int sets_change(int set, int op, int fd, struct epoll_event *event)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = make_room() ? -1 : NEXT(epoll_ctl)(set, op, fd, event);
	if (!ret)
		note(set, op, fd, event);
	pthread_mutex_unlock(&lock);
	return ret;
}

/* Programs without divert sockets in sets do not pay for the lock. */
static bool are_any(void)
{
	return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

void sets_changed(int set, const struct epoll_event *event)
{
	if (!are_any())
		return;
	pthread_mutex_lock(&lock);
	forget_data(set, event->data.u64);
	pthread_mutex_unlock(&lock);
}

bool sets_has(int set)
{
	unsigned int at = 0;
	bool has;

	if (!are_any())
		return false;
	pthread_mutex_lock(&lock);
	has = next_in(set, &at);
	pthread_mutex_unlock(&lock);
	return has;
}

/*
 * Does another descriptor in the set have the same data? If that cannot be found out, assume so if
 * the data is 0.
 */
static bool others_have(const struct member *m)
{
	const uint64_t data = m->event.data.u64;
	char name[64], line[256];
	bool have = false;
	uint64_t theirs;
	FILE *info;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", m->set);
	info = fopen(name, "re");
	if (!info)
		return !data;
	while (!have && fgets(line, sizeof(line), info))
		have = sscanf(line, "tfd: %d events: %*x data: %" SCNx64, &fd, &theirs) == 2 &&
		       theirs == data && fd != m->fd && !divert_is_inner(fd);
	fclose(info);
	return have;
}

/* Is an event with this member's data certainly its own? */
static bool is_its_own(struct member *m)
{
	const int saved = errno;

	if (m->data == NOT_KNOWN)
		m->data = others_have(m) ? OTHERS_TOO : ITS_OWN;
	errno = saved;
	return m->data == ITS_OWN;
}

/* If we drop an EPOLLONESHOT event, undo what it did to the set, since it was not reported. */
static void arm_again(const struct member *m)
{
	struct epoll_event event = m->event;
	const int saved = errno;

	if (event.events & EPOLLONESHOT)
		(void)NEXT(epoll_ctl)(m->set, EPOLL_CTL_MOD, m->fd, &event);
	errno = saved;
}

/* Should the program see this read event? */
static bool is_true(int set, uint64_t data)
{
	unsigned int at = 0;
	struct member *m;
	bool is;
	int fd;

	pthread_mutex_lock(&lock);
	m = next_with(set, data, &at);
	is = !m || !is_its_own(m);
	fd = m ? m->fd : -1;
	pthread_mutex_unlock(&lock);
	if (is || divert_ready(fd, 0))
		return true;
	pthread_mutex_lock(&lock);
	m = find(set, fd);
	if (m)
		arm_again(m);
	pthread_mutex_unlock(&lock);
	return false;
}

int sets_keep(int set, struct epoll_event *events, int n)
{
	int i, kept = 0;

	for (i = 0; i < n; i++) {
		if (events[i].events & READABLE && !is_true(set, events[i].data.u64))
			events[i].events &= ~READABLE;
		if (events[i].events)
			events[kept++] = events[i];
	}
	return kept;
}

/* One at a time, so that the lock is not held while libdivert is asked. */
static int next_fd(int set, unsigned int *at)
{
	struct member *m;
	int fd;

	pthread_mutex_lock(&lock);
	m = next_in(set, at);
	fd = m ? m->fd : -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

bool sets_look(int set, int *due)
{
	unsigned int at = 0;
	bool ready = false;
	int fd;

	*due = -1;
	while ((fd = next_fd(set, &at)) >= 0) {
		if (!divert_is(fd))
			continue;
		ready |= divert_ready(fd, 0);
		*due = again_earlier(*due, divert_timeout(fd));
	}
	return ready;
}
