// SPDX-License-Identifier: BSD-2-Clause
/*
 * poll(2) and select(2); for epoll(7) see interpose/epoll.c. A divert socket's descriptor is
 * readable when a record has come, but that may be a fragment of an incomplete packet: then we go
 * on waiting. The descriptor is never writable, so we report it always writable, like a raw socket.
 * libdivert knows without a system call whether there is a packet, so polling before each packet is
 * cheap.
 */
#include "interpose/next.h"

#include "interpose/again.h"
#include "interpose/child.h"

#include <divert-interposer.h>
#include <divert.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/select.h>

/* glibc declares poll()'s array write-only, but only revents is. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define READABLE (POLLIN | POLLRDNORM)
#define WRITABLE (POLLOUT | POLLWRNORM)

/* With other descriptors beside divert sockets, ask the kernel at least once in so many calls. */
#define OTHERS 16

static bool asks_to_write(const struct pollfd *p)
{
	return p->events & WRITABLE && divert_is(p->fd);
}

static bool asks_to_read(const struct pollfd *p)
{
	return p->events & READABLE && divert_is(p->fd);
}

/*
 * Does the call concern divert sockets? Without them it must not cost a look at each. libdivert
 * itself waits with this function, too, for any record: only its calls have inner descriptors.
 */
static bool concerns(const struct pollfd *fds, nfds_t n)
{
	bool does = false;
	nfds_t i;

	if (!children_watched() || !fds) /* NULL: let the kernel report it */
		return false;
	for (i = 0; i < n && !divert_is_inner(fds[i].fd); i++)
		does |= asks_to_write(&fds[i]) || asks_to_read(&fds[i]);
	return does && i == n;
}

static bool any_asks_to_write(const struct pollfd *fds, nfds_t n)
{
	nfds_t i;

	for (i = 0; i < n; i++)
		if (asks_to_write(&fds[i]))
			return true;
	return false;
}

/*
 * ready: the kernel's result. Checks all divert sockets, and clears read events of those that have
 * nothing to receive.
 */
static int keep_true(struct pollfd *fds, nfds_t n, int ready)
{
	nfds_t i;

	for (i = 0; i < n && ready >= 0; i++) {
		if (!asks_to_read(&fds[i]) || (ready && !(fds[i].revents & READABLE)) ||
		    divert_ready(fds[i].fd, 0) || !fds[i].revents)
			continue;
		fds[i].revents &= ~READABLE;
		ready -= !fds[i].revents;
	}
	return ready;
}

static int due(const struct pollfd *fds, nfds_t n)
{
	int ms = -1;
	nfds_t i;

	for (i = 0; i < n; i++)
		if (asks_to_read(&fds[i]))
			ms = again_earlier(ms, divert_timeout(fds[i].fd));
	return ms;
}

/* ready: the kernel's result. */
static int add_writable(struct pollfd *fds, nfds_t n, int ready)
{
	nfds_t i;

	if (ready < 0)
		return ready;
	for (i = 0; i < n; i++) {
		if (!asks_to_write(&fds[i]))
			continue;
		if (!fds[i].revents)
			ready++;
		fds[i].revents |= fds[i].events & WRITABLE;
	}
	return ready;
}

/* Is it time to ask about the other descriptors, too? Threads share the counter. */
static bool others_turn(void)
{
	static unsigned int calls;

	return !(__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % OTHERS);
}

/*
 * Fill in what libdivert knows without the kernel. Returns how many are ready; 0: ask the kernel,
 * also about reading. wait: poll the ring for a while.
 */
static int at_hand(struct pollfd *fds, nfds_t n, bool wait)
{
	int ours = 0, readers = 0, ready = 0;
	nfds_t i;

	if (!children_watched() || !fds)
		return 0;
	for (i = 0; i < n; i++)
		if (fds[i].fd < 0 || divert_is(fds[i].fd)) {
			ours++;
			readers += fds[i].fd >= 0 && fds[i].events & READABLE;
		}
	for (i = 0; i < n && readers; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0 || !divert_is(fds[i].fd))
			continue;
		if (fds[i].events & READABLE && divert_ready(fds[i].fd, wait && readers == 1) == 1)
			fds[i].revents = fds[i].events & READABLE;
		fds[i].revents |= fds[i].events & WRITABLE;
		ready += fds[i].revents != 0;
	}
	return ready && ((nfds_t)ours == n || !others_turn()) ? ready : 0;
}

/* ppoll(2) with divert sockets. */
static int wait_for(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		    const sigset_t *mask)
{
	const bool writes = any_asks_to_write(fds, n);
	const struct timespec none = {0};
	struct again again;
	int ready;

	again_begin(&again, writes ? &none : timeout, mask);
	do {
		ready = NEXT(ppoll)(fds, n, again_time(&again, due(fds, n)), again.mask);
		ready = add_writable(fds, n, keep_true(fds, n, ready));
	} while (!ready && again_more(&again, &ready));
	again_end(&again);
	return ready;
}

PUBLIC int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int ready = at_hand(fds, n, timeout != 0);
	struct timespec t;

	if (ready)
		return ready;
	if (!concerns(fds, n))
		return NEXT(poll)(fds, n, timeout);
	return wait_for(fds, n, again_ms(timeout, &t), NULL);
}

PUBLIC int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	/* with a mask, the call must let signals in, too */
	int ready = at_hand(fds, n, !mask && (!timeout || timeout->tv_sec || timeout->tv_nsec));

	if (ready && !mask)
		return ready;
	if (!concerns(fds, n))
		return NEXT(ppoll)(fds, n, timeout, mask);
	return wait_for(fds, n, timeout, mask);
}

PUBLIC int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (!concerns(fds, n))
		return NEXT(__poll_chk)(fds, n, timeout, size);
	return poll(fds, n, timeout);
}

