// SPDX-License-Identifier: BSD-2-Clause
#include "forks.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bias.h"
#include "defer.h"
#include "single.h"
#include "socket.h"
#include "table.h"
#include "train.h"
#include "wait.h"

#define ANCESTORS  4  /* generations: a daemon has one or two */
#define LOOK_EVERY 32 /* packets: to look takes system calls */

static bool forked;

/*
 * Those that this process descends from, since forks are watched; and how many forks there have been
 * in all of them together, in memory that they share. As many as there are ancestors: then there is
 * nobody else.
 */
static pid_t ancestors[ANCESTORS];
static pid_t parent;
static unsigned int generations;
static unsigned int *forks;

static void before_fork(void)
{
	struct dsock *s;
	int fd;

	forked = true;
	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1)) {
		s = table_get(fd);
		bias_share(s);
		ring_share(&s->ring);
		socket_unlock(s, true);
	}
	if (forks)
		__atomic_add_fetch(forks, 1, __ATOMIC_RELAXED);
	parent = getpid(); /* its child may come too late to ask for it */
	train_before_fork();
	wait_before_fork();
}

static void after_fork(void)
{
	wait_after_fork();
	train_after_fork();
}

/*
 * Fragments that wait are the parent's. Not freed: another thread may have been in the midst
 * of them.
 */
static void in_child(void)
{
	struct dsock *s;
	int fd;

	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1)) {
		s = table_get(fd);
		s->whole = NULL;
		defer_free(s);
		bias_in_child(s);
	}
	/* the first one of a pid namespace: its ancestors are not to be found from there */
	if (getpid() == 1)
		generations = ANCESTORS;
	if (generations < ANCESTORS)
		ancestors[generations] = parent;
	generations++;
	wait_in_child();
	train_after_fork();
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

/* It may be that nobody has waited for it yet. */
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

	if (!forked || !is_single_threaded() || !forks || !generations || generations > ANCESTORS ||
	    ++asked % LOOK_EVERY || __atomic_load_n(forks, __ATOMIC_RELAXED) != generations)
		return;
	for (i = 0; i < generations; i++)
		if (!has_ended(ancestors[i]))
			return;
	forked = false;
	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1))
		ring_unshare(&table_get(fd)->ring);
}

bool forks_alone(void)
{
	return !forked;
}
