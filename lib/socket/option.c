// SPDX-License-Identifier: BSD-2-Clause
/* Socket options: a table of them, and their handlers. */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "buffer.h"
#include "divert.h"
#include "include/compat/netinet/in.h"
#include "include/compat/sys/socket.h"
#include "lib/core/biased_lock.h"
#include "lib/core/fdtable.h"
#include "lib/core/iface.h"
#include "lib/core/kernel.h"

/* An option. Members that do not apply are NULL or 0. */
struct option {
	int level, name;
	/*
	 * A switch: its bit of enum socket_switch. set() is called before the bit changes; if that
	 * fails (-errno), the bit stays.
	 */
	uint32_t bit;
	/* an int: its handlers; for a switch, n is 0 or 1 */
	int (*set)(struct dsock *s, int n);
	int (*get)(const struct dsock *s);
	/* any other type; get_value() writes at most 16 bytes and returns how many */
	int (*set_value)(struct dsock *s, const void *value, socklen_t len);
	int (*get_value)(const struct dsock *s, void *value);
};

/*
 * Change one of enum divert_socket_flags. If the socket is not bound yet, this takes effect when it
 * is.
 */
static int set_flag(struct dsock *s, uint32_t flag, bool on)
{
	struct shared *sh = s->shared;
	uint32_t was = sh->conf.flags;
	int rc = 0;

	sh->conf.flags = on ? was | flag : was & ~flag;
	if (sh->bound && sh->conf.flags != was)
		rc = socket_set(s, DIVERT_SET_FLAGS, sh->conf.flags);
	if (rc)
		sh->conf.flags = was;
	return rc;
}

/* ---- metadata with packets ---- */

static int set_told(struct dsock *s, uint32_t bit, int on)
{
	const uint32_t all = SOCKET_INFO | SOCKET_TIMESTAMP | SOCKET_TIMESTAMPNS | SOCKET_RXQ_OVFL;

	return set_flag(s, DIVERT_SOCK_INFO, on || s->shared->on & all & ~bit);
}

static int set_info(struct dsock *s, int on)
{
	return set_told(s, SOCKET_INFO, on);
}

static int set_overflow(struct dsock *s, int on)
{
	return set_told(s, SOCKET_RXQ_OVFL, on);
}

/* At most one of the two is on, as on Linux: the last one set. */
static int set_timestamp(struct dsock *s, int on)
{
	int rc = set_told(s, SOCKET_TIMESTAMP | SOCKET_TIMESTAMPNS, on);

	if (!rc)
		s->shared->on &= ~(SOCKET_TIMESTAMP | SOCKET_TIMESTAMPNS);
	return rc;
}

static int set_reassemble(struct dsock *s, int on)
{
	return set_flag(s, DIVERT_SOCK_REASSEMBLE, on);
}

/* ---- the port ---- */

static int set_bypass(struct dsock *s, int on)
{
	s->shared->on |= SOCKET_BYPASS_SAID;
	return s->shared->bound ? socket_set(s, DIVERT_SET_BYPASS, on) : 0;
}

/*
 * As on OpenBSD: RESP diverts incoming packets, INIT outgoing ones. The option can be set once;
 * until then both are diverted.
 */
static int set_directions(struct dsock *s, int n)
{
	const uint32_t none = DIVERT_SOCK_NOT_IN | DIVERT_SOCK_NOT_OUT;
	int rc;

	if (n & ~(IPPROTO_DIVERT_RESP | IPPROTO_DIVERT_INIT) || !n)
		return -EINVAL;
	if (s->shared->directions)
		return -ENOTSUP;
	rc = set_flag(s, n & IPPROTO_DIVERT_RESP ? 0 : DIVERT_SOCK_NOT_IN, true);
	if (!rc)
		rc = set_flag(s, n & IPPROTO_DIVERT_INIT ? 0 : DIVERT_SOCK_NOT_OUT, true);
	if (rc)
		set_flag(s, none, false);
	else
		s->shared->directions = n;
	return rc;
}

