// SPDX-License-Identifier: BSD-2-Clause
#include "forks.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/core/single.h"
#include "lib/core/socket.h"
#include "lib/core/wait.h"
#include "lib/inject/bulk.h"
#include "lib/inject/coalesce.h"

#define ANCESTORS  4  /* generations: a daemon has one or two */
#define LOOK_EVERY 32 /* packets; each check takes system calls */

/*
 * The processes that this one descends from, as far as forks were watched, and the number of forks
 * in all of them, in shared memory. If that is the number of our ancestors, no other process has
 * the sockets.
 */
static pid_t ancestors[ANCESTORS];
static pid_t parent;
static unsigned int generations;
static unsigned int *forks;
static bool threads; /* were there several at the last fork? */

static void before_fork(void)
{
	struct dsock *s;
	int fd;

	__atomic_store_n(&biased_lock_forked, true, __ATOMIC_RELAXED);
	threads = !is_single_threaded();
	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1)) {
		s = socket_get(fd);
		if (!s)
			continue; /* another thread has closed it just now */
		biased_lock_share(s);
		ring_share(&s->ring);
		socket_unlock(s, true);
		socket_put(s);
	}
	if (forks)
		__atomic_add_fetch(forks, 1, __ATOMIC_RELAXED);
	parent = getpid(); /* the child could ask too late, when its parent has ended */
	bulk_before_fork();
	wait_before_fork();
}

static void after_fork(void)
{
	wait_after_fork();
	bulk_after_fork();
}

/* The child does not have other threads' calls: count only the descriptors as references. */
static void count_users(void)
{
	int fd;

	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1))
		fdtable_get(fd)->users = 0;
	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1))
		fdtable_get(fd)->users++;
}

/*
 * Waiting fragments are the parent's. They are not freed, because another thread may have been
 * changing them.
 */
static void in_child(void)
{
	struct dsock *s;
	int fd;

	if (threads)
		count_users();
	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1)) {
		s = fdtable_get(fd);
		if (threads)
			metacache_in_child(&s->metacache);
		s->whole = NULL;
		coalesce_free(s);
		biased_lock_in_child(s);
	}
	/* the first process of a pid namespace cannot see its ancestors */
	if (getpid() == 1)
		generations = ANCESTORS;
	if (generations < ANCESTORS)
		ancestors[generations] = parent;
	generations++;
	wait_in_child();
	bulk_after_fork();
}

static void begin(void)
{
	void *page = mmap(NULL, sizeof(*forks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);

	forks = page == MAP_FAILED ? NULL : page;
	pthread_atfork(before_fork, after_fork, in_child);
}

void forks_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, begin);
}

/* Has it ended, even if only as a zombie? */
static bool has_ended(pid_t pid)
{
	const int saved = errno;
	struct pollfd p = {.fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	bool ended = p.fd < 0 ? errno == ESRCH : poll(&p, 1, 0) > 0;

	if (p.fd >= 0)
		syscall(SYS_close, p.fd);
	errno = saved;
	return ended;
}

void forks_look(void)
{
	static unsigned int asked;
	unsigned int i;
	int fd;

	if (!__atomic_load_n(&biased_lock_forked, __ATOMIC_RELAXED) || !is_single_threaded() ||
	    !forks || !generations || generations > ANCESTORS || ++asked % LOOK_EVERY ||
	    __atomic_load_n(forks, __ATOMIC_RELAXED) != generations)
		return;
	for (i = 0; i < generations; i++)
		if (!has_ended(ancestors[i]))
			return;
	__atomic_store_n(&biased_lock_forked, false, __ATOMIC_RELAXED);
	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1))
		ring_unshare(&fdtable_get(fd)->ring);
}
