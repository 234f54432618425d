// SPDX-License-Identifier: BSD-2-Clause
/* Receive packets from the ring. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "address.h"
#include "control.h"
#include "deliver.h"
#include "divert.h"
#include "forks.h"
#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/core/kernel.h"
#include "lib/core/socket.h"
#include "lib/core/wait.h"
#include "lib/inject/coalesce.h"
#include "lib/inject/gro.h"
#include "lib/packet/segment.h"
#include "next_packet.h"
#include "vector.h"

/* MSG_WAITFORONE comes from recvmmsg(). Inside, it means: not the first packet of the call. */
#define FLAGS (MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC)

#define PACKET_MAX 65535

/* Polls of an empty ring before the reader sleeps: together about the cost of a wake-up. */
#define BUSYPOLLS 200
#define STOLEN_NS 200000 /* BUSYPOLLS polls normally take some thousands */

/* Where a receive puts the packet. */
struct target {
	struct iovec *iov;
	size_t iovs;
	struct sockaddr *from; /* or NULL */
	socklen_t fromlen;
	struct msghdr *msg; /* for control messages, or NULL */
	int truncated;
};

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static size_t room(const struct target *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->iovs; i++)
		n += t->iov[i].iov_len;
	return n;
}

static void scatter(const struct target *t, const char *from, size_t len)
{
	size_t i, part;

	for (i = 0; i < t->iovs && len; i++) {
		part = t->iov[i].iov_len < len ? t->iov[i].iov_len : len;
		memcpy(t->iov[i].iov_base, from, part);
		from += part;
		len -= part;
	}
}

static bool find(struct dsock *s, struct coming *next)
{
	while ((next->rec = next_packet_peek(s))) {
		if (s->shared->gso_types)
			segment_plan_whole(next->rec, s->shared->gso_types, &next->cut);
		else
			segment_plan(next->rec, &next->cut);
		next->segment = s->shared->segment;
		if (next->segment >= next->cut.segments)
			next->segment = 0; /* a previous reader died between two steps */
		next->len = segment_len(next->rec, &next->cut, next->segment);
		if (next->len <= PACKET_MAX)
			return true;
		/* it must be split, but its headers do not allow that */
		next_packet_skip(s);
		socket_count_loss(s, DIVERT_N_TOO_LONG);
	}
	return false;
}

int deliver_find(struct dsock *s, struct coming *next)
{
	struct shared *sh = s->shared;

	if (sh->shut_read)
		return 0;
	if (!sh->down) {
		if (find(s, next))
			return 1;
		/* wait for a record that has arrived but is not complete */
		if (!ring_is_down(&s->ring) || ring_arrived(&s->ring))
			return -EAGAIN;
		sh->down = true;
	}
	ring_end(&s->ring);
	return -ENETDOWN;
}

void deliver_next(struct dsock *s, const struct coming *next)
{
	if (next->segment + 1 < next->cut.segments)
		s->shared->segment = next->segment + 1;
	else
		next_packet_skip(s);
}

void deliver_remember(struct dsock *s, const struct divert_record *rec, const uint8_t *built,
		      uint32_t len, uint32_t gso_size, int flags)
{
	/* As the program gets it: the complete checksum distinguishes multicast packets. */
	pktcache_put(&s->pktcache, rec, built, len);
	if (s->shared->gso_types)
		pktcache_put_gso(&s->pktcache, rec, built, len, gso_size);
	if (flags & MSG_PEEK)
		return;
	metacache_put(&s->metacache, rec, built, len);
	pktcache_put_hops(&s->pktcache, rec, built, len);
	if (s->domain == AF_INET)
		pktcache_put_origin(&s->pktcache, rec, built, len);
	if (len < rec->len && !gso_size)
		gro_cut(s);
}