PUBLIC int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t size)
{
	if (!concerns(fds, n))
		return NEXT(__ppoll_chk)(fds, n, timeout, mask, size);
	return ppoll(fds, n, timeout, mask);
}

static bool has(const fd_set *set, int fd)
{
	return set && FD_ISSET(fd, set);
}

/* Keep fd in the set only if it is ready. Returns whether it is in there. */
static int keep(fd_set *set, int fd, bool ready)
{
	if (!has(set, fd))
		return 0;
	if (!ready)
		FD_CLR(fd, set);
	return ready;
}

/* at_hand() for select(2). */
static int at_hand_in(int n, fd_set *in, fd_set *out, fd_set *except, bool wait)
{
	struct pollfd fds[FD_SETSIZE];
	int fd, ready = 0;
	nfds_t i, used = 0;
	short events;

	if (!in || !children_watched() || n > FD_SETSIZE)
		return 0;
	for (fd = 0; fd < n; fd++) {
		events = (has(in, fd) ? POLLIN : 0) | (has(out, fd) ? POLLOUT : 0);
		if (events || has(except, fd))
			fds[used++] = (struct pollfd){.fd = fd, .events = events};
	}
	if (!at_hand(fds, used, wait))
		return 0;
	for (i = 0; i < used; i++) {
		ready += keep(in, fds[i].fd, fds[i].revents & POLLIN);
		ready += keep(out, fds[i].fd, fds[i].revents & POLLOUT);
		keep(except, fds[i].fd, false);
	}
	return ready;
}

/* Does the call concern divert sockets? Sets larger than fd_set are left alone. */
static bool concerns_in(int n, const fd_set *in, const fd_set *out)
{
	int fd;

	if (n > FD_SETSIZE || !children_watched())
		return false;
	for (fd = 0; fd < n; fd++)
		if ((has(in, fd) || has(out, fd)) && divert_is(fd))
			return true;
	return false;
}

/* Move the divert sockets out of the set. Returns how many. */
static int take_writable(int n, fd_set *from, fd_set *to)
{
	int fd, taken = 0;

	FD_ZERO(to);
	for (fd = 0; from && fd < n; fd++) {
		if (FD_ISSET(fd, from) && divert_is(fd)) {
			FD_CLR(fd, from);
			FD_SET(fd, to);
			taken++;
		}
	}
	return taken;
}

static int give_back(int n, const fd_set *from, fd_set *to, int ready, int taken)
{
	int fd;

	for (fd = 0; fd < n; fd++)
		if (FD_ISSET(fd, from))
			FD_SET(fd, to);
	return ready < 0 ? ready : ready + taken;
}

/* keep_true() for a set of select(2). */
static int keep_true_in(int n, const fd_set *asked, fd_set *in, int ready)
{
	int fd;

	for (fd = 0; fd < n && ready >= 0; fd++) {
		if (!has(asked, fd) || !divert_is(fd) || (ready && !FD_ISSET(fd, in)) ||
		    divert_ready(fd, 0) || !FD_ISSET(fd, in))
			continue;
		FD_CLR(fd, in);
		ready--;
	}
	return ready;
}

static int due_in(int n, const fd_set *in)
{
	int fd, ms = -1;

	for (fd = 0; fd < n; fd++)
		if (has(in, fd) && divert_is(fd))
			ms = again_earlier(ms, divert_timeout(fd));
	return ms;
}

/* Bytes of a set that select(2) looks at. */
static size_t bytes_of(int n)
{
	return (size_t)(n + NFDBITS - 1) / NFDBITS * sizeof(fd_mask);
}

/* pselect(2) with divert sockets. */
static int select_for(int n, fd_set *in, fd_set *out, fd_set *except, struct again *again)
{
	fd_set *const set[] = {in, out, except};
	fd_set writes, asked[3];
	const struct timespec none = {0};
	int i, ready, taken = take_writable(n, out, &writes);

	for (i = 0; i < 3; i++)
		if (set[i])
			memcpy(&asked[i], set[i], bytes_of(n));
	if (taken)
		again_begin(again, &none, again->mask);
	do {
		for (i = 0; i < 3; i++)
			if (set[i])
				memcpy(set[i], &asked[i], bytes_of(n));
		ready = NEXT(pselect)(n, in, out, except, again_time(again, due_in(n, in)),
				      again->mask);
		ready = keep_true_in(n, in ? asked : NULL, in, ready);
	} while (!ready && again_more(again, &ready));
	again_end(again);
	return give_back(n, &writes, out, ready, taken);
}

PUBLIC int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct timespec t;
	struct again again;
	int ready;

	ready = at_hand_in(n, in, out, except, !timeout || timeout->tv_sec || timeout->tv_usec);
	if (ready)
		return ready;
	if (!concerns_in(n, in, out) || (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return NEXT(select)(n, in, out, except, timeout);
	if (timeout) {
		t.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
		t.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	}
	again_begin(&again, timeout ? &t : NULL, NULL);
	ready = select_for(n, in, out, except, &again);
	/* like Linux, store the time left */
	if (timeout && again_left(&again, &t)) {
		timeout->tv_sec = t.tv_sec;
		timeout->tv_usec = t.tv_nsec / 1000;
	}
	return ready;
}

PUBLIC int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		   const sigset_t *mask)
{
	struct again again;
	int ready = 0;

	if (!mask) /* with a mask, the call must let signals in, too */
		ready = at_hand_in(n, in, out, except,
				   !timeout || timeout->tv_sec || timeout->tv_nsec);
	if (ready)
		return ready;
	if (!concerns_in(n, in, out))
		return NEXT(pselect)(n, in, out, except, timeout, mask);
	again_begin(&again, timeout, mask);
	return select_for(n, in, out, except, &again);
}
