// SPDX-License-Identifier: BSD-2-Clause
#include "batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bias.h"
#include "join.h"
#include "train.h"

/* The kernel half takes one direction's packets in turn, and those of one IP version. */
static bool like_first(const struct batch *b, const struct divert_batched *head)
{
	const struct divert_batched *first = (const void *)b->record;

	return head->protocol == first->protocol &&
	       !((head->back.flags ^ first->back.flags) & DIVERT_BACK_OUT);
}

void batch_begin(struct batch *b, uint8_t *room, size_t size)
{
	b->n = 0;
	b->record = room;
	b->room = size;
	b->most = DIVERT_BATCH_MAX;
	memset(&b->head, 0, sizeof(b->head));
	b->head.frame.back.flags = DIVERT_BACK_FRAME | DIVERT_BACK_BATCH;
	b->head.blank[DIVERT_BATCH_NEXT] = IPPROTO_NONE;
}

bool batch_add(struct batch *b, const struct outgoing *o)
{
	struct divert_batched head = {
		.len = o->len,
		.back = o->frame.back,
		.protocol = o->frame.protocol,
	};
	uint32_t at = b->n ? b->at[b->n] : 0;
	uint8_t *to = b->record + at;
	size_t i;

	if (b->n >= b->most || o->gso_size || (b->n && !like_first(b, &head)) ||
	    sizeof(head) + o->len > DIVERT_BATCH_PACKET || at + sizeof(head) + o->len > b->room)
		return false;
	to = mempcpy(to, &head, sizeof(head));
	for (i = 1; i < o->iovs; i++) /* behind the frame's header */
		to = mempcpy(to, o->iov[i].iov_base, o->iov[i].iov_len);
	if (!b->n)
		b->head.frame.protocol = head.protocol;
	b->at[b->n++] = at;
	b->at[b->n] = to - b->record;
	return true;
}

uint32_t batch_frame(const struct batch *b, uint32_t from, uint32_t end)
{
	uint32_t to = from + 1;

	while (to < end && to - from < DIVERT_BATCH_FRAMED &&
	       b->at[to + 1] - b->at[from] <= DIVERT_BATCH_FRAME)
		to++;
	return to - from;
}

int batch_send_frame(const struct dsock *s, const struct batch *b, uint32_t from, uint32_t n,
		     uint32_t number, int flags)
{
	struct batch_head head = b->head;
	struct iovec iov[] = {
		{&head, sizeof(head)},
		{b->record + b->at[from], b->at[from + n] - b->at[from]},
	};
	const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	head.frame.back.tag = n;
	head.frame.back.ifindex = number;
	return syscall(SYS_sendmsg, s->back, &msg, flags) < 0 ? -1 : 0;
}

uint32_t batch_quick(struct dsock *s, const struct batch *b, uint32_t from, uint32_t *until)
{
	uint32_t n = 0, next = join_next(s, b, from, &n);

	*until = next;
	if (next > from)
		return train_send(s, b, from, next);
	n = join_right(b, from, n);
	*until = from + n;
	return join_send(s, b, from, n) ? 0 : n;
}

/* From one up to another, in frames; how many went. */
static uint32_t send_frames(struct dsock *s, const struct batch *b, uint32_t from, uint32_t to)
{
	uint32_t at, n;

	for (at = from; at < to; at += n) {
		n = batch_frame(b, at, to);
		if (!batch_send_frame(s, b, at, n, 0, MSG_DONTWAIT))
			continue;
		if (errno == ENOBUFS)
			at += socket_refusal(s, s->back) >> 16;
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

unsigned int batch_all(struct dsock *s, unsigned int n,
		       ssize_t (*one)(void *arg, unsigned int i, struct batch *b), void *arg,
		       int *error)
{
	const bool mine = bias_begin(s);
	bool alone = n == 1;
	unsigned int i = 0;
	uint8_t frame[DIVERT_BATCH_FRAME], *room = alone ? NULL : train_room(s);
	struct batch b;
	ssize_t rc;

	batch_begin(&b, room ? room : frame, room ? DIVERT_TRAIN_ROOM : sizeof(frame));
	while (i < n) {
		rc = one(arg, i, alone ? NULL : &b);
		alone = rc == -EINPROGRESS;
		if (!alone && rc >= 0)
			i++;
		/* whatever it is that ends here, those before it come first */
		if (!alone && (rc < 0 || i == n))
			alone = batch_send(s, &b);
		if (alone) {
			i -= b.left; /* the first of those that did not go */
		} else if (rc < 0) {
			*error = rc;
			break;
		}
	}
	if (room)
		train_done();
	bias_end(mine);
	return i;
}
