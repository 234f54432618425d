// SPDX-License-Identifier: BSD-2-Clause
#include "batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bulk.h"
#include "gro.h"
#include "lib/core/biased_lock.h"
#include "lib/core/kernel.h"

/* The kernel half takes batches of one direction and one IP version only. */
static bool like_first(const struct batch *b, const struct divert_batched *head)
{
	const struct divert_batched *first = (const void *)b->record;

	return head->protocol == first->protocol &&
	       !((head->reinject.flags ^ first->reinject.flags) & DIVERT_REINJECT_OUT);
}

void batch_begin(struct batch *b, uint8_t *room, size_t size)
{
	b->n = 0;
	b->end = 0;
	b->record = room;
	b->room = size;
	b->slice = 0;
	b->alone = false;
	b->again = NULL;
	b->most = DIVERT_BATCH_MAX;
	reinject_frame(&b->head, 0);
	b->head.reinject.flags |= DIVERT_REINJECT_BATCH;
}

bool batch_add(struct batch *b, const struct txpacket *o)
{
	struct divert_batched head = {
		.len = o->len,
		.reinject = o->frame.reinject,
		.protocol = o->frame.protocol,
	};
	const size_t size = sizeof(head) + o->len;
	uint32_t at = b->n ? DIVERT_BATCH_NEXT(b->end) : 0;
	uint8_t *to;
	size_t i;

	memcpy(head.link, o->frame.link, sizeof(head.link));
	if (b->slice && at % b->slice + size > DIVERT_BATCH_FRAME)
		at += b->slice - at % b->slice;
	if (b->n >= b->most || o->gso_size || (b->n && !like_first(b, &head)) ||
	    size > DIVERT_BATCH_PACKET || at + size > b->room)
		return false;
	to = mempcpy(b->record + at, &head, sizeof(head));
	for (i = 1; i < o->iovs; i++) /* iov[0] is the frame header */
		to = mempcpy(to, o->iov[i].iov_base, o->iov[i].iov_len);
	if (!b->n)
		b->head.protocol = head.protocol;
	b->at[b->n++] = at;
	b->end = to - b->record;
	return true;
}

uint32_t batch_frame(const struct batch *b, uint32_t from, uint32_t end)
{
	const bool out = batch_record(b, from)->reinject.flags & DIVERT_REINJECT_OUT;
	const uint32_t most = out ? DIVERT_BATCH_FRAME : DIVERT_BATCH_IN;
	uint32_t to = from + 1;

	while (to < end && batch_record_end(b, to) - b->at[from] <= most &&
	       (!b->slice || b->at[to] / b->slice == b->at[from] / b->slice))
		to++;
	return to - from;
}

int batch_send_frame(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t n,
		     uint32_t before, uint32_t number, int flags)
{
	struct divert_frame head = b->head;
	struct iovec iov[] = {
		{&head, sizeof(head)},
		{b->record + b->at[from], batch_record_end(b, from + n - 1) - b->at[from]},
	};
	const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	head.reinject.tag = n;
	head.reinject.ifindex = number;
	head.reinject.oif = before;
	return syscall(SYS_sendmsg, s->reinject, &msg, flags) < 0 ? -1 : 0;
}

uint32_t batch_quick(struct dsock *s, const struct batch *b, uint32_t from, uint32_t *until)
{
	uint32_t n = 0, next = gro_next(s, b, from, &n);

	*until = next;
	if (next > from)
		return bulk_send(s, b, from, next);
	n = gro_right(b, from, n);
	*until = from + n;
	return gro_send(s, b, from, n) ? 0 : n;
}

/* Send packets from..to-1 in frames. Returns how many were sent. */
static uint32_t send_frames(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to)
{
	uint32_t at, n;

	for (at = from; at < to; at += n) {
		n = batch_frame(b, at, to);
		if (!batch_send_frame(s, b, at, n, 0, 0, MSG_DONTWAIT))
			continue;
		if (errno == ENOBUFS)
			at += socket_refusal(s, s->reinject) >> 16;
		break;
	}
	return at - from;
}

int batch_send(struct dsock *s, struct batch *b)
{
	uint32_t at = 0, until = 0;

	while (at == until && at < b->n) {
		at += batch_quick(s, b, at, &until);
		at += send_frames(s, b, at, until);
	}
	b->left = b->n - at;
	b->n = 0;
	return b->left ? -1 : 0;
}

/* Keep the last packet's owner. */
static void keep_owner(struct metacache_owner *owner, const struct batch *b)
{
	const struct divert_reinject *reinject = &batch_record(b, b->n - 1)->reinject;

	owner->flags =
		reinject->flags & DIVERT_REINJECT_OUT ? reinject->meta & DIVERT_META_OWNER : 0;
	owner->uid = reinject->uid;
	owner->gid = reinject->gid;
}

unsigned int batch_all(struct dsock *s, unsigned int n,
		       ssize_t (*one)(void *arg, unsigned int i, struct batch *b), void *arg,
		       int *error)
{
	const bool mine = biased_lock_begin(s);
	struct metacache_owner owner[DIVERT_BATCH_MAX]; /* of the packets in the batch */
	unsigned int i = 0, tried = 0;
	uint8_t frame[DIVERT_BATCH_FRAME], *room = n == 1 ? NULL : bulk_room(s);
	struct batch b;
	ssize_t rc;

	batch_begin(&b, room ? room : frame, room ? DIVERT_BULK_ROOM : sizeof(frame));
	b.alone = n == 1;
	while (i < n) {
		b.again = i < tried ? &owner[i % DIVERT_BATCH_MAX] : NULL;
		rc = one(arg, i, &b);
		b.alone = rc == -EINPROGRESS;
		if (rc >= 0 && i >= tried && b.n) {
			keep_owner(&owner[i % DIVERT_BATCH_MAX], &b);
			tried = i + 1;
		}
		if (rc >= 0)
			i++;
		/* before the error or the end, send what is in the batch */
		if (!b.alone && (rc < 0 || i == n))
			b.alone = batch_send(s, &b);
		if (b.alone) {
			i -= b.left; /* the first of those that were not sent */
		} else if (rc < 0) {
			*error = rc;
			break;
		}
	}
	if (room)
		bulk_done();
	biased_lock_end(mine);
	return i;
}
