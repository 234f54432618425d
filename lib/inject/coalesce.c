// SPDX-License-Identifier: BSD-2-Clause
/*
 * The waiting packets form a batch that we or the kernel may send at any time, between any two
 * instructions here. Each packet has a number, and the kernel half takes each number once.
 */
#include "coalesce.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "batch.h"
#include "bulk.h"
#include "gro.h"
#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/core/hash.h"
#include "lib/core/ring.h"
#include "lib/core/socket.h"
#include "lib/core/wait.h"

#define SLICES	  (DIVERT_BATCH_ROOM / DIVERT_BATCH_FRAME)
#define ENTRIES	  32 /* of the submission queue: a power of 2, above 1 + SLICES */
#define WAIT_NS	  250000
#define SLEPT_MAX 8
#define FILL_NS	  (WAIT_NS / 5 * 4) /* so that the batch is full before the kernel sends it */
#define FILL_MIN  16

struct coalesced {
	struct batch batch;
	/* the batch's records, as the frames that the kernel sends */
	struct slice {
		struct divert_frame head; /* reinject.tag: how many of its records are complete */
		uint8_t record[DIVERT_BATCH_FRAME];
	} __attribute__((packed, aligned(2))) slice[SLICES];
	struct io_uring ring;
	bool cannot; /* no io_uring: packets do not wait */
	bool armed;  /* the kernel will send, or has sent */
	bool holds;  /* the last batch went by the bulk path: the next one will, too */
	/* thread that submitted the request; NULL: the kernel no longer acts for any thread */
	const void *armer;
	int64_t since;	 /* when the timeout was started, ns */
	int64_t began;	 /* when the last full batch had been sent, ns */
	uint32_t want;	 /* slices that a full batch of such packets takes */
	uint8_t slept;	 /* timed sleeps since the timeout was submitted */
	uint32_t time;	 /* counts the timeouts: the clock that struct passed uses */
	uint32_t number; /* of the batch */
};

static bool never;
/* May the kernel have to send for this thread, on any socket? Its address identifies the thread. */
static __thread bool may_be_armed;

/* A batch number that the kernel half has not seen yet from this packet socket. */
static uint32_t next_number(struct dsock *s)
{
	if (!++s->batches)
		s->batches = 1;
	return s->batches;
}

static void set_slices(struct coalesced *d, uint32_t n)
{
	d->batch.room = (n - 1) * sizeof(struct slice) + DIVERT_BATCH_FRAME;
}

static uint32_t slices(const struct coalesced *d)
{
	return d->batch.room / sizeof(struct slice) + 1;
}

static uint32_t slice_of(const struct coalesced *d, uint32_t i)
{
	return d->batch.at[i] / sizeof(struct slice);
}

static struct coalesced *make(struct dsock *s)
{
	struct coalesced *d = calloc(1, sizeof(*d));
	uint32_t i;
	int fd = -1;

	if (!d)
		return NULL;
	s->flush = coalesce_flush;
	batch_begin(&d->batch, d->slice->record, 0);
	d->batch.slice = sizeof(struct slice);
	d->want = 1;
	set_slices(d, d->want);
	d->number = next_number(s);
	for (i = 0; i < SLICES; i++) /* the kernel may find a slice empty */
		d->slice[i].head = d->batch.head;
	/* under seccomp(2), an unexpected system call may kill the process */
	d->cannot = prctl(PR_GET_SECCOMP) != 0 || io_uring_queue_init(ENTRIES, &d->ring, 0);
	if (d->cannot) {
		d->ring.ring_fd = -1;
		return d;
	}
	fd = fdtable_take_inner(d->ring.ring_fd);
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
	if (!s->coalesced && !never) /* other threads read it: armed_by_us() */
		__atomic_store_n(&s->coalesced, make(s), __ATOMIC_RELEASE);
	return s->coalesced && !s->coalesced->cannot && !never;
}

/* Is the timeout still pending, so that the kernel has not sent yet? */
static bool is_armed(const struct coalesced *d)
{
	return d && d->armed && !never && !io_uring_cq_ready(&d->ring);
}

/* Our requests, by user_data. */
enum {
	OP_WAIT = 1,
	OP_SEND,
	OP_LONGER,
	OP_REST,
	OP_BEFORE, /* send a frame that is not the last */
};

/* Look at the completions. Has the kernel sent? */
static bool has_sent(struct coalesced *d, unsigned int *seen)
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

/*
 * Submit one frame. Hard links send each frame whatever becomes of the one before; disarm() cancels
 * them all.
 */
static void ask_to_send(const struct dsock *s, struct coalesced *d, uint32_t i, bool last)
{
	struct io_uring_sqe *send = io_uring_get_sqe(&d->ring);

	io_uring_prep_send(send, s->reinject, &d->slice[i], sizeof(struct slice), MSG_DONTWAIT);
	send->flags |= last ? 0 : IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
	send->user_data = last ? OP_SEND : OP_BEFORE;
}

