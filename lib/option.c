// SPDX-License-Identifier: BSD-2-Clause
/* Socket options. */
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "divert.h"
#include "socket.h"

#define SOCK_PROTO 258

static int get_int(const void *value, socklen_t len, int *n)
{
	if (len < sizeof(*n))
		return -EINVAL;
	memcpy(n, value, sizeof(*n));
	return 0;
}

static int set_timeout(struct dsock *s, const void *value, socklen_t len)
{
	struct timeval t;

	if (len < sizeof(t))
		return -EINVAL;
	memcpy(&t, value, sizeof(t));
	if (t.tv_usec < 0 || t.tv_usec >= 1000000)
		return -EDOM;
	s->receive_timeout = t.tv_sec < 0 ? 0 : t.tv_sec * 1000000000ll + t.tv_usec * 1000ll;
	return 0;
}

static int set_socket(struct dsock *s, int name, const void *value, socklen_t len)
{
	int n, rc;

	if (name == SO_RCVTIMEO)
		return set_timeout(s, value, len);
	rc = get_int(value, len, &n);
	if (rc)
		return rc;
	switch (name) {
	case SO_SNDBUF:
		if (n < 1)
			return -EINVAL;
		s->sndbuf = n;
		return 0;
	case SO_RCVBUF:	   /* what is there already is larger than any program asks for */
	case SO_BROADCAST: /* always allowed */
	case SO_REUSEADDR: /* a port whose holder is gone is free at once */
	case SO_DONTROUTE:
	case SO_DEBUG:
		return 0;
	}
	return -ENOPROTOOPT;
}

int divert_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct dsock *s = socket_get(fd);
	int rc = -ENOPROTOOPT;

	if (!s)
		return -1;
	if (level == SOL_SOCKET)
		rc = set_socket(s, name, value, len);
	else if (level == IPPROTO_IP && name == IP_HDRINCL)
		rc = 0; /* packets have their headers in any case */
	socket_put(s);
	return rc ? fail(-rc) : 0;
}

static int get_socket(const struct dsock *s, int name, int *n)
{
	switch (name) {
	case SO_TYPE:
		*n = SOCK_RAW;
		return 0;
	case SO_DOMAIN:
		*n = s->domain;
		return 0;
	case SO_PROTOCOL:
		*n = SOCK_PROTO;
		return 0;
	case SO_SNDBUF:
		*n = s->sndbuf;
		return 0;
	case SO_RCVBUF:
		*n = s->ring.size;
		return 0;
	case SO_ERROR:
	case SO_ACCEPTCONN:
	case SO_REUSEADDR:
		*n = 0;
		return 0;
	case SO_BROADCAST:
		*n = 1;
		return 0;
	}
	return -ENOPROTOOPT;
}

int divert_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct dsock *s = socket_get(fd);
	struct timeval t;
	const void *from = &t;
	socklen_t size = sizeof(t);
	int n = 0, rc = -ENOPROTOOPT;

	if (!s)
		return -1;
	if (level == SOL_SOCKET && name == SO_RCVTIMEO) {
		t.tv_sec = s->receive_timeout / 1000000000;
		t.tv_usec = s->receive_timeout % 1000000000 / 1000;
		rc = 0;
	} else if (level == SOL_SOCKET) {
		rc = get_socket(s, name, &n);
		from = &n;
		size = sizeof(n);
	}
	socket_put(s);
	if (rc)
		return fail(-rc);
	if (*len < size)
		size = *len;
	memcpy(value, from, size);
	*len = size;
	return 0;
}
