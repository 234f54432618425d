// SPDX-License-Identifier: BSD-2-Clause
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/iface.h"
#include "lib/core/pktcache.h"

#define ZERO_LEN 8 /* size of sin_zero */

/*
 * Write an index as ":12". One of more than six digits does not fit; then the address has to
 * identify the interface.
 */
static void put_index(char *zero, uint32_t ifindex)
{
	char text[16];

	if (snprintf(text, sizeof(text), ":%u", ifindex) < ZERO_LEN)
		memcpy(zero, text, strlen(text));
}

static void make4(const struct divert_record *rec, struct sockaddr_in *in)
{
	in->sin_family = AF_INET;
	in->sin_port = rec->tag; /* host order: divert(4) */
	if (!(rec->flags & DIVERT_REC_OUT))
		/* 0 would mean outbound when the packet is reinjected */
		in->sin_addr.s_addr = rec->addr ? rec->addr : INADDR_BROADCAST;
	if (!rec->ifindex)
		return;
	if (strnlen(rec->name, ZERO_LEN) < ZERO_LEN) {
		memcpy(in->sin_zero, rec->name, ZERO_LEN);
		iface_learn(rec->name, rec->ifindex);
	} else {
		/* A truncated name could be another interface's. No name contains a colon. */
		put_index((char *)in->sin_zero, rec->ifindex);
	}
}

static void make6(const struct divert_record *rec, struct sockaddr_in6 *in6)
{
	in6->sin6_family = AF_INET6;
	in6->sin6_port = rec->tag;
	in6->sin6_scope_id = rec->ifindex;
	if (!(rec->flags & DIVERT_REC_OUT))
		iface_addr6(rec->ifindex, &in6->sin6_addr);
}

void address_make(const struct dsock *s, const struct divert_record *rec, struct sockaddr *addr,
		  socklen_t *len)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a = {};
	socklen_t size = s->domain == AF_INET ? sizeof(a.in) : sizeof(a.in6);

	if (s->domain == AF_INET)
		make4(rec, &a.in);
	else
		make6(rec, &a.in6);
	memcpy(addr, &a, *len < size ? *len : size);
	*len = size;
}

/* Read an index such as ":12". 0: it is none. */
static uint32_t read_index(const char *text)
{
	unsigned long n;
	char *end;

	if (text[0] != ':' || text[1] < '1' || text[1] > '9')
		return 0;
	n = strtoul(text + 1, &end, 10);
	return *end ? 0 : n;
}

static int read4(struct dsock *s, const struct sockaddr_in *in, const uint8_t *packet, uint32_t len,
		 struct destination *to)
{
	char name[ZERO_LEN] = {};

	to->tag = in->sin_port;
	to->out = in->sin_addr.s_addr == INADDR_ANY;
	strncpy(name, (const char *)in->sin_zero, ZERO_LEN); /* bytes after the NUL are garbage */
	/* the last byte may be sin_len, which BSD sources set, in the compatibility headers */
	if (name[ZERO_LEN - 1] == sizeof(*in))
		name[ZERO_LEN - 1] = '\0';
	/* a name must be NUL-terminated */
	if (name[0] && !name[ZERO_LEN - 1]) {
		to->ifindex = read_index(name);
		if (!to->ifindex)
			to->ifindex = iface_by_name(name, &to->guessed);
	}
	if (!in->sin_zero[0] && packet && s->domain == AF_INET) {
		to->ifindex = pktcache_origin(&s->pktcache, packet, len, in->sin_addr.s_addr);
		to->guessed = to->ifindex != 0;
	}
	if (to->out || to->ifindex)
		return 0; /* outbound: the receiving interface is optional */
	to->ifindex = iface_by_addr4(in->sin_addr.s_addr, &to->guessed);
	return to->ifindex ? 0 : -EADDRNOTAVAIL;
}

static int read6(const struct sockaddr_in6 *in6, struct destination *to)
{
	to->tag = in6->sin6_port;
	to->out = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
	to->ifindex = in6->sin6_scope_id;
	if (to->out || to->ifindex)
		return 0;
	to->ifindex = iface_by_addr6(&in6->sin6_addr, &to->guessed);
	return to->ifindex ? 0 : -EADDRNOTAVAIL;
}

int address_read(struct dsock *s, const struct sockaddr *addr, socklen_t len, const uint8_t *packet,
		 uint32_t packet_len, struct destination *to)
{
	memset(to, 0, sizeof(*to));
	if (!addr || !len) {
		to->out = 1;
		return 0;
	}
	if (len < sizeof(addr->sa_family))
		return -EINVAL;
	if (addr->sa_family == AF_INET) {
		if (len < sizeof(struct sockaddr_in))
			return -EINVAL;
		return read4(s, (const void *)addr, packet, packet_len, to);
	}
	if (addr->sa_family == AF_INET6 && s->domain == AF_INET6) {
		if (len < sizeof(struct sockaddr_in6))
			return -EINVAL;
		return read6((const void *)addr, to);
	}
	return -EAFNOSUPPORT;
}
