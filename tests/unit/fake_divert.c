/* SPDX-License-Identifier: BSD-2-Clause */
/* A libdivert that only notes the calls it gets. */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <divert-interposer.h>
#include <divert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/compat/sys/socket.h"
#include "tests/unit/fake_divert.h"
#include "tests/unit/range.h"

volatile bool is_socket[TOP], is_inner[TOP];
const char *volatile asked; /* the last function called */
volatile int asked_flags, refuse_dup;

static int note(const char *name, int fd)
{
	assert_true(divert_is(fd));
	asked = name;
	errno = ENOLINK; /* an errno that nothing else sets */
	return -1;
}

int hold(volatile bool table[TOP])
{
	const int fd = (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK);

	assert_int_in_range(fd, 0, TOP - 1);
	table[fd] = true;
	return fd;
}

int divert_is(int fd)
{
	return fd >= 0 && fd < TOP && is_socket[fd];
}

int divert_is_inner(int fd)
{
	return fd >= 0 && fd < TOP && is_inner[fd];
}

int divert_keep_inner(int fd)
{
	is_inner[fd] = true;
	return 0;
}

int divert_next(int fd)
{
	for (; fd >= 0 && fd < TOP; fd++)
		if (is_socket[fd] || is_inner[fd])
			return fd;
	return -1;
}

volatile int flushed, at_once;

void divert_flush(void)
{
	flushed++;
}

void divert_rest(void)
{
}

void divert_at_once(void)
{
	at_once++;
}

volatile int at_hand = -1, looked, due = -1;
volatile bool endless;

/* If there is nothing to receive, a fragment has made the descriptor readable. It is kept. */
int divert_ready(int fd, int wait)
{
	char fragment[8];

	assert_true(divert_is(fd));
	looked++;
	if (at_hand == fd)
		return 1;
	while (!endless && syscall(SYS_read, fd, fragment, sizeof(fragment), 0, 0, 0) > 0)
		;
	return 0;
}

int divert_timeout(int fd)
{
	assert_true(divert_is(fd));
	return due;
}

volatile int writer = -1;

int divert_writer(int fd)
{
	assert_true(divert_is(fd));
	return writer;
}

int divert_move_inner(int fd)
{
	const int to = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);

	is_inner[to] = true;
	is_inner[fd] = false;
	syscall(SYS_close, fd);
	asked = "move_inner";
	return 0;
}

int divert_socket(int domain, int flags)
{
	asked = domain == AF_INET6 ? "socket6" : "socket";
	asked_flags = flags;
	return hold(is_socket);
}

int divert_close(int fd)
{
	note("close", fd);
	is_socket[fd] = false;
	return (int)syscall(SYS_close, fd);
}

int divert_dup(int oldfd, int newfd)
{
	assert_true(divert_is(oldfd));
	if (refuse_dup) {
		errno = EMFILE;
		return -1;
	}
	is_socket[newfd] = true;
	return 0;
}

int divert_nread(int fd)
{
	note("nread", fd);
	return 84;
}

/* firewall.c passes options on to this function. */
int divert_firewall(int name, const void *value, socklen_t len)
{
	asked = "firewall";
	return 0;
}

int divert_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return note("bind", fd);
}
const char *divert_error(void)
{
	return "";
}
int divert_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return note("getsockname", fd);
}
ssize_t divert_recv(int fd, void *buf, size_t len, int flags)
{
	return note("recv", fd);
}
ssize_t divert_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			socklen_t *fromlen)
{
	return note("recvfrom", fd);
}
ssize_t divert_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return note("recvmsg", fd);
}
int divert_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout)
{
	return note("recvmmsg", fd);
}
ssize_t divert_send(int fd, const void *buf, size_t len, int flags)
{
	return note("send", fd);
}
ssize_t divert_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen)
{
	return note("sendto", fd);
}
ssize_t divert_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return note("sendmsg", fd);
}
int divert_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	return note("sendmmsg", fd);
}
int divert_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return note("setsockopt", fd);
}
int divert_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return note("getsockopt", fd);
}
int divert_shutdown(int fd, int how)
{
	return note("shutdown", fd);
}

int setup(void **state)
{
	asked = "";
	refuse_dup = flushed = at_once = looked = 0;
	at_hand = due = writer = -1;
	endless = false;
	return 0;
}

int teardown(void **state)
{
	int fd;

	for (fd = 0; fd < TOP; fd++) {
		if (is_socket[fd] || is_inner[fd])
			syscall(SYS_close, fd);
		is_socket[fd] = is_inner[fd] = false;
	}
	return 0;
}

bool is_open(int fd)
{
	return syscall(SYS_fcntl, fd, F_GETFD) >= 0;
}

int new_socket(void)
{
	const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);

	assert_true(divert_is(fd));
	asked = "";
	return fd;
}
