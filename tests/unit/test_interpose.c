// sources: interpose/*.c tests/unit/fake_divert.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interposer over a libdivert that only notes its calls. Calls on divert sockets go there, all
 * others go to the kernel. Needs no privilege.
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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "include/compat/linux/ip_fw.h"
#include "include/compat/sys/socket.h"
#include "tests/unit/fake_divert.h"

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
		       socklen_t *fromlen);

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
	/* Hidden from the compiler, which would complain. */
	volatile int below = -1, above = 1025;
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
	/* reading 0 bytes takes no packet */
	assert_int_equal(read(fd, buf, 0), 0);
	assert_int_equal(readv(fd, iov, 1), 0);
	assert_string_equal(asked, "");

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	assert_int_equal(n, 84);
	n = 0;
	assert_int_equal(ioctl(fd, FIONBIO, &n), 0); /* this goes to the kernel */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(forms),
		TEST(calls_on_divert_sockets),
		TEST(other_descriptors),
		TEST(firewall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