/* Copy one packet into t. Returns its length, or, if truncated, the room there was. Locked. */
static ssize_t deliver(struct dsock *s, const struct coming *next, struct target *t, int flags)
{
	const struct divert_record *rec = next->rec;
	const uint32_t i = next->segment, len = next->len;
	const struct cut *cut = &next->cut;
	const void *built = rec + 1;
	size_t space = room(t);

	if (t->iovs == 1 && space >= len) {
		segment_build(rec, cut, i, t->iov->iov_base);
		built = t->iov->iov_base;
	} else if (cut->segments == 1 && (!(rec->flags & DIVERT_REC_PARTIAL) || cut->gso_size)) {
		scatter(t, built, len);
	} else {
		segment_build(rec, cut, i, s->scratch);
		built = s->scratch;
		scatter(t, built, len);
	}
	t->truncated = space < len;
	if (t->from)
		address_make(s, rec, t->from, &t->fromlen);
	if (t->msg)
		control_make(s, rec, len, segment_gso(rec, cut, i), t->msg);
	deliver_remember(s, rec, built, len, segment_gso(rec, cut, i), flags);
	if (!(flags & MSG_PEEK)) {
		deliver_next(s, next);
		/* one system call per truncated packet; the program loses more by truncating */
		if (t->truncated)
			socket_count_loss(s, DIVERT_N_TRUNCATED);
	}
	return t->truncated && !(flags & MSG_TRUNC) ? (ssize_t)space : (ssize_t)len;
}

static ssize_t nothing(struct target *t)
{
	t->fromlen = 0;
	if (t->msg) {
		t->msg->msg_controllen = 0;
		t->msg->msg_flags = 0;
	}
	return 0;
}

/* Returns what deliver_find() does if there is no packet. */
static ssize_t take(struct dsock *s, void *target, int flags)
{
	struct target *t = target;
	struct coming next;
	bool locked = biased_lock_lock_reader(s);
	ssize_t n = deliver_find(s, &next);

	if (!n)
		n = nothing(t);
	else if (n > 0)
		n = deliver(s, &next, t, flags);
	socket_unlock(s, locked);
	return n;
}

