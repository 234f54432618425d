// SPDX-License-Identifier: BSD-2-Clause
#include "batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel half takes one direction's packets in turn, and those of one IP version. */
static bool like_first(const struct batch *b, const struct divert_batched *head)
{
	const struct divert_batched *first = (const void *)b->record;

	return head->protocol == first->protocol &&
	       !((head->back.flags ^ first->back.flags) & DIVERT_BACK_OUT);
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

	if (b->n == DIVERT_BATCH_MAX || o->gso_size || (b->n && !like_first(b, &head)) ||
	    sizeof(head) + o->len > DIVERT_BATCH_PACKET ||
	    at + sizeof(head) + o->len > DIVERT_BATCH_ROOM)
		return false;
	to = mempcpy(to, &head, sizeof(head));
	for (i = 1; i < o->iovs; i++) /* behind the frame's header */
		to = mempcpy(to, o->iov[i].iov_base, o->iov[i].iov_len);
	if (!b->n) {
		b->frame.back.flags = DIVERT_BACK_FRAME | DIVERT_BACK_BATCH;
		b->frame.protocol = head.protocol;
		memset(b->blank, 0, sizeof(b->blank));
		b->blank[DIVERT_BATCH_NEXT] = IPPROTO_NONE;
	}
	b->at[b->n++] = at;
	b->at[b->n] = to - b->record;
	return true;
}

size_t batch_frame_len(const struct batch *b)
{
	return sizeof(b->frame) + sizeof(b->blank) + (b->n ? b->at[b->n] : 0);
}

int batch_send(const struct dsock *s, struct batch *b)
{
	size_t len = batch_frame_len(b);

	b->left = b->n;
	b->n = 0;
	if (!b->left)
		return 0;
	b->frame.back.tag = b->left;
	b->frame.back.ifindex = 0;
	if (syscall(SYS_sendto, s->back, &b->frame, len, MSG_DONTWAIT, NULL, 0) >= 0) {
		b->left = 0;
		return 0;
	}
	if (errno == ENOBUFS)
		b->left -= socket_refusal(s, s->back) >> 16;
	return -1;
}

unsigned int batch_all(const struct dsock *s, unsigned int n,
		       ssize_t (*one)(void *arg, unsigned int i, struct batch *b), void *arg,
		       int *error)
{
	bool alone = n == 1;
	unsigned int i = 0;
	struct batch b;
	ssize_t rc;

	b.n = 0;
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
	return i;
}
