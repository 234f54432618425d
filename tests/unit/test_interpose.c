// sources: interpose/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interposer over a libdivert that only notes what it was asked: calls on divert sockets get
 * there, all others to the kernel, and descriptors are kept account of. Needs no privilege.
 */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <divert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/compat/linux/ip_fw.h"
#include "include/compat/sys/socket.h"

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
		       socklen_t *fromlen);
int divert_firewall(int name, const void *value, socklen_t len);

/* ---- a libdivert ---- */

#define TOP 1024
/* volatile: the C library declares that its functions call nothing back in this file */
static volatile bool is_socket[TOP], is_inner[TOP];
static const char *volatile asked; /* the last function called */
static volatile int asked_flags, refuse_dup;

static int note(const char *name, int fd)
{
	assert_true(divert_is(fd));
	asked = name;
	errno = ENOLINK; /* an errno that nothing else makes */
	return -1;
}

static int hold(volatile bool table[TOP])
{
	const int fd = (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK);

	assert_in_range(fd, 0, TOP - 1);
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

int divert_next(int fd)
{
	for (; fd >= 0 && fd < TOP; fd++)
		if (is_socket[fd] || is_inner[fd])
			return fd;
	return -1;
}

static volatile int flushed, at_once;

void divert_flush(void)
{
	flushed++;
}

void divert_at_once(void)
{
	at_once++;
}

static volatile int writer = -1;

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

/* What firewall.c hands on. */
int divert_firewall(int name, const void *value, socklen_t len)
{
	asked = "firewall";
	return 0;
}

int divert_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return note("bind", fd);
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

/* ---- helpers ---- */

static int setup(void **state)
{
	asked = "";
	refuse_dup = flushed = at_once = 0;
	return 0;
}

static int teardown(void **state)
{
	int fd;

	for (fd = 0; fd < TOP; fd++) {
		if (is_socket[fd] || is_inner[fd])
			syscall(SYS_close, fd);
		is_socket[fd] = is_inner[fd] = false;
	}
	return 0;
}

static bool is_open(int fd)
{
	return syscall(SYS_fcntl, fd, F_GETFD) >= 0;
}

static int new_socket(void)
{
	const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);

	assert_true(divert_is(fd));
	asked = "";
	return fd;
}

/* The call went to this function of libdivert, and its result and errno came back. */
#define ASKS(name, call)                                                                           \
	do {                                                                                       \
		asked = "";                                                                        \
		assert_int_equal(call, -1);                                                        \
		assert_int_equal(errno, ENOLINK);                                                  \
		assert_string_equal(asked, name);                                                  \
	} while (0)

#define FAILS(error, call)                                                                         \
	do {                                                                                       \
		assert_int_equal(call, -1);                                                        \
		assert_int_equal(errno, error);                                                    \
	} while (0)

/* ---- tests ---- */

static void forms(void **state)
{
	static const struct {
		int domain, type, protocol, flags;
		const char *asks;
	} table[] = {
		{AF_INET, SOCK_RAW, 258, 0, "socket"},
		{AF_INET, SOCK_RAW, 254, 0, "socket"},
		{AF_INET6, SOCK_RAW, 258, 0, "socket6"},
		{AF_INET6, SOCK_RAW, 254, 0, "socket6"},
		{PF_DIVERT, SOCK_RAW, 0, 0, "socket"},
		{PF_DIVERT, SOCK_RAW, 258, 0, "socket"},
		{AF_INET, SOCK_RAW | SOCK_CLOEXEC, 258, SOCK_CLOEXEC, "socket"},
		{PF_DIVERT, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		 SOCK_NONBLOCK | SOCK_CLOEXEC, "socket"},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		asked = "";
		assert_true(divert_is(socket(table[i].domain, table[i].type, table[i].protocol)));
		assert_string_equal(asked, table[i].asks);
		assert_int_equal(asked_flags, table[i].flags);
	}
	asked = "";
	FAILS(EPROTONOSUPPORT, socket(AF_INET, SOCK_DGRAM, 258));
	FAILS(EAFNOSUPPORT, socket(PF_DIVERT, SOCK_DGRAM, 0));
	FAILS(EINVAL, socket(PF_DIVERT, SOCK_RAW | 0x10000000, 0));
	assert_string_equal(asked, "");
}

