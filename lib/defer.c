// SPDX-License-Identifier: BSD-2-Clause
/*
 * The batch of packets that wait may be sent by us and by the kernel at any time, between any two
 * instructions here: each of its packets has a number, and the kernel half takes each once.
 */
#include "defer.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "address.h"
#include "batch.h"
#include "bias.h"
#include "join.h"
#include "mix.h"
#include "ring.h"
#include "socket.h"
#include "table.h"
#include "train.h"
#include "wait.h"

#define WAIT_NS	  250000
#define SLEPT_MAX 8
#define FILL_NS	  (WAIT_NS / 5 * 4) /* so that it is full before the kernel sends it */
#define FILL_MIN  16

struct deferred {
	struct batch batch;
	struct {
		struct batch_head head; /* frame.back.tag: how many of them are whole */
		uint8_t record[DIVERT_BATCH_ROOM];
	} __attribute__((packed)) frame;
	struct io_uring ring;
	bool cannot;	   /* no ring: none of them waits */
	bool armed;	   /* the kernel will send, or has */
	bool holds;	   /* all went by train: they will again */
	const void *armer; /* by whom: the thread; NULL: the kernel does nothing for it any more */
	int64_t since;	   /* when it began to wait, ns */
	int64_t began;	   /* when the last one that was full had gone, ns */
	uint32_t want;	   /* bytes of room that a full batch of such packets takes */
	uint8_t slept;	   /* naps since it was armed */
	uint32_t time;	   /* how often it was armed: the time that passes, in steps of that */
};

static bool never;
/* May the kernel have to send for this thread, of any socket? Its address tells threads apart. */
static __thread bool may_be_armed;

/* Of a batch: another than those that the kernel half has seen of this packet socket. */
static uint32_t next_number(struct dsock *s)
{
	if (!++s->batches)
		s->batches = 1;
	return s->batches;
}

static struct deferred *make(struct dsock *s)
{
	struct deferred *d = calloc(1, sizeof(*d));
	int fd = -1;

	if (!d)
		return NULL;
	batch_begin(&d->batch, d->frame.record, DIVERT_BATCH_FRAME);
	d->frame.head = d->batch.head; /* the kernel may find it empty */
	d->frame.head.frame.back.ifindex = next_number(s);
	/* a filter of system calls may end the process at one that it does not know */
	d->cannot = prctl(PR_GET_SECCOMP) != 0 || io_uring_queue_init(4, &d->ring, 0);
	if (d->cannot) {
		d->ring.ring_fd = -1;
		return d;
	}
	fd = table_take_inner(d->ring.ring_fd);
	if (fd < 0) {
		io_uring_queue_exit(&d->ring);
		d->ring.ring_fd = -1;
		d->cannot = true;
		return d;
	}
	d->ring.ring_fd = d->ring.enter_ring_fd = fd;
	return d;
}

static bool begin(struct dsock *s)
{
	if (!s->deferred && !never) /* other threads look at it: armed_by_us() */
		__atomic_store_n(&s->deferred, make(s), __ATOMIC_RELEASE);
	return s->deferred && !s->deferred->cannot && !never;
}

/* Is there a moment left before the kernel sends? */
static bool is_armed(const struct deferred *d)
{
	return d && d->armed && !never && !io_uring_cq_ready(&d->ring);
}

/* What the kernel is asked for. */
enum {
	OP_WAIT = 1,
	OP_SEND,
	OP_LONGER,
	OP_REST,
};

/* What it has answered; has it sent? */
static bool has_sent(struct deferred *d, unsigned int *seen)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	bool sent = false;

	*seen = 0;
	io_uring_for_each_cqe(&d->ring, head, cqe)
	{
		sent |= cqe->user_data == OP_SEND;
		++*seen;
	}
	return sent;
}

/* Have the kernel send what will be there then; once. */
static bool arm(const struct dsock *s, struct deferred *d)
{
	struct __kernel_timespec in = {.tv_nsec = WAIT_NS};
	struct io_uring_sqe *wait, *send;
	unsigned int seen;
	bool sent = has_sent(d, &seen);

	if (d->armed && !sent)
		return !seen;
	io_uring_cq_advance(&d->ring, seen);
	d->batch.room = d->want > DIVERT_BATCH_FRAME ? d->want : DIVERT_BATCH_FRAME;
	wait = io_uring_get_sqe(&d->ring);
	send = io_uring_get_sqe(&d->ring);
	d->armed = wait && send;
	if (!d->armed)
		return false;
	io_uring_prep_timeout(wait, &in, 0, IORING_TIMEOUT_ETIME_SUCCESS);
	wait->flags |= IOSQE_IO_LINK;
	wait->user_data = OP_WAIT;
	io_uring_prep_send(send, s->back, &d->frame, sizeof(d->frame.head) + d->batch.room,
			   MSG_DONTWAIT);
	send->user_data = OP_SEND;
	d->armed = io_uring_submit(&d->ring) == 2;
	d->cannot = !d->armed;
	may_be_armed = true;
	__atomic_store_n(&d->armer, &may_be_armed, __ATOMIC_RELAXED);
	d->time++;
	d->slept = 0;
	d->since = now_ns();
	return d->armed;
}

