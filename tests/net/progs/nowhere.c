/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NULL where a divert socket's calls need memory: nowhere PORT. Each call gives EFAULT, takes no
 * packet and leaves the socket as it was. It uses plain sockets; divert-run makes them divert
 * sockets.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wstringop-overread"

/* The compiler must not know that this is NULL. */
static void *volatile null;

static int divert;

static void addresses(void)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	fails_with("bind", EFAULT, bind(divert, null, sizeof(in)));
	fails_with("getsockname, address", EFAULT, getsockname(divert, null, &len));
	fails_with("getsockname, length", EFAULT, getsockname(divert, (void *)&in, null));
	len = (socklen_t)-1;
	fails_with("getsockname, length -1", EINVAL, getsockname(divert, (void *)&in, &len));
}

static void options(void)
{
	struct timeval tv;
	socklen_t len = 4;
	int n = 0;

	fails_with("setsockopt SO_RCVBUF", EFAULT,
		   setsockopt(divert, SOL_SOCKET, SO_RCVBUF, null, 4));
	fails_with("setsockopt SO_RCVTIMEO", EFAULT,
		   setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, null, sizeof(tv)));
	fails_with("setsockopt, no value of no length", EINVAL,
		   setsockopt(divert, SOL_SOCKET, SO_RCVBUF, null, 0));
	fails_with("setsockopt, no such option", ENOPROTOOPT,
		   setsockopt(divert, SOL_SOCKET, 9999, null, 4));
	fails_with("getsockopt, value", EFAULT,
		   getsockopt(divert, SOL_SOCKET, SO_RCVBUF, null, &len));
	fails_with("getsockopt, length", EFAULT,
		   getsockopt(divert, SOL_SOCKET, SO_RCVBUF, &n, null));
	len = (socklen_t)-1;
	fails_with("getsockopt, length -1", EINVAL,
		   getsockopt(divert, SOL_SOCKET, SO_RCVBUF, &n, &len));
	len = 0;
	is("getsockopt, no value of no length",
	   getsockopt(divert, SOL_SOCKET, SO_RCVBUF, null, &len), 0);
}

static void vectors(void)
{
	struct iovec nothing = {null, 10}, empty = {null, 0};
	struct msghdr no_vector = {.msg_iovlen = 1};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &nothing, .msg_iovlen = 1}};

	fails_with("recv", EFAULT, recv(divert, null, 10, MSG_DONTWAIT));
	fails_with("recvfrom", EFAULT, recvfrom(divert, null, 10, MSG_DONTWAIT, NULL, NULL));
	fails_with("read", EFAULT, read(divert, null, 10));
	fails_with("readv, vector", EFAULT, readv(divert, null, 1));
	fails_with("readv, buffer", EFAULT, readv(divert, &nothing, 1));
	fails_with("recvmsg", EFAULT, recvmsg(divert, null, MSG_DONTWAIT));
	fails_with("recvmsg, vector", EFAULT, recvmsg(divert, &no_vector, MSG_DONTWAIT));
	fails_with("recvmsg, buffer", EFAULT, recvmsg(divert, &m.msg_hdr, MSG_DONTWAIT));
	fails_with("recvmmsg", EFAULT, recvmmsg(divert, null, 1, MSG_DONTWAIT, NULL));
	fails_with("recvmmsg, buffer", EFAULT, recvmmsg(divert, &m, 1, MSG_DONTWAIT, NULL));
	fails_with("send", EFAULT, send(divert, null, 40, 0));
	fails_with("sendto", EFAULT, sendto(divert, null, 40, 0, NULL, 0));
	fails_with("write", EFAULT, write(divert, null, 40));
	fails_with("writev, vector", EFAULT, writev(divert, null, 1));
	fails_with("writev, buffer", EFAULT, writev(divert, &nothing, 1));
	fails_with("sendmsg", EFAULT, sendmsg(divert, null, 0));
	fails_with("sendmsg, vector", EFAULT, sendmsg(divert, &no_vector, 0));
	fails_with("sendmsg, buffer", EFAULT, sendmsg(divert, &m.msg_hdr, 0));
	fails_with("sendmmsg", EFAULT, sendmmsg(divert, null, 1, 0));
	fails_with("sendmmsg, buffer", EFAULT, sendmmsg(divert, &m, 1, 0));
	fails_with("FIONREAD", EFAULT, ioctl(divert, FIONREAD, null));
	fails_with("epoll_ctl", EFAULT, epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, divert, null));

	/* a length of 0 needs no memory */
	fails_with("recv of nothing", EAGAIN, recv(divert, null, 0, MSG_DONTWAIT));
	is("read of nothing", read(divert, null, 0), 0);
	is("readv of nothing", readv(divert, null, 0), 0);
	is("readv of an empty buffer", readv(divert, &empty, 1), 0);
	fails_with("send of nothing", EINVAL, send(divert, null, 0, 0));
	is("recvmmsg of none", recvmmsg(divert, null, 0, 0, NULL), 0);
	is("sendmmsg of none", sendmmsg(divert, null, 0, 0), 0);
}

/*
 * While there is a divert socket, poll is the interposer's. Without descriptors poll is a way to
 * sleep.
 */
static void polls(void)
{
	const struct timespec t = {.tv_nsec = 20000000};
	struct timespec before, after;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &before);
	is("poll of none", poll(null, 0, 20), 0);
	is("ppoll of none", ppoll(null, 0, &t, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	is("poll and ppoll of none take their time", ms >= 39, 1);
	is("poll of none, without waiting", poll(null, 0, 0), 0);
	fails_with("poll", EFAULT, poll(null, 1, 0));
	fails_with("poll, waiting", EFAULT, poll(null, 1, 1000));
	fails_with("ppoll", EFAULT, ppoll(null, 1, &t, NULL));
	fails_with("poll of too many", EINVAL, poll(null, 1u << 30, 0));
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = address4("0.0.0.0", argc == 2 ? (unsigned int)atoi(argv[1]) : 0);
	socklen_t len = sizeof(in);

	divert = socket(AF_INET, SOCK_RAW, 258);
	must(divert >= 0 && !bind(divert, (void *)&in, sizeof(in)), "a bound divert socket");
	addresses();
	options();
	vectors();
	polls();
	is("it is bound as it was", getsockname(divert, (void *)&in, &len) == 0 && in.sin_port,
	   htons((uint16_t)atoi(argv[1])) != 0);
	return check_failed;
}
