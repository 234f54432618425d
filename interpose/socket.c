// SPDX-License-Identifier: BSD-2-Clause
/* Create divert sockets; their addresses and options. */
#include "interpose/next.h"

#include "include/compat/sys/socket.h"
#include "interpose/child.h"
#include "interpose/firewall.h"

#include <divert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fail(int error)
{
	errno = error;
	return -1;
}

/*
 * The arguments used on FreeBSD before 14, OpenBSD, macOS and Linux 2.2, and those of FreeBSD since
 * 14.
 */
static bool asks_for_divert(int domain, int type, int protocol)
{
	if ((type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != SOCK_RAW)
		return false;
	if (domain == PF_DIVERT)
		return true;
	return (domain == AF_INET || domain == AF_INET6) &&
	       (protocol == IPPROTO_DIVERT || protocol == IPPROTO_DIVERT_OLD);
}

/*
 * Programs print errno at most. If DIVERT_VERBOSE is set (divert-run -v), print the whole message,
 * too. Preserves errno.
 */
static void tell(const char *call)
{
	const char *verbose = secure_getenv("DIVERT_VERBOSE");
	const int saved = errno;

	if (verbose && *verbose)
		dprintf(STDERR_FILENO, "libdivert: %s: %s\n", call, divert_error());
	errno = saved;
}

PUBLIC int socket(int domain, int type, int protocol)
{
	int fd;

	if (!asks_for_divert(domain, type, protocol))
		return NEXT(socket)(domain, type, protocol);
	fd = divert_socket(domain == AF_INET6 ? AF_INET6 : AF_INET, type & ~SOCK_RAW);
	if (fd >= 0)
		watch_children();
	else
		tell("socket");
	return fd;
}

PUBLIC int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int rc;

	if (!divert_is(fd))
		return NEXT(bind)(fd, addr, len);
	rc = divert_bind(fd, addr, len);
	if (rc)
		tell("bind");
	return rc;
}

/* As on FreeBSD, a divert socket has no peer: the address gives each packet's direction. */
PUBLIC int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (divert_is(fd))
		return fail(EOPNOTSUPP);
	return NEXT(connect)(fd, addr, len);
}

PUBLIC int listen(int fd, int backlog)
{
	if (divert_is(fd))
		return fail(EOPNOTSUPP);
	return NEXT(listen)(fd, backlog);
}

PUBLIC int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	if (divert_is(fd))
		return fail(EOPNOTSUPP);
	return NEXT(accept)(fd, addr, len);
}

PUBLIC int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	if (divert_is(fd))
		return fail(EOPNOTSUPP);
	return NEXT(accept4)(fd, addr, len, flags);
}

PUBLIC int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	if (divert_is(fd))
		return divert_getsockname(fd, addr, len);
	return NEXT(getsockname)(fd, addr, len);
}

PUBLIC int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	if (divert_is(fd))
		return fail(ENOTCONN);
	return NEXT(getpeername)(fd, addr, len);
}

PUBLIC int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (divert_is(fd))
		return divert_getsockopt(fd, level, name, value, len);
	return NEXT(getsockopt)(fd, level, name, value, len);
}

PUBLIC int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (divert_is(fd))
		return divert_setsockopt(fd, level, name, value, len);
	if (is_firewall_option(level, name, len))
		return set_firewall_option(fd, name, value, len);
	return NEXT(setsockopt)(fd, level, name, value, len);
}

PUBLIC int shutdown(int fd, int how)
{
	if (divert_is(fd))
		return divert_shutdown(fd, how);
	return NEXT(shutdown)(fd, how);
}