/*
 * Nothing waits: the kernel's time begins anew, in ns. Where it is about to send, it finds nothing; the answer to
 * this stays.
 */
static void wait_longer(struct deferred *d, int64_t in)
{
	struct __kernel_timespec wait = {.tv_nsec = in + WAIT_NS};
	struct io_uring_sqe *sqe;
	int64_t from = now_ns() + in;

	if (from - d->since < WAIT_NS / 2)
		return;
	sqe = io_uring_get_sqe(&d->ring);
	if (!sqe)
		return;
	io_uring_prep_timeout_update(sqe, &wait, OP_WAIT, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = OP_LONGER;
	if (io_uring_submit(&d->ring) == 1)
		d->since = from;
}

static void disarm(struct deferred *d)
{
	struct io_uring_sqe *sqe;

	__atomic_store_n(&d->armer, NULL, __ATOMIC_RELAXED);
	if (!is_armed(d))
		return;
	sqe = io_uring_get_sqe(&d->ring);
	if (!sqe)
		return;
	io_uring_prep_timeout_remove(sqe, OP_WAIT, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = OP_REST;
	io_uring_submit(&d->ring);
}

static bool armed_by_us(struct dsock *s)
{
	const struct deferred *d = __atomic_load_n(&s->deferred, __ATOMIC_ACQUIRE);

	return d && __atomic_load_n(&d->armer, __ATOMIC_RELAXED) == &may_be_armed;
}

static void rest(struct dsock *s)
{
	/* another thread may keep the socket by now: its packets go, as the kernel will not send them */
	const bool locked = socket_lock(s);

	defer_flush(s);
	if (armed_by_us(s))
		disarm(s->deferred);
	socket_unlock(s, locked);
}

void defer_rest(void)
{
	const int saved = errno;
	struct dsock *s;
	int fd;

	if (!may_be_armed)
		return;
	may_be_armed = false;
	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1)) {
		s = socket_get(fd);
		if (!s)
			continue;
		if (armed_by_us(s))
			rest(s);
		socket_put(s);
	}
	errno = saved;
}

void defer_sleeps(struct dsock *s, int64_t ns)
{
	struct deferred *d = s->deferred;

	if (is_armed(d) && !d->batch.n && (d->holds || d->slept++ < SLEPT_MAX))
		wait_longer(d, ns);
}

/*
 * Where the packet goes, as a number: an interface, or what routes are usually chosen by (addresses,
 * type of service, fwmark). Never 0.
 */
static uint32_t place(const struct outgoing *o, const struct destination *to)
{
	const uint8_t *p = o->packet;
	bool v6 = p[0] >> 4 == 6;
	uint32_t h;

	if (!to->out)
		return to->ifindex;
	h = o->frame.back.mark ^ (v6 ? (p[0] << 8 | p[1]) & 0xff0 : p[1]);
	h = v6 ? mix_bytes(h, p + 8, 32) : mix_bytes(h, p + 12, 8);
	return h | 1u << 31;
}

/* Is the program to be back before long? Where it naps, the packets for it come fast, and then all go. */
static bool soon_back(const struct dsock *s)
{
	return ring_arrived(&s->ring) || (s->spin.nap && !s->watched);
}

bool defer_may(const struct dsock *s, const struct outgoing *o, const struct destination *to)
{
	uint32_t where = place(o, to);
	const struct passed *p = &s->passed[where % PASSED];

	return is_armed(s->deferred) && p->where == where && p->time == s->deferred->time &&
	       o->len <= p->len && bias_mine(s) && soon_back(s) &&
	       o->frame.back.hops <= DIVERT_HOPS_MAX;
}

void defer_passed(struct dsock *s, const struct outgoing *o, const struct destination *to)
{
	uint32_t where = place(o, to);
	struct passed *p = &s->passed[where % PASSED];

	if (!bias_mine(s) || !soon_back(s) || !begin(s) || !arm(s, s->deferred))
		return;
	if (p->where != where || p->time != s->deferred->time || p->len < o->len)
		p->len = o->len;
	p->where = where;
	p->time = s->deferred->time;
}