static void calls_on_divert_sockets(void **state)
{
	const int fd = new_socket();
	struct sockaddr_storage storage = {0};
	struct sockaddr *addr = (struct sockaddr *)&storage;
	socklen_t len = sizeof(storage);
	char buf[64] = "";
	struct iovec iov[2] = {{buf, 0}, {buf, sizeof(buf)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	struct mmsghdr many = {.msg_hdr = msg};
	volatile int below = -1, above = 1025; /* hidden from the compiler, which would object */
	int n = 0;

	ASKS("bind", bind(fd, addr, len));
	ASKS("getsockname", getsockname(fd, addr, &len));
	ASKS("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, &n, &len));
	ASKS("setsockopt", setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n)));
	ASKS("shutdown", shutdown(fd, SHUT_RD));
	ASKS("recv", recv(fd, buf, sizeof(buf), 0));
	ASKS("recv", recv(fd, buf, 0, 0));
	ASKS("recv", read(fd, buf, sizeof(buf)));
	ASKS("recv", __recv_chk(fd, buf, sizeof(buf), sizeof(buf), 0));
	ASKS("recv", __read_chk(fd, buf, sizeof(buf), sizeof(buf)));
	ASKS("recvfrom", recvfrom(fd, buf, sizeof(buf), 0, addr, &len));
	ASKS("recvfrom", __recvfrom_chk(fd, buf, sizeof(buf), sizeof(buf), 0, addr, &len));
	ASKS("recvmsg", recvmsg(fd, &msg, 0));
	ASKS("recvmsg", readv(fd, iov, 2));
	ASKS("recvmmsg", recvmmsg(fd, &many, 1, 0, NULL));
	ASKS("send", send(fd, buf, sizeof(buf), 0));
	ASKS("send", write(fd, buf, sizeof(buf)));
	ASKS("send", write(fd, buf, 0));
	ASKS("sendto", sendto(fd, buf, sizeof(buf), 0, addr, len));
	ASKS("sendmsg", sendmsg(fd, &msg, 0));
	ASKS("sendmsg", writev(fd, iov, 2));
	ASKS("sendmmsg", sendmmsg(fd, &many, 1, 0));

	asked = "";
	FAILS(EOPNOTSUPP, connect(fd, addr, len));
	FAILS(EOPNOTSUPP, listen(fd, 1));
	FAILS(EOPNOTSUPP, accept(fd, NULL, NULL));
	FAILS(EOPNOTSUPP, accept4(fd, NULL, NULL, 0));
	FAILS(ENOTCONN, getpeername(fd, addr, &len));
	FAILS(EINVAL, readv(fd, iov, below));
	FAILS(EINVAL, writev(fd, iov, above));
	/* reading nothing takes no packet */
	assert_int_equal(read(fd, buf, 0), 0);
	assert_int_equal(readv(fd, iov, 1), 0);
	assert_string_equal(asked, "");

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	assert_int_equal(n, 84);
	n = 0;
	assert_int_equal(ioctl(fd, FIONBIO, &n), 0); /* the kernel's */
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl64(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

static void other_descriptors(void **state)
{
	char buf[8] = "";
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr many = {.msg_hdr = msg};
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int pair[2], n = 0;

	new_socket();
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	asked = "";
	assert_int_equal(send(pair[0], "a", 1, 0), 1);
	assert_int_equal(sendto(pair[0], "bc", 2, 0, NULL, 0), 2);
	assert_int_equal(write(pair[0], "def", 3), 3);
	assert_int_equal(writev(pair[0], &iov, 1), 8);
	assert_int_equal(sendmsg(pair[0], &msg, 0), 8);
	assert_int_equal(sendmmsg(pair[0], &many, 1, 0), 1);
	assert_int_equal(ioctl(pair[1], FIONREAD, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(recv(pair[1], buf, sizeof(buf), 0), 1);
	assert_int_equal(recvfrom(pair[1], buf, sizeof(buf), 0, NULL, NULL), 2);
	assert_int_equal(__read_chk(pair[1], buf, sizeof(buf), sizeof(buf)), 3);
	assert_int_equal(readv(pair[1], &iov, 1), 8);
	assert_int_equal(recvmsg(pair[1], &msg, 0), 8);
	assert_int_equal(recvmmsg(pair[1], &many, 1, 0, NULL), 1);
	FAILS(EAGAIN, recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT));
	assert_int_equal(getsockname(pair[0], (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(getpeername(pair[0], (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){4096}, 4), 0);
	len = sizeof(n);
	assert_int_equal(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &n, &len), 0);
	assert_int_equal(n, SOCK_DGRAM);
	FAILS(EOPNOTSUPP, listen(pair[0], 1));
	assert_int_equal(shutdown(pair[0], SHUT_RDWR), 0);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
	FAILS(EBADF, close(pair[1]));
	FAILS(EBADF, read(-1, buf, 1));
	assert_string_equal(asked, "");
}

static void copies(void **state)
{
	const int fd = new_socket();
	const int null = open("/dev/null", O_RDWR);
	int copy;

	copy = dup(fd);
	assert_true(divert_is(copy));
	assert_int_equal(close(copy), 0);
	assert_false(divert_is(copy) || is_open(copy));
	assert_true(divert_is(fd));

	copy = fcntl(fd, F_DUPFD, 700);
	assert_int_equal(copy, 700);
	assert_true(divert_is(700));
	copy = fcntl64(fd, F_DUPFD_CLOEXEC, 700);
	assert_int_equal(copy, 701);
	assert_true(divert_is(701));
	assert_int_equal(fcntl(701, F_GETFD), FD_CLOEXEC);

	/* over an ordinary descriptor, over a divert socket, and back */
	copy = dup(null);
	assert_false(divert_is(copy));
	assert_int_equal(dup2(fd, copy), copy);
	assert_true(divert_is(copy));
	assert_int_equal(dup3(fd, 701, O_CLOEXEC), 701);
	assert_true(divert_is(701));
	assert_int_equal(dup2(null, copy), copy);
	assert_false(divert_is(copy));
	assert_true(is_open(copy));
	assert_int_equal(close(copy), 0);

	/* what fails leaves everything as it was; on itself it does nothing */
	assert_int_equal(dup2(fd, fd), fd);
	FAILS(EINVAL, dup3(fd, fd, 0));
	FAILS(EINVAL, dup3(null, fd, 1));
	FAILS(EBADF, dup2(999, fd));
	assert_true(divert_is(fd) && is_open(fd));

	/* a copy that cannot be remembered is no copy */
	refuse_dup = 1;
	FAILS(EMFILE, fcntl(fd, F_DUPFD, 710));
	assert_false(is_open(710));
	FAILS(EMFILE, dup2(fd, 710));
	assert_false(is_open(710));
	close(null);
}

static void inner_descriptors(void **state)
{
	const int fd = new_socket();
	const int inner = hold(is_inner);
	const int null = open("/dev/null", O_RDWR);

	FAILS(EBADF, close(inner));
	assert_true(is_open(inner));
	FAILS(EBADF, dup2(999, inner));
	assert_true(divert_is_inner(inner));

	assert_int_equal(dup2(null, inner), inner);
	assert_string_equal(asked, "move_inner");
	assert_false(divert_is_inner(inner));
	assert_int_equal(close(inner), 0);
	assert_int_equal(dup3(fd, inner, 0), inner);
	assert_true(divert_is(inner));
	close(null);
}

static int fork_and(void (*what)(int), int arg)
{
	int status = 0;
	const pid_t child = fork();

	if (child == 0) {
		what(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* In a child, so that the test's own descriptors stay. Sockets, inner ones and others alternate. */
static void check_range(int how)
{
	int fd[8], i;

	for (i = 0; i < 8; i++) {
		fd[i] = fcntl(STDERR_FILENO, F_DUPFD, 100);
		is_socket[fd[i]] = i == 1 || i == 5;
		is_inner[fd[i]] = i == 0 || i == 3 || i == 4;
	}
	if (how == 0 && close_range(100, ~0U, 0))
		_exit(1);
	if (how == 1)
		closefrom(100);
	if (how == 2 && close_range(100, 104, 0))
		_exit(2);
	if (how == 3 && close_range(100, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */))
		_exit(3);
	for (i = 0; i < 8; i++) {
		const bool open = how == 3 || (how == 2 && i > 4) || is_inner[fd[i]];

		if (is_open(fd[i]) != open)
			_exit(10 + i);
		if (is_socket[fd[i]] != (open && (i == 1 || i == 5)))
			_exit(20 + i);
	}
	if (close_range(1, 0, 0) != -1 || errno != EINVAL)
		_exit(4);
	if (close_range(100, 101, 1 << 20) != -1 || errno != EINVAL)
		_exit(5);
}

static void ranges(void **state)
{
	int how;

	new_socket();
	for (how = 0; how < 4; how++)
		assert_int_equal(fork_and(check_range, how), 0);
}

/* A child of vfork(2) has this memory: what it does to its descriptors must not be noted here. */
static void vfork_child(int fd)
{
	int status = 0;
	const pid_t child = vfork();

	if (child == 0) {
		const int inner = is_inner[900] ? 900 : -1;

		if (close(inner) || is_open(inner))
			_exit(1);
		if (dup2(fd, 901) != 901 || divert_is(901) || dup(fd) < 0)
			_exit(2);
		if (close(fd) || is_open(fd))
			_exit(3);
		if (close_range(3, ~0U, 0))
			_exit(4);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		_exit(WEXITSTATUS(status));
	if (!divert_is(fd) || !is_open(fd) || !is_inner[900] || !is_open(900))
		_exit(5);
	/* and we ourselves still are asked */
	asked = "";
	if (close(fd) || strcmp(asked, "close") || close(900) != -1)
		_exit(6);
}

static void vforks(void **state)
{
	const int fd = new_socket();

	is_inner[fcntl(STDERR_FILENO, F_DUPFD, 900)] = true;
	/* right after fork(2), which is where a page that it empties alone would not do */
	assert_int_equal(fork_and(vfork_child, fd), 0);
	vfork_child(fd);
}

/* What epoll_wait() says of the set: the events, of which all have this number as data. */
static uint32_t ready(int set, uint64_t data)
{
	struct epoll_event event[4];
	uint32_t events = 0;
	int i, n = epoll_wait(set, event, 4, 0);

	for (i = 0; i < n; i++) {
		assert_int_equal(event[i].data.u64, data);
		events |= event[i].events;
	}
	return events;
}

/* The writer stands in a set for the half that the socket's descriptor cannot tell. */
static void epoll_sets(void **state)
{
	const int set = epoll_create1(0), null = open("/dev/null", O_RDWR);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u64 = 7};
	int fd, pipes[2];

	/* read ends never are writable */
	assert_int_equal(pipe(pipes), 0);
	fd = pipes[0];
	is_socket[fd] = true;
	writer = (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK);
	is_inner[writer] = true;

	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(ready(set, 7), EPOLLOUT);
	FAILS(EEXIST, epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	assert_int_equal(write(pipes[1], "a", 1), 1);
	assert_int_equal(ready(set, 7), EPOLLIN | EPOLLOUT);
	event.events = EPOLLIN;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
	assert_int_equal(ready(set, 7), EPOLLIN);
	event.events = EPOLLOUT;
	event.data.u64 = 8;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
	assert_int_equal(ready(set, 8), EPOLLOUT);
	event.events = EPOLLOUT | EPOLLET;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
	assert_int_equal(ready(set, 8), EPOLLOUT);
	assert_int_equal(ready(set, 8), 0);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
	assert_int_equal(ready(set, 0), 0);
	FAILS(ENOENT, epoll_ctl(set, EPOLL_CTL_DEL, writer, NULL));
	event.events = EPOLLOUT | EPOLLONESHOT;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(ready(set, 0), 0);
	FAILS(EPERM, epoll_ctl(set, EPOLL_CTL_ADD, null, &event));
	close(null);
	close(pipes[1]);
	close(set);
}

static void firewall(void **state)
{
	static const struct {
		int name;
		socklen_t len;
		bool taken;
	} table[] = {
		{IP_FW_APPEND, sizeof(struct ip_fwchange), true},
		{IP_FW_APPEND, 96, false}, /* IPT_SO_SET_REPLACE */
		{IP_FW_REPLACE, sizeof(struct ip_fwnew), true},
		{IP_FW_REPLACE, 40, false}, /* IPT_SO_SET_ADD_COUNTERS */
		{IP_FW_DELETE, sizeof(struct ip_fwchange), true},
		{IP_FW_FLUSH, sizeof(ip_chainlabel), true},
		{IP_FW_POLICY, sizeof(struct ip_fwpolicy), true},
		{IP_FW_MASQ_CTL, 4, false},
		{IP_TTL, sizeof(struct ip_fwchange), false},
	};
	char value[128] = "";
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		asked = "";
		setsockopt(fd, IPPROTO_IP, table[i].name, value, table[i].len);
		assert_string_equal(asked, table[i].taken ? "firewall" : "");
	}
	asked = "";
	FAILS(EBADF, setsockopt(999, IPPROTO_IP, IP_FW_APPEND, value, sizeof(struct ip_fwchange)));
	FAILS(ENOPROTOOPT, setsockopt(fd, IPPROTO_UDP, IP_FW_FLUSH, value, sizeof(ip_chainlabel)));
	assert_string_equal(asked, "");
	close(fd);
}

/* What waits goes before another program takes this one's place; the words are what they were. */
static void execs(void **state)
{
	static char *argv[] = {"sh", "-c", "test $1$2$X = abc", "sh", "a", "b", NULL};
	static char *env[] = {"X=c", NULL}, none[] = "/no/such/file";
	char *const *v = argv;
	int status, i;

	new_socket();
	FAILS(ENOENT, execv(none, v));
	assert_int_equal(flushed, 1);
	FAILS(ENOENT, execve(none, v, env));
	assert_int_equal(flushed, 2);
	FAILS(ENOENT, execvp(none, v));
	assert_int_equal(flushed, 3);
	FAILS(ENOENT, execvpe(none, v, env));
	assert_int_equal(flushed, 4);
	FAILS(ENOENT, execl(none, "a", "b", NULL));
	assert_int_equal(flushed, 5);
	FAILS(ENOENT, execle(none, "a", "b", NULL, env));
	assert_int_equal(flushed, 6);
	FAILS(ENOENT, execlp(none, "a", "b", NULL));
	assert_int_equal(flushed, 7);
	FAILS(EINVAL, fexecve(-1, v, env));
	assert_int_equal(flushed, 8);
	FAILS(ENOENT, syscall(SYS_execve, none, v, env));
	assert_int_equal(flushed, 9);
	for (i = 0; i < 7; i++) {
		if (fork() == 0) {
			setenv("X", "c", 1);
			if (i == 0)
				execv("/bin/sh", v);
			else if (i == 1)
				execve("/bin/sh", v, env);
			else if (i == 2)
				execvp("sh", v);
			else if (i == 3)
				execl("/bin/sh", v[0], v[1], v[2], v[3], v[4], v[5], NULL);
			else if (i == 4)
				execle("/bin/sh", v[0], v[1], v[2], v[3], v[4], v[5], NULL, env);
			else if (i == 5)
				execlp("sh", v[0], v[1], v[2], v[3], v[4], v[5], NULL);
			else
				fexecve(open("/bin/sh", O_PATH), v, env);
			syscall(SYS_exit_group, 9);
		}
		assert_true(wait(&status) > 0 && WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* Nothing waits where a filter of system calls might not let it go. */
static void filters(void **state)
{
	int status;

	FAILS(EINVAL, prctl(PR_SET_SECCOMP, 99, NULL));
	assert_int_equal(at_once, 1);
	FAILS(EINVAL, syscall(SYS_prctl, PR_SET_SECCOMP, 99, NULL));
	assert_int_equal(at_once, 2);
	FAILS(EINVAL, syscall(SYS_seccomp, 99, 0, NULL));
	assert_int_equal(at_once, 3);
	assert_int_equal(prctl(PR_GET_SECCOMP), 0);
	assert_int_equal(at_once, 3);
	/* six arguments go through; the memory of a child of vfork(2) is ours */
	assert_true(syscall(SYS_mmap, NULL, 4096, 3, 0x22, -1, 0) > 0);
	new_socket();
	if (vfork() == 0) {
		prctl(PR_SET_SECCOMP, 99, NULL);
		_exit(0);
	}
	assert_true(wait(&status) > 0 && WIFEXITED(status));
	assert_int_equal(at_once, 3);
	assert_int_equal(flushed, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(forms),
		TEST(calls_on_divert_sockets),
		TEST(other_descriptors),
		TEST(copies),
		TEST(inner_descriptors),
		TEST(ranges),
		TEST(vforks),
		TEST(epoll_sets),
		TEST(firewall),
		TEST(execs),
		TEST(filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
