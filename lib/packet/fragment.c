// SPDX-License-Identifier: BSD-2-Clause
#include "fragment.h"

#include <errno.h>
#include <string.h>

#include "checksum.h"
#include "wire.h"

#define HEADER4	      20
#define HEADER6	      40
#define FRAGMENT      8 /* bytes of an IPv6 fragment header */
#define NEXT_FRAGMENT 44
#define OPTION_END    0
#define OPTION_NOP    1
#define OPTION_COPY   0x80 /* copied flag of an option's type: all fragments have the option */
#define FLAG_DF	      0x40
#define FLAG_MORE     0x2000
#define FLAG_RESERVED 0x80

/* Options with the copied flag go into all fragments, others into the first only (RFC 791, 3.1). */
static void make_later(struct fragments *f)
{
	uint32_t at = HEADER4, to = HEADER4, n;
	const uint8_t *p = f->packet;

	memcpy(f->later, p, HEADER4);
	while (at < f->whole.head && p[at] != OPTION_END) {
		n = 1;
		if (p[at] != OPTION_NOP) {
			if (at + 2 > f->whole.head || p[at + 1] < 2 ||
			    at + p[at + 1] > f->whole.head)
				break; /* malformed: the rest are no options */
			n = p[at + 1];
			if (p[at] & OPTION_COPY) {
				memcpy(f->later + to, p + at, n);
				to += n;
			}
		}
		at += n;
	}
	while (to % 4)
		f->later[to++] = OPTION_END;
	f->later[0] = 4 << 4 | to / 4;
	f->later_len = to;
}

int fragments_begin(struct fragments *f, const uint8_t *packet, uint32_t len, uint32_t size,
		    uint32_t id)
{
	bool fragment = fraghdr_read(packet, len, &f->whole);

	f->packet = packet;
	f->len = len;
	f->size = size;
	f->at = 0;
	if (packet[0] >> 4 == 4) {
		if (packet[6] & FLAG_DF || f->whole.head < HEADER4 || f->whole.head > len)
			return -EMSGSIZE;
		make_later(f);
		return size < f->whole.head + 8 || len == f->whole.head ? -EMSGSIZE : 0;
	}
	if (!fragment) {
		fraghdr_place(packet, len, &f->whole);
		f->whole.id = id;
	}
	return size < f->whole.head + FRAGMENT + 8 || len <= f->whole.data ? -EMSGSIZE : 0;
}

static void build4(const struct fragments *f, uint8_t *to, uint32_t head, uint32_t n, bool more)
{
	const uint32_t offset = (f->whole.offset + f->at) / 8;

	memcpy(to, f->at ? f->later : f->packet, head);
	put16(to + 2, head + n);
	put16(to + 6, (f->packet[6] & FLAG_RESERVED) << 8 | offset | (more ? FLAG_MORE : 0));
	checksum_ip4_set(to);
}

static void build6(const struct fragments *f, uint8_t *to, uint32_t n, bool more)
{
	const struct fraghdr *whole = &f->whole;

	memcpy(to, f->packet, whole->head);
	put16(to + 4, whole->head + FRAGMENT + n - HEADER6);
	to[whole->link] = NEXT_FRAGMENT;
	to += whole->head;
	to[0] = whole->next;
	to[1] = 0;
	put16(to + 2, (whole->offset + f->at) | more);
	memcpy(to + 4, &whole->id, 4);
}

uint32_t fragments_next(struct fragments *f, uint8_t *to)
{
	uint32_t left = f->len - f->whole.data - f->at, n, head;
	bool v6 = f->packet[0] >> 4 == 6, more = f->whole.more;

	if (!left)
		return 0;
	if (v6)
		head = f->whole.head + FRAGMENT;
	else
		head = f->at ? f->later_len : f->whole.head;
	n = left;
	if (head + n > f->size) {
		n = (f->size - head) & ~7u;
		more = true;
	}
	if (v6)
		build6(f, to, n, more);
	else
		build4(f, to, head, n, more);
	memcpy(to + head, f->packet + f->whole.data + f->at, n);
	f->at += n;
	return head + n;
}