/* Submit a timeout, after which the kernel once sends all that is in the slices then. */
static bool arm(const struct dsock *s, struct coalesced *d)
{
	struct __kernel_timespec in = {.tv_nsec = WAIT_NS};
	struct io_uring_sqe *wait;
	uint32_t i, n = d->want;
	unsigned int seen;
	bool sent = has_sent(d, &seen);

	if (d->armed && !sent)
		return !seen;
	io_uring_cq_advance(&d->ring, seen);
	set_slices(d, n);
	d->armed = io_uring_sq_space_left(&d->ring) > n;
	if (!d->armed)
		return false;
	wait = io_uring_get_sqe(&d->ring);
	io_uring_prep_timeout(wait, &in, 0, IORING_TIMEOUT_ETIME_SUCCESS);
	wait->flags |= IOSQE_IO_LINK;
	wait->user_data = OP_WAIT;
	for (i = 0; i < n; i++)
		ask_to_send(s, d, i, i + 1 == n);
	d->armed = io_uring_submit(&d->ring) == (int)n + 1;
	d->cannot = !d->armed;
	may_be_armed = true;
	__atomic_store_n(&d->armer, &may_be_armed, __ATOMIC_RELAXED);
	d->time++;
	d->slept = 0;
	d->since = now_ns();
	return d->armed;
}

/*
 * Restart the timeout, `in` ns from now. No packet may be waiting. If the timeout is just expiring,
 * the kernel finds nothing to send, and the completion of the failed update stays in the queue.
 */
static void wait_longer(struct coalesced *d, int64_t in)
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

static void disarm(struct coalesced *d)
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
	const struct coalesced *d = __atomic_load_n(&s->coalesced, __ATOMIC_ACQUIRE);

	return d && __atomic_load_n(&d->armer, __ATOMIC_RELAXED) == &may_be_armed;
}

static void rest(struct dsock *s)
{
	/* another thread may own the lock by now: send its packets, as the kernel will not */
	const bool locked = socket_lock(s);

	coalesce_flush(s);
	if (armed_by_us(s))
		disarm(s->coalesced);
	socket_unlock(s, locked);
}

void coalesce_rest(void)
{
	const int saved = errno;
	struct dsock *s;
	int fd;

	if (!may_be_armed)
		return;
	may_be_armed = false;
	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1)) {
		s = socket_get(fd);
		if (!s)
			continue;
		if (armed_by_us(s))
			rest(s);
		socket_put(s);
	}
	errno = saved;
}

void coalesce_sleeps(struct dsock *s, int64_t ns)
{
	struct coalesced *d = s->coalesced;

	if (is_armed(d) && !d->batch.n && (d->holds || d->slept++ < SLEPT_MAX))
		wait_longer(d, ns);
}

/*
 * Hash of where the packet goes. Inbound: the interface. Outbound: what routes are usually chosen
 * by (addresses, type of service, fwmark), and the interface it was leaving by. Never 0.
 */
static uint32_t place(const struct txpacket *o, const struct destination *to)
{
	const uint8_t *p = o->packet;
	bool v6 = p[0] >> 4 == 6;
	uint32_t h;

	if (!to->out)
		return to->ifindex;
	h = o->frame.reinject.oif << 8 ^ o->frame.reinject.mark ^
	    (v6 ? (p[0] << 8 | p[1]) & 0xff0 : p[1]);
	h = v6 ? hash_bytes(h, p + 8, 32) : hash_bytes(h, p + 12, 8);
	return h | 1u << 31;
}

/*
 * Will the program soon ask for packets again, which sends the waiting ones? If it uses timed
 * sleeps, packets come fast enough for that.
 */
static bool soon_reinject(const struct dsock *s)
{
	return ring_arrived(&s->ring) || (s->busypoll.sleep_ns && !s->watched);
}

bool coalesce_may(const struct dsock *s, const struct txpacket *o, const struct destination *to)
{
	uint32_t where = place(o, to);
	const struct passed *p = &s->passed[where % PASSED];

	return is_armed(s->coalesced) && p->where == where && p->time == s->coalesced->time &&
	       o->len <= p->len && biased_lock_mine(s) && soon_reinject(s) &&
	       o->frame.reinject.hops <= DIVERT_HOPS_MAX;
}

void coalesce_passed(struct dsock *s, const struct txpacket *o, const struct destination *to)
{
	uint32_t where = place(o, to);
	struct passed *p = &s->passed[where % PASSED];

	if (!biased_lock_mine(s) || !soon_reinject(s) || !begin(s) || !arm(s, s->coalesced))
		return;
	if (p->where != where || p->time != s->coalesced->time || p->len < o->len)
		p->len = o->len;
	p->where = where;
	p->time = s->coalesced->time;
}