static bool nonblocking(int fd, int flags)
{
	return flags & MSG_DONTWAIT || fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static int64_t busy_ns(const struct dsock *s)
{
	return s->shared->busy_poll * 1000ll;
}

/*
 * Length of a timed sleep, if one pays off, ns. A program that raised SO_BUSY_POLL wants packets at
 * once: no timed sleep.
 */
static long sleeps(struct dsock *s)
{
	const int busy = s->shared->busy_poll;
	long ns = 0;

	if (busy && busy <= BUSYPOLL_DEFAULT)
		ns = busypoll_sleep(&s->busypoll, now_ns());
	if (ns)
		coalesce_sleeps(s, ns);
	return ns;
}

/*
 * Start polling, if we are the lock owner. *polling: poll for up to SO_BUSY_POLL. Returns the
 * length of a timed sleep to make first, ns.
 */
static long begin_looking(struct dsock *s, bool *polling)
{
	const bool mine = biased_lock_begin(s);
	long ns = 0;

	*polling = mine && s->busypoll.polling;
	if (mine && !s->watched) {
		ring_wakeups_off(&s->ring);
		ns = sleeps(s);
	}
	biased_lock_end(mine);
	return ns;
}

static void stop_looking(struct dsock *s)
{
	const bool mine = biased_lock_begin(s);

	if (mine)
		ring_wakeups_on(&s->ring);
	biased_lock_end(mine);
	if (s->watched)
		coalesce_rest();
}

/* Poll the ring for a while. Returns what get() does. */
static ssize_t look(struct dsock *s, int flags,
		    ssize_t (*get)(struct dsock *s, void *arg, int flags), void *arg)
{
	struct timespec sleep_ns = {0};
	int64_t was, now, until;
	ssize_t n = -EAGAIN;
	bool polling;
	int i;

	sleep_ns.tv_nsec = begin_looking(s, &polling);
	if (sleep_ns.tv_nsec) {
		/* the call that wait.c makes, for seccomp(2); a signal may end the sleep early */
		ppoll(NULL, 0, &sleep_ns, NULL);
		if (ring_arrived(&s->ring))
			n = get(s, arg, flags);
		if (n != -EAGAIN)
			return n;
	}
	now = polling ? now_ns() : 0;
	until = now + busy_ns(s);
	do {
		for (i = 0; i < BUSYPOLLS && n == -EAGAIN; i++) {
			pause_cpu();
			if (ring_arrived(&s->ring))
				n = get(s, arg, flags);
		}
		was = now;
		if (polling && n == -EAGAIN) {
			now = now_ns();
			if (now - was > STOLEN_NS)
				busypoll_stolen(&s->busypoll);
		}
	} while (n == -EAGAIN && polling && now < until);
	if (n > 0)
		busypoll_found(&s->busypoll);
	else
		busypoll_missed(&s->busypoll);
	/* a polling reader returns before the next packet and need not be woken for it */
	if (!polling || n <= 0)
		stop_looking(s);
	return n;
}

/*
 * With EPOLLET, a record wakes the reader only if it comes after the kernel saw that all had been
 * read. One that came just before would be missed. So look again until nothing new was there, not
 * even a fragment.
 */
static ssize_t look_again(struct dsock *s, int flags,
			  ssize_t (*get)(struct dsock *s, void *arg, int flags), void *arg)
{
	unsigned long at;
	ssize_t n;

	do {
		at = s->ring.at;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		n = get(s, arg, flags);
	} while (n == -EAGAIN && s->ring.at != at);
	return n;
}

ssize_t deliver_wait(struct dsock *s, int fd, int flags,
		     ssize_t (*get)(struct dsock *s, void *arg, int flags), void *arg)
{
	int64_t deadline = 0, since;
	ssize_t n;
	int rc;

	biased_lock_flush(s);
	if (nonblocking(fd, flags)) {
		/* otherwise the program has a packet and will be back soon */
		if (!(flags & MSG_WAITFORONE))
			stop_looking(s);
		return s->watched ? look_again(s, flags, get, arg) : -EAGAIN;
	}
	if (s->shared->receive_timeout)
		deadline = now_ns() + s->shared->receive_timeout;
	for (;;) {
		n = look(s, flags, get, arg);
		if (n != -EAGAIN)
			return n;
		since = now_ns();
		rc = wait_readable(s, fd, deadline, next_packet_due(s));
		if (rc)
			return rc;
		busypoll_slept(&s->busypoll, now_ns() - since, busy_ns(s));
		n = get(s, arg, flags);
		if (n != -EAGAIN)
			return n;
	}
}

static ssize_t receive(struct dsock *s, int fd, struct target *t, int flags)
{
	ssize_t n;

	forks_look();
	n = take(s, t, flags);
	return n == -EAGAIN ? deliver_wait(s, fd, flags, take, t) : n;
}

ssize_t divert_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			socklen_t *fromlen)
{
	struct iovec iov = {buf, len};
	struct target t = {
		.iov = &iov,
		.iovs = 1,
		.from = fromlen ? from : NULL,
		.fromlen = fromlen ? *fromlen : 0,
	};
	struct dsock *s = socket_get(fd);
	ssize_t n;

	if (!s)
		return -1;
	if (flags & ~FLAGS)
		n = -EOPNOTSUPP;
	else
		n = buf || !len ? receive(s, fd, &t, flags) : -EFAULT;
	socket_put(s);
	if (n < 0)
		return fail(-n);
	if (t.from)
		*fromlen = t.fromlen;
	return n;
}

ssize_t divert_recv(int fd, void *buf, size_t len, int flags)
{
	return divert_recvfrom(fd, buf, len, flags, NULL, NULL);
}

static ssize_t receive_msg(struct dsock *s, int fd, struct msghdr *msg, int flags)
{
	ssize_t n = vector_check(msg);
	struct target t;

	if (n)
		return n;
	t = (struct target){
		.iov = msg->msg_iov,
		.iovs = msg->msg_iovlen,
		.from = msg->msg_name,
		.fromlen = msg->msg_namelen,
		.msg = msg,
	};
	n = receive(s, fd, &t, flags);
	if (n < 0)
		return n;
	msg->msg_namelen = t.from ? t.fromlen : 0;
	if (t.truncated)
		msg->msg_flags |= MSG_TRUNC;
	return n;
}