void defer_failed(struct dsock *s)
{
	memset(s->passed, 0, sizeof(s->passed));
}

/* One is full, of so many packets: as many as there is time for are to be in the next. */
static void pace(struct deferred *d, uint32_t n)
{
	int64_t now = now_ns(), most = n * FILL_NS / (now - d->began + 1);

	d->began = now;
	d->batch.most = most < FILL_MIN		  ? FILL_MIN
			: most < DIVERT_BATCH_MAX ? most
						  : DIVERT_BATCH_MAX;
}

bool defer_add(struct dsock *s, const struct outgoing *o)
{
	struct deferred *d = s->deferred;
	uint32_t n = d->batch.n;

	if (!batch_add(&d->batch, o)) {
		defer_flush(s);
		pace(d, n);
		if (d->holds)
			wait_longer(d, 0);
		if (!batch_add(&d->batch, o))
			return false;
	}
	/* whole before it counts: the kernel may come in between */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	d->frame.head.frame.protocol = d->batch.head.frame.protocol;
	d->frame.head.frame.back.tag = d->batch.n;
	return true;
}

/* Those from this one on, in a frame of their own with this number; all of them: as they lie there, in one piece. */
static int try_frame(const struct dsock *s, struct deferred *d, uint32_t from, uint32_t n,
		     uint32_t number, int flags)
{
	const size_t len = sizeof(d->frame.head) + d->batch.at[n];
	long rc;

	if (n < d->batch.n)
		return batch_send_frame(s, &d->batch, from, n, number, flags);
	d->frame.head.frame.back.tag = n;
	rc = syscall(SYS_sendto, s->back, &d->frame, len, flags, NULL, 0);
	d->frame.head.frame.back.tag = 0;
	return rc < 0 ? -1 : 0;
}

static void send_frame(struct dsock *s, struct deferred *d, uint32_t from, uint32_t n,
		       uint32_t number)
{
	int rc = try_frame(s, d, from, n, number, MSG_DONTWAIT);

	if (rc && errno == EAGAIN) /* no room for a moment */
		rc = try_frame(s, d, from, n, number, 0);
	if (rc) /* the next one finds out on its own why it does not go, and is told */
		defer_failed(s);
}

/* The kernel has not sent them, and will not: it finds nothing. */
static void send_now(struct dsock *s, struct deferred *d)
{
	const bool may = train_may(s, &d->batch) || join_may(s);
	uint32_t n, at = 0, until;
	bool framed = false;

	/* over lo a large frame is a loss: each of its packets is a copy of all of it */
	d->want = may ? DIVERT_BATCH_MAX * (d->batch.at[d->batch.n] / d->batch.n + 1) : 0;
	if (d->want > DIVERT_BATCH_ROOM)
		d->want = DIVERT_BATCH_ROOM;
	while (at < d->batch.n) {
		at += batch_quick(s, &d->batch, at, &until);
		framed |= at < until;
		for (; at < until; at += n) {
			n = batch_frame(&d->batch, at, until);
			send_frame(s, d, at, n, next_number(s));
		}
	}
	/* where it is to have more room, it ends, and begins with that */
	d->holds = !framed && d->want <= d->batch.room + DIVERT_BATCH_FRAME / 4;
}

void defer_flush(struct dsock *s)
{
	struct deferred *d = bias_mine(s) ? s->deferred : NULL;

	if (!d || !d->batch.n)
		return;
	d->frame.head.frame.back.tag = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	d->holds = false;
	if (is_armed(d))
		send_now(s, d);
	else /* it may have sent the first of them: they have a number */
		send_frame(s, d, 0, d->batch.n, d->frame.head.frame.back.ifindex);
	d->batch.n = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	d->frame.head.frame.back.ifindex = next_number(s);
}

void defer_never(void)
{
	never = true;
}

void defer_free(struct dsock *s)
{
	struct deferred *d = s->deferred;

	s->deferred = NULL;
	if (!d)
		return;
	if (d->ring.ring_fd >= 0) {
		table_close_inner(&d->ring.ring_fd); /* -1 then */
		io_uring_queue_exit(&d->ring);
	}
	free(d);
}

void defer_move(struct dsock *s, int from, int to)
{
	struct deferred *d = s->deferred;

	if (d && d->ring.ring_fd == from)
		d->ring.ring_fd = d->ring.enter_ring_fd = to;
}
