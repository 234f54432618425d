// SPDX-License-Identifier: BSD-2-Clause
#include "fraghdr.h"

#include <string.h>

#include "wire.h"

#define HEADER4	   20
#define HEADER6	   40
#define FRAGMENT   8 /* bytes of an IPv6 fragment header */
#define PACKET_MAX 65535

enum {
	NEXT_HOPOPTS = 0,
	NEXT_TCP = 6,
	NEXT_UDP = 17,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_AH = 51,
	NEXT_ICMP6 = 58,
	NEXT_NONE = 59,
	NEXT_DSTOPTS = 60,
};

static bool read4(const uint8_t *packet, uint32_t len, struct fraghdr *p)
{
	uint32_t frag;

	if (len < HEADER4)
		return false;
	frag = get16(packet + 6);
	p->head = p->data = (packet[0] & 15) * 4;
	p->offset = (frag & 0x1fff) * 8;
	p->more = frag & 0x2000;
	p->id = packet[4] | packet[5] << 8;
	p->next = packet[9];
	if (p->head < HEADER4 || p->head > len)
		return false;
	p->len = len - p->head;
	return p->offset || p->more;
}

/* Length of the IPv6 extension header at `at`; 0: it is none, or is truncated. */
static uint32_t extension(uint8_t type, const uint8_t *packet, uint32_t at, uint32_t len)
{
	uint32_t n;

	if (type != NEXT_HOPOPTS && type != NEXT_ROUTING && type != NEXT_DSTOPTS && type != NEXT_AH)
		return 0;
	if (at + 8 > len)
		return 0;
	n = type == NEXT_AH ? (packet[at + 1] + 2) * 4 : (packet[at + 1] + 1) * 8;
	return at + n <= len ? n : 0;
}

static bool read6(const uint8_t *packet, uint32_t len, struct fraghdr *p)
{
	uint32_t at = HEADER6, n;

	if (len < HEADER6)
		return false;
	p->link = 6;
	while (packet[p->link] != NEXT_FRAGMENT) {
		n = extension(packet[p->link], packet, at, len);
		if (!n)
			return false;
		p->link = at;
		at += n;
	}
	if (at + FRAGMENT > len)
		return false;
	p->head = at;
	p->data = at + FRAGMENT;
	p->len = len - p->data;
	p->next = packet[at];
	p->offset = get16(packet + at + 2) & 0xfff8;
	p->more = packet[at + 3] & 1;
	memcpy(&p->id, packet + at + 4, 4);
	return true;
}

bool fraghdr_read(const uint8_t *packet, uint32_t len, struct fraghdr *p)
{
	memset(p, 0, sizeof(*p));
	if (!len)
		return false;
	switch (packet[0] >> 4) {
	case 4:
		return read4(packet, len, p);
	case 6:
		return read6(packet, len, p);
	}
	return false;
}

void fraghdr_place(const uint8_t *packet, uint32_t len, struct fraghdr *p)
{
	uint32_t at = HEADER6, link = 6, n;

	memset(p, 0, sizeof(*p));
	p->link = 6;
	p->head = HEADER6;
	/*
	 * RFC 8200, 4.5: unfragmentable up to the routing header; destination options after it are
	 * not
	 */
	while (packet[link] != NEXT_AH) {
		n = extension(packet[link], packet, at, len);
		if (!n)
			break;
		if (packet[link] != NEXT_DSTOPTS) {
			p->link = at;
			p->head = at + n;
		}
		link = at;
		at += n;
	}
	p->data = p->head;
	p->len = len - p->data;
	p->next = packet[p->link];
}

bool fraghdr_impossible(const struct fraghdr *p)
{
	return !p->len || (p->more && p->len % 8) || p->head + p->offset + p->len > PACKET_MAX;
}

bool fraghdr_headers_whole(const uint8_t *packet, uint32_t len, const struct fraghdr *p)
{
	uint32_t at = p->data, n;
	uint8_t type = p->next;

	if (packet[0] >> 4 == 4)
		return true;
	while ((n = extension(type, packet, at, len))) {
		type = packet[at];
		at += n;
	}
	switch (type) {
	case NEXT_HOPOPTS:
	case NEXT_ROUTING:
	case NEXT_DSTOPTS:
	case NEXT_AH:
		return false;
	case NEXT_TCP:
		return at + 20 <= len;
	case NEXT_UDP:
	case NEXT_ICMP6:
		return at + 8 <= len;
	case NEXT_NONE:
		return true;
	}
	return at < len;
}