static int get_directions(const struct dsock *s)
{
	return s->shared->directions;
}

/* ---- buffers ---- */

static int set_receive_buffer(struct dsock *s, int n)
{
	struct shared *sh = s->shared;

	if (n < 1)
		return -EINVAL;
	if ((size_t)n > s->ring.size)
		socket_grow(s, n);
	/* the ring's size is a power of two, or less than n if it could not grow */
	sh->conf.limit = (size_t)n < s->ring.size ? (size_t)n : s->ring.size;
	return sh->bound ? socket_set(s, DIVERT_SET_LIMIT, sh->conf.limit) : 0;
}

static int get_receive_buffer(const struct dsock *s)
{
	return s->shared->conf.limit;
}

static int set_send_buffer(struct dsock *s, int n)
{
	if (n < 1)
		return -EINVAL;
	s->shared->sndbuf = n;
	return 0;
}

static int get_send_buffer(const struct dsock *s)
{
	return s->shared->sndbuf;
}

/* ---- time ---- */

static int read_time(const void *value, socklen_t len, int64_t *ns)
{
	struct timeval t;

	if (len < sizeof(t))
		return -EINVAL;
	memcpy(&t, value, sizeof(t));
	if (t.tv_usec < 0 || t.tv_usec >= 1000000)
		return -EDOM;
	if (t.tv_sec < 0 || t.tv_sec > INT64_MAX / 2000000000)
		t.tv_sec = t.tv_usec = 0;
	*ns = t.tv_sec * 1000000000ll + t.tv_usec * 1000ll;
	return 0;
}

static int write_time(int64_t ns, void *value)
{
	struct timeval t = {.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000};

	memcpy(value, &t, sizeof(t));
	return sizeof(t);
}

static int set_receive_timeout(struct dsock *s, const void *value, socklen_t len)
{
	return read_time(value, len, &s->shared->receive_timeout);
}

static int get_receive_timeout(const struct dsock *s, void *value)
{
	return write_time(s->shared->receive_timeout, value);
}

/* A blocking send waits in the kernel for room in the packet socket's buffer. */
static int set_send_timeout(struct dsock *s, const void *value, socklen_t len)
{
	int rc = read_time(value, len, &s->shared->send_timeout);

	return rc ? rc : socket_send_timeout(s);
}

static int get_send_timeout(const struct dsock *s, void *value)
{
	return write_time(s->shared->send_timeout, value);
}

/* ---- sent packets ---- */

/* A mark can change the route, so let the kernel check whether the process may set one. */
static int set_mark(struct dsock *s, int mark)
{
	int fd = syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	rc = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ? -errno : 0;
	syscall(SYS_close, fd);
	if (rc)
		return rc;
	s->shared->fwmark = mark;
	s->shared->on |= SOCKET_MARK;
	return 0;
}

static int get_mark(const struct dsock *s)
{
	return s->shared->fwmark;
}

/* Takes an address of the interface, or its index, like ip(7). */
static int set_multicast4(struct dsock *s, const void *value, socklen_t len)
{
	char name[IF_NAMESIZE];
	struct ip_mreqn m = {};
	int guessed;

	if (len >= sizeof(struct ip_mreq))
		memcpy(&m, value, len < sizeof(m) ? len : sizeof(m));
	else if (len >= sizeof(m.imr_address))
		memcpy(&m.imr_address, value, sizeof(m.imr_address));
	else
		return -EINVAL;
	if (m.imr_ifindex < 0)
		return -EADDRNOTAVAIL;
	if (!m.imr_ifindex && m.imr_address.s_addr) {
		m.imr_ifindex = iface_by_addr4(m.imr_address.s_addr, &guessed);
		if (!m.imr_ifindex)
			return -EADDRNOTAVAIL;
	} else if (m.imr_ifindex && !if_indextoname(m.imr_ifindex, name)) {
		return -EADDRNOTAVAIL;
	}
	s->shared->multicast[0] = m.imr_ifindex;
	s->shared->multicast_addr = m.imr_address;
	return 0;
}

