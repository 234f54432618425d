// SPDX-License-Identifier: BSD-2-Clause
/*
 * A sleeping thread polls three descriptors: the ring; an eventfd that shutdown(2) makes readable
 * for good in all processes; and, if other threads could close the socket meanwhile, an eventfd of
 * its own. None of this happens while there are packets.
 */
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fdtable.h"
#include "single.h"

#define LENT_LOOK 200000 /* ns */

/* Allocated on demand and kept: as many as threads have ever slept at once. */
struct waiter {
	struct waiter *next;
	const struct dsock *s; /* the socket that it sleeps on; NULL: free */
	int fd;
	int event; /* inner: an eventfd */
	bool woken;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct waiter *waiters;

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct waiter *make(void)
{
	struct waiter *w = calloc(1, sizeof(*w));
	int fd;

	if (!w)
		return NULL;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->event = fd < 0 ? -errno : fdtable_take_inner(fd);
	if (w->event < 0) {
		free(w);
		return NULL;
	}
	w->next = waiters;
	waiters = w;
	return w;
}

/* NULL: out of memory, then closing the socket does not wake this sleep. */
static struct waiter *begin(const struct dsock *s, int fd)
{
	struct waiter *w;

	pthread_mutex_lock(&lock);
	for (w = waiters; w && w->s; w = w->next)
		;
	if (!w)
		w = make();
	if (w) {
		w->s = s;
		w->fd = fd;
		w->woken = false;
	}
	pthread_mutex_unlock(&lock);
	return w;
}

static void end(struct waiter *w)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	w->s = NULL;
	/* Harmless: the next user of this eventfd wakes up once too often. */
	if (w->woken && syscall(SYS_read, w->event, &n, sizeof(n)) < 0)
		w->woken = false;
	pthread_mutex_unlock(&lock);
}

void wait_closed(const struct dsock *s, int fd)
{
	const uint64_t one = 1;
	struct waiter *w;

	if (is_single_threaded())
		return;
	pthread_mutex_lock(&lock);
	for (w = waiters; w; w = w->next)
		if (w->s == s && w->fd == fd && syscall(SYS_write, w->event, &one, sizeof(one)) > 0)
			w->woken = true;
	pthread_mutex_unlock(&lock);
}

void wait_moved(int fd, int to)
{
	struct waiter *w;

	pthread_mutex_lock(&lock);
	for (w = waiters; w; w = w->next)
		if (w->event == fd)
			w->event = to;
	pthread_mutex_unlock(&lock);
}

void wait_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void wait_after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/* The sleeping threads exist only in the parent, so free their waiters and eventfds. */
void wait_in_child(void)
{
	struct waiter *w;

	while (waiters) {
		w = waiters;
		waiters = w->next;
		fdtable_close_inner(&w->event);
		free(w);
	}
	pthread_mutex_unlock(&lock);
}

/*
 * ppoll(2) is never restarted after a signal, while recvfrom(2) is, if the handler has SA_RESTART
 * (signal(7)). We do not know which handler ran: restart only if all of them have it.
 */
static bool restartable(void)
{
	struct sigaction act;
	int sig;

	for (sig = 1; sig < NSIG; sig++) {
		if (sigaction(sig, NULL, &act))
			continue;
		if (act.sa_handler != SIG_DFL && act.sa_handler != SIG_IGN &&
		    !(act.sa_flags & SA_RESTART))
			return false;
	}
	return true;
}

/* As wait_readable(). */
static int sleep_on(struct pollfd *p, nfds_t n, int64_t deadline, int64_t look)
{
	struct timespec left, *timeout = NULL;
	int64_t until = deadline, ns;

	if (look && (!deadline || look < deadline))
		until = look;
	if (until) {
		ns = until - now_ns();
		if (ns <= 0)
			return until == deadline ? -EAGAIN : 0;
		left.tv_sec = ns / 1000000000;
		left.tv_nsec = ns % 1000000000;
		timeout = &left;
	}
	switch (ppoll(p, n, timeout, NULL)) {
	case 0:
		return until == deadline ? -EAGAIN : 0;
	case -1:
		return errno == EINTR && !deadline && restartable() ? 0 : -errno;
	}
	return p->revents & POLLNVAL ? -EBADF : 0;
}

int wait_readable(struct dsock *s, int fd, int64_t deadline, int64_t look)
{
	struct pollfd p[] = {
		{.fd = fd, .events = POLLIN},
		{.fd = s->shut, .events = POLLIN},
		{.fd = -1, .events = POLLIN},
	};
	struct waiter *w = NULL;
	int64_t soon;
	int rc;

	/* while packets are lent the ring is never empty, and the kernel wakes nobody */
	if (s->ring.holding) {
		soon = now_ns() + LENT_LOOK;
		look = look && look < soon ? look : soon;
		p[0].fd = -1;
	}
	if (!is_single_threaded()) {
		w = begin(s, fd);
		if (w)
			p[2].fd = w->event;
	}
	/* whoever closes fd removes it from the table before it looks for waiters */
	rc = fdtable_get(fd) == s ? sleep_on(p, 3, deadline, look) : -EBADF;
	if (w)
		end(w);
	return fdtable_get(fd) == s ? rc : -EBADF;
}