void coalesce_failed(struct dsock *s)
{
	memset(s->passed, 0, sizeof(s->passed));
}

/* A batch got full with n packets: limit the next one to as many as come within FILL_NS. */
static void pace(struct coalesced *d, uint32_t n)
{
	int64_t now = now_ns(), most = n * FILL_NS / (now - d->began + 1);

	d->began = now;
	d->batch.most = most < FILL_MIN		  ? FILL_MIN
			: most < DIVERT_BATCH_MAX ? most
						  : DIVERT_BATCH_MAX;
}

bool coalesce_add(struct dsock *s, const struct txpacket *o)
{
	struct coalesced *d = s->coalesced;
	uint32_t n = d->batch.n;
	struct slice *slice;

	if (!batch_add(&d->batch, o)) {
		coalesce_flush(s);
		pace(d, n);
		if (d->holds)
			wait_longer(d, 0);
		if (!batch_add(&d->batch, o))
			return false;
	}
	n = d->batch.n;
	if (!n)
		return true; /* a signal handler has sent it */
	slice = &d->slice[slice_of(d, n - 1)];
	if (!slice->head.reinject.tag) {
		slice->head.protocol = d->batch.head.protocol;
		slice->head.reinject.ifindex = d->number;
		slice->head.reinject.oif = n - 1;
	}
	/* complete the record before it counts: the kernel may send at any moment */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	slice->head.reinject.tag++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!is_armed(d)) /* the kernel has sent the batch up to here and does not come again */
		coalesce_flush(s);
	return true;
}

static void send_frame(struct dsock *s, const struct coalesced *d, uint32_t from, uint32_t n,
		       uint32_t before, uint32_t number)
{
	int rc = batch_send_frame(s, &d->batch, from, n, before, number, MSG_DONTWAIT);

	if (rc && errno == EAGAIN) /* the socket buffer is full for a moment */
		rc = batch_send_frame(s, &d->batch, from, n, before, number, 0);
	if (rc) /* the next send fails, too, and reports the reason */
		coalesce_failed(s);
}

/*
 * Slices for a full batch of such packets. More than one pays off only with GRO and the bulk path,
 * not over lo.
 */
static uint32_t wanted(struct dsock *s, const struct batch *b)
{
	const uint32_t in_one = b->slice * b->n / b->end;
	const uint32_t n = (DIVERT_BATCH_MAX + in_one - 1) / in_one;

	if (!bulk_may(s, b) && !gro_may(s))
		return 1;
	return n < SLICES ? n : SLICES;
}

/* The kernel has not sent the batch, and will not: it now finds the slices empty. */
static void send_now(struct dsock *s, struct coalesced *d)
{
	uint32_t n, at = 0, until;
	bool framed = false;

	d->want = wanted(s, &d->batch);
	while (at < d->batch.n) {
		at += batch_quick(s, &d->batch, at, &until);
		framed |= at < until;
		for (; at < until; at += n) {
			n = batch_frame(&d->batch, at, until);
			send_frame(s, d, at, n, 0, next_number(s));
		}
	}
	/* if the batch needs more slices, do not hold: arm() will provide them */
	d->holds = !framed && d->want <= slices(d);
}

/*
 * The kernel may have sent the first packets already. The kernel half takes each packet of a
 * numbered batch once, so send them all again.
 */
static void send_rest(struct dsock *s, const struct coalesced *d)
{
	uint32_t at, n;

	for (at = 0; at < d->batch.n; at += n) {
		n = batch_frame(&d->batch, at, d->batch.n);
		send_frame(s, d, at, n, at, d->number);
	}
}

void coalesce_flush(struct dsock *s)
{
	struct coalesced *d = biased_lock_mine(s) ? s->coalesced : NULL;
	uint32_t i;

	if (!d || !d->batch.n)
		return;
	for (i = 0; i <= slice_of(d, d->batch.n - 1); i++)
		d->slice[i].head.reinject.tag = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	d->holds = false;
	if (is_armed(d))
		send_now(s, d);
	else
		send_rest(s, d);
	d->batch.n = 0;
	d->number = next_number(s);
}

void coalesce_never(void)
{
	never = true;
}

void coalesce_free(struct dsock *s)
{
	struct coalesced *d = s->coalesced;

	s->coalesced = NULL;
	if (!d)
		return;
	if (d->ring.ring_fd >= 0) {
		fdtable_close_inner(&d->ring.ring_fd); /* sets it to -1 */
		io_uring_queue_exit(&d->ring);
	}
	free(d);
}

void coalesce_move(struct dsock *s, int from, int to)
{
	struct coalesced *d = s->coalesced;

	if (d && d->ring.ring_fd == from)
		d->ring.ring_fd = d->ring.enter_ring_fd = to;
}
