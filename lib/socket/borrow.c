// SPDX-License-Identifier: BSD-2-Clause
/* Lend packets to the program in place, take them back, and send them. */
#include <errno.h>

#include "control.h"
#include "deliver.h"
#include "divert.h"
#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/inject/batch.h"
#include "loans.h"
#include "request.h"

#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

struct request {
	struct divert_loan *loans;
	unsigned int n;
};

/* Can the packet be lent as it lies in the ring, and does it stay there? */
static bool in_place(const struct dsock *s, const struct divert_record *rec, const struct cut *cut)
{
	return cut->segments == 1 && (!(rec->flags & DIVERT_REC_PARTIAL) || cut->gso_size) &&
	       !s->ring.eager && ring_has(&s->ring, rec);
}

static int lend(struct dsock *s, const struct coming *next, int64_t clock, struct divert_loan *loan)
{
	const struct divert_record *rec = next->rec;
	uint32_t gso_size;
	struct lent *l;
	void *copy;
	int rc;

	l = loans_next(s, &rc);
	if (!l)
		return rc;
	loan->packet = rec + 1;
	if (!in_place(s, rec, &next->cut)) {
		copy = loans_room(l, next->len);
		if (!copy)
			return -ENOMEM;
		segment_build(rec, &next->cut, next->segment, copy);
		loan->packet = copy;
	}
	loan->number = loans_out(s, l);
	gso_size = segment_gso(rec, &next->cut, next->segment);
	control_info(rec, next->len, gso_size, &loan->info);
	loan->info.timestamp = rec->tstamp ? clock + rec->tstamp : 0;
	deliver_remember(s, rec, loan->packet, next->len, gso_size, 0);
	deliver_next(s, next);
	return 0;
}

/* Lend as many packets as there are. If there is none, return what deliver_find() did. */
static ssize_t take(struct dsock *s, void *arg, int flags)
{
	const struct request *want = arg;
	struct coming next;
	bool locked = biased_lock_lock_reader(s);
	int64_t clock = s->shared->conf.flags & DIVERT_SOCK_INFO ? control_clock() : 0;
	ssize_t n = 0, rc = -EAGAIN;

	while (n < want->n) {
		rc = deliver_find(s, &next);
		if (rc <= 0)
			break;
		rc = lend(s, &next, clock, &want->loans[n]);
		if (rc)
			break;
		n++;
	}
	socket_unlock(s, locked);
	return n ? n : rc;
}

int divert_borrow(int fd, struct divert_loan *loans, unsigned int n, int flags)
{
	struct request want = {loans, n};
	struct dsock *s = socket_get(fd);
	ssize_t rc;

	if (!s)
		return -1;
	if (flags & ~FLAGS)
		rc = -EOPNOTSUPP;
	else if (!n)
		rc = -EINVAL;
	else if (!loans)
		rc = -EFAULT;
	else
		rc = take(s, &want, flags);
	if (rc == -EAGAIN)
		rc = deliver_wait(s, fd, flags, take, &want);
	socket_put(s);
	return rc < 0 ? fail(-rc) : rc;
}

static int give_back(struct dsock *s, const struct divert_loan *loans, unsigned int n)
{
	bool locked = socket_lock(s);
	unsigned int i;
	int rc = 0;

	for (i = 0; i < n; i++)
		if (loans_back(s, loans[i].number))
			rc = -EINVAL;
	loans_settle(s);
	socket_unlock(s, locked);
	return rc;
}

int divert_return(int fd, const struct divert_loan *loans, unsigned int n)
{
	struct dsock *s = socket_get(fd);
	int rc;

	if (!s)
		return -1;
	rc = loans || !n ? give_back(s, loans, n) : -EFAULT;
	socket_put(s);
	return rc ? fail(-rc) : 0;
}

struct sending {
	struct dsock *s;
	int fd, flags;
	const struct divert_loan *loans;
};

static ssize_t send_one(void *arg, unsigned int i, struct batch *batch)
{
	const struct sending *g = arg;
	const struct divert_loan *loan = &g->loans[i];
	struct send_request request = {.info = &loan->info, .batch = batch};
	struct iovec iov = {(void *)loan->packet, loan->info.length};
	ssize_t n;

	if (!loan->packet)
		return -EFAULT;
	n = request_send(g->s, g->fd, &iov, 1, g->flags, &request);
	return n >= 0 && (size_t)n < iov.iov_len ? -EAGAIN : n;
}

int divert_send_loan(int fd, const struct divert_loan *loans, unsigned int n, int flags)
{
	struct sending g = {.s = socket_get(fd), .fd = fd, .flags = flags, .loans = loans};
	unsigned int sent;
	int error = 0;

	if (!g.s)
		return -1;
	if (!loans && n) {
		socket_put(g.s);
		return fail(EFAULT);
	}
	sent = batch_all(g.s, n, send_one, &g, &error);
	if (sent && give_back(g.s, loans, sent)) {
		error = -EINVAL;
		sent = 0;
	}
	socket_put(g.s);
	return sent || !error ? (int)sent : fail(-error);
}