static int get_multicast4(const struct dsock *s, void *value)
{
	memcpy(value, &s->shared->multicast_addr, sizeof(s->shared->multicast_addr));
	return sizeof(s->shared->multicast_addr);
}

static int set_multicast6(struct dsock *s, int ifindex)
{
	char name[IF_NAMESIZE];

	if (ifindex < 0 || (ifindex && !if_indextoname(ifindex, name)))
		return -ENODEV;
	s->shared->multicast[1] = ifindex;
	return 0;
}

static int get_multicast6(const struct dsock *s)
{
	return s->shared->multicast[1];
}

/* ---- GSO packets ---- */

static int set_gso(struct dsock *s, int n)
{
	if (n != 0 && n != 1)
		return -EINVAL;
	s->shared->gso_types = n ? DIVERT_GSO_TCP | DIVERT_GSO_UDP : 0;
	return 0;
}

static int get_gso(const struct dsock *s)
{
	return s->shared->gso_types != 0;
}

/* ---- options that all sockets have ---- */

static int ignore(struct dsock *s, int n)
{
	return 0;
}

static int get_0(const struct dsock *s)
{
	return 0;
}

static int get_error(const struct dsock *s)
{
	return ring_is_down(&s->ring) ? ENETDOWN : 0;
}

static int get_1(const struct dsock *s)
{
	return 1;
}

static int get_type(const struct dsock *s)
{
	return SOCK_RAW;
}

static int get_domain(const struct dsock *s)
{
	return s->domain;
}

static int get_protocol(const struct dsock *s)
{
	return IPPROTO_DIVERT;
}

static int set_busy_poll(struct dsock *s, int n)
{
	if (n < 0 || n > BUSYPOLL_MAX)
		return -EINVAL;
	s->shared->busy_poll = n;
	return 0;
}

static int get_busy_poll(const struct dsock *s)
{
	return s->shared->busy_poll;
}

static int set_cookie(struct dsock *s, int n)
{
	s->shared->cookie = n;
	return 0;
}

static int get_cookie(const struct dsock *s)
{
	return s->shared->cookie;
}

static const struct option options[] = {
	{SOL_DIVERT, DIVERT_REASSEMBLE, .bit = SOCKET_REASSEMBLE, .set = set_reassemble},
	{SOL_DIVERT, DIVERT_BYPASS, .bit = SOCKET_BYPASS, .set = set_bypass},
	{SOL_DIVERT, DIVERT_GSO, .set = set_gso, .get = get_gso},
	{SOL_DIVERT, DIVERT_INFO, .bit = SOCKET_INFO, .set = set_info},

	{SOL_SOCKET, SO_RCVBUF, .set = set_receive_buffer, .get = get_receive_buffer},
	{SOL_SOCKET, SO_RCVBUFFORCE, .set = set_receive_buffer, .get = get_receive_buffer},
	{SOL_SOCKET, SO_SNDBUF, .set = set_send_buffer, .get = get_send_buffer},
	{SOL_SOCKET, SO_SNDBUFFORCE, .set = set_send_buffer, .get = get_send_buffer},
	{SOL_SOCKET, SO_RCVTIMEO, .set_value = set_receive_timeout,
	 .get_value = get_receive_timeout},
	{SOL_SOCKET, SO_SNDTIMEO, .set_value = set_send_timeout, .get_value = get_send_timeout},
	{SOL_SOCKET, SO_RXQ_OVFL, .bit = SOCKET_RXQ_OVFL, .set = set_overflow},
	{SOL_SOCKET, SO_TIMESTAMP, .bit = SOCKET_TIMESTAMP, .set = set_timestamp},
	{SOL_SOCKET, SO_TIMESTAMPNS, .bit = SOCKET_TIMESTAMPNS, .set = set_timestamp},
	{SOL_SOCKET, SO_REUSEPORT, .bit = SOCKET_REUSEPORT},
	{SOL_SOCKET, SO_MARK, .set = set_mark, .get = get_mark},
	{SOL_SOCKET, SO_BUSY_POLL, .set = set_busy_poll, .get = get_busy_poll},
	{SOL_SOCKET, SO_USER_COOKIE, .set = set_cookie, .get = get_cookie},
	{SOL_SOCKET, SO_TYPE, .get = get_type},
	{SOL_SOCKET, SO_DOMAIN, .get = get_domain},
	{SOL_SOCKET, SO_PROTOCOL, .get = get_protocol},
	{SOL_SOCKET, SO_ERROR, .get = get_error},
	{SOL_SOCKET, SO_ACCEPTCONN, .get = get_0},
	/*
	 * Broadcast is always allowed; a port is free as soon as its holder has gone; the others
	 * have no effect.
	 */
	{SOL_SOCKET, SO_BROADCAST, .set = ignore, .get = get_1},
	{SOL_SOCKET, SO_REUSEADDR, .set = ignore, .get = get_0},
	{SOL_SOCKET, SO_DONTROUTE, .set = ignore, .get = get_0},
	{SOL_SOCKET, SO_DEBUG, .set = ignore, .get = get_0},

	/* packets always come with their headers */
	{IPPROTO_IP, IP_HDRINCL, .set = ignore, .get = get_1},
	{IPPROTO_IP, IP_DIVERTFL, .set = set_directions, .get = get_directions},
	{IPPROTO_IPV6, IP_DIVERTFL, .set = set_directions, .get = get_directions},
	{IPPROTO_IP, IP_MULTICAST_IF, .set_value = set_multicast4, .get_value = get_multicast4},
	{IPPROTO_IPV6, IPV6_MULTICAST_IF, .set = set_multicast6, .get = get_multicast6},
};

