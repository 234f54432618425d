// SPDX-License-Identifier: BSD-2-Clause
#include "loans.h"

#include <errno.h>
#include <stdlib.h>

#define KEEP 2048u /* bytes of buffer that a slot keeps when its packet is returned */

static struct lent *place(struct loans *l, uint64_t number)
{
	return &l->lent[number % DIVERT_BORROW_MAX];
}

struct lent *loans_next(struct dsock *s, int *rc)
{
	if (!s->loans)
		s->loans = calloc(1, sizeof(*s->loans));
	if (!s->loans) {
		*rc = -ENOMEM;
		return NULL;
	}
	if (s->loans->next - s->loans->first == DIVERT_BORROW_MAX) {
		*rc = -ENOBUFS;
		return NULL;
	}
	return place(s->loans, s->loans->next);
}

void *loans_room(struct lent *l, uint32_t len)
{
	if (l->room >= len)
		return l->copy;
	free(l->copy);
	l->room = len > KEEP ? len : KEEP;
	l->copy = malloc(l->room);
	if (!l->copy)
		l->room = 0;
	return l->copy;
}

uint64_t loans_out(struct dsock *s, struct lent *l)
{
	struct loans *all = s->loans;

	l->out = true;
	l->at = s->ring.at;
	if (all->first == all->next)
		ring_hold(&s->ring, &l->at);
	return all->next++;
}

int loans_back(struct dsock *s, uint64_t number)
{
	struct lent *l;

	if (!s->loans || number < s->loans->first || number >= s->loans->next)
		return -EINVAL;
	l = place(s->loans, number);
	if (!l->out)
		return -EINVAL;
	l->out = false;
	if (l->room > KEEP) {
		free(l->copy);
		l->copy = NULL;
		l->room = 0;
	}
	return 0;
}

void loans_settle(struct dsock *s)
{
	struct loans *l = s->loans;

	if (!l)
		return;
	while (l->first < l->next && !place(l, l->first)->out)
		l->first++;
	/* at its end the ring must stay readable */
	if (!s->shared->shut_read && !s->shared->down)
		ring_hold(&s->ring, l->first < l->next ? &place(l, l->first)->at : NULL);
}

void loans_free(struct dsock *s)
{
	unsigned int i;

	if (!s->loans)
		return;
	for (i = 0; i < DIVERT_BORROW_MAX; i++)
		free(s->loans->lent[i].copy);
	free(s->loans);
	s->loans = NULL;
}