ssize_t divert_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct dsock *s = socket_get(fd);
	ssize_t n;

	if (!s)
		return -1;
	n = flags & ~FLAGS ? -EOPNOTSUPP : receive_msg(s, fd, msg, flags);
	socket_put(s);
	return n < 0 ? fail(-n) : n;
}

int divert_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout)
{
	struct dsock *s = socket_get(fd);
	const int later = flags & MSG_WAITFORONE && !(flags & MSG_DONTWAIT)
				  ? MSG_WAITFORONE | MSG_DONTWAIT
				  : 0;
	int64_t deadline = 0;
	unsigned int i;
	ssize_t rc = 0;

	if (!s)
		return -1;
	if (timeout)
		deadline = now_ns() + timeout->tv_sec * 1000000000ll + timeout->tv_nsec;
	flags &= ~MSG_WAITFORONE;
	if (flags & ~FLAGS || (!msgs && n)) {
		socket_put(s);
		return fail(flags & ~FLAGS ? EOPNOTSUPP : EFAULT);
	}
	for (i = 0; i < n; i++) {
		rc = receive_msg(s, fd, &msgs[i].msg_hdr, flags);
		if (rc < 0)
			break;
		msgs[i].msg_len = rc;
		flags |= later;
		/* like recvmmsg(2), check the time only after each packet */
		if (deadline && now_ns() >= deadline) {
			i++;
			break;
		}
	}
	socket_put(s);
	return i ? (int)i : rc < 0 ? fail(-rc) : 0;
}

int divert_nread(int fd)
{
	struct dsock *s = socket_get(fd);
	struct coming next;
	bool locked;
	int n = 0;

	if (!s)
		return -1;
	locked = socket_lock(s);
	if (deliver_find(s, &next) > 0)
		n = next.len;
	socket_unlock(s, locked);
	socket_put(s);
	return n;
}

/*
 * Would a receive return a packet or an end? A record, which is what poll(2) sees, may be a
 * fragment of an incomplete packet. But while packets are lent, poll(2) always reports the ring
 * readable, and so do we.
 */
static ssize_t ready(struct dsock *s, void *arg, int flags)
{
	struct coming next;
	bool locked, found;

	(void)arg;
	(void)flags;
	if (!ring_arrived(&s->ring) && !s->whole && !s->shared->shut_read && !s->ring.holding &&
	    !ring_is_down(&s->ring))
		return -EAGAIN;
	locked = socket_lock(s);
	found = s->ring.holding || deliver_find(s, &next) != -EAGAIN;
	socket_unlock(s, locked);
	return found ? 1 : -EAGAIN;
}

int divert_ready(int fd, int wait)
{
	struct dsock *s = socket_get(fd);
	bool is;

	if (!s)
		return -1;
	is = ready(s, NULL, 0) > 0;
	if (!is)
		biased_lock_flush(s);
	if (!is && wait) {
		/* the time since then is about how long the program slept */
		if (s->asked)
			busypoll_slept(&s->busypoll, now_ns() - s->asked, busy_ns(s));
		is = look(s, 0, ready, NULL) > 0;
		s->asked = is ? 0 : now_ns();
	}
	if (!is) {
		stop_looking(s);
		is = look_again(s, 0, ready, NULL) > 0;
	}
	socket_put(s);
	return is;
}

int divert_timeout(int fd)
{
	struct dsock *s = socket_get(fd);
	int64_t due, left;

	if (!s)
		return -1;
	due = s->whole ? next_packet_due(s) : 0;
	socket_put(s);
	if (!due)
		return -1;
	left = due - now_ns();
	return left > 0 ? (int)(left / 1000000) + 1 : 0;
}