static const struct option *find(int level, int name)
{
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].level == level && options[i].name == name)
			return &options[i];
	return NULL;
}

static int set_switch(struct dsock *s, const struct option *o, int n)
{
	int rc;

	if (o->level == SOL_DIVERT && n != 0 && n != 1)
		return -EINVAL;
	rc = o->set ? o->set(s, !!n) : 0;
	if (!rc)
		s->shared->on = n ? s->shared->on | o->bit : s->shared->on & ~o->bit;
	return rc;
}

static int set(struct dsock *s, const struct option *o, const void *value, socklen_t len)
{
	int n;

	if (o && o->set_value)
		return value || !len ? o->set_value(s, value, len) : -EFAULT;
	if (!o || !(o->set || o->bit))
		return -ENOPROTOOPT;
	if (!value && len)
		return -EFAULT;
	if (len < sizeof(n))
		return -EINVAL;
	memcpy(&n, value, sizeof(n));
	return o->bit ? set_switch(s, o, n) : o->set(s, n);
}

int divert_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct dsock *s = socket_get(fd);
	bool locked;
	int rc;

	if (!s)
		return -1;
	locked = socket_lock(s);
	rc = set(s, find(level, name), value, len);
	socket_unlock(s, locked);
	socket_put(s);
	return rc ? fail(-rc) : 0;
}

/* Returns the length, or -errno. */
static int get(const struct dsock *s, const struct option *o, void *value)
{
	int n;

	if (!o)
		return -ENOPROTOOPT;
	if (o->get_value)
		return o->get_value(s, value);
	n = o->get ? o->get(s) : !!(s->shared->on & o->bit);
	memcpy(value, &n, sizeof(n));
	return sizeof(n);
}

int divert_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct dsock *s = socket_get(fd);
	char room[16];
	int rc;

	if (!s)
		return -1;
	rc = get(s, find(level, name), room);
	socket_put(s);
	if (rc < 0)
		return fail(-rc);
	if (!len || (!value && *len))
		return fail(EFAULT);
	if (*len > INT_MAX)
		return fail(EINVAL);
	/* like getsockopt(2), truncate the value */
	if (*len > (socklen_t)rc)
		*len = rc;
	if (*len)
		memcpy(value, room, *len);
	return 0;
}
