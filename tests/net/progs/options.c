/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks socket options, control messages, and the ends of waits: options PORT DPORT. A rule must
 * divert UDP to DPORT, on its way out over lo, to PORT. It uses plain sockets; divert-run makes
 * them divert sockets. "options PORT DPORT WORD" does what options.sh needs a program for.
 */
#include "check.h"

#include <divert.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define HEADERS 28 /* of IPv4 and UDP */

static unsigned int port, dport;
static uint8_t buf[65536];

static int made(void)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);

	must(fd >= 0, "socket");
	return fd;
}

static void bound_to(int fd, unsigned int to)
{
	struct sockaddr_in in = address4("0.0.0.0", to);

	must(!bind(fd, (void *)&in, sizeof(in)), "bind");
}

static int opened(void)
{
	int fd = made();

	bound_to(fd, port);
	return fd;
}

static void make(size_t size, int mark)
{
	const struct sockaddr_in to = address4("127.0.0.1", dport);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), "SO_MARK");
	must(sendto(fd, buf, size, 0, (const void *)&to, sizeof(to)) == (ssize_t)size, "sending");
	close(fd);
}

static int set(int fd, int level, int name, int n)
{
	return setsockopt(fd, level, name, &n, sizeof(n));
}

static int value(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int n = -1;

	if (getsockopt(fd, level, name, &n, &len) || len != sizeof(n))
		return -12345;
	return n;
}

/* ---- each option, set and read ---- */

static void ints(void)
{
	static const struct {
		const char *name;
		int level, option, first, set, read; /* set, first: -1: not tried */
	} table[] = {
		{"DIVERT_REASSEMBLE", SOL_DIVERT, DIVERT_REASSEMBLE, 1, 0, 0},
		{"DIVERT_BYPASS", SOL_DIVERT, DIVERT_BYPASS, 0, 1, 1},
		{"DIVERT_GSO", SOL_DIVERT, DIVERT_GSO, 0, 1, 1},
		{"DIVERT_INFO", SOL_DIVERT, DIVERT_INFO, 0, 1, 1},
		{"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, 8 << 20, 100000, 100000},
		{"SO_RCVBUFFORCE", SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20, 200000, 200000},
		{"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, 65636, 5000, 5000},
		{"SO_SNDBUFFORCE", SOL_SOCKET, SO_SNDBUFFORCE, 65636, 6000, 6000},
		{"SO_RXQ_OVFL", SOL_SOCKET, SO_RXQ_OVFL, 0, 5, 1},
		{"SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP, 0, 1, 1},
		{"SO_TIMESTAMPNS", SOL_SOCKET, SO_TIMESTAMPNS, 0, 1, 1},
		{"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, 0, 1, 1},
		{"SO_REUSEPORT_LB", SOL_SOCKET, SO_REUSEPORT_LB, 0, 1, 1},
		{"SO_MARK", SOL_SOCKET, SO_MARK, 0, 0x12345678, 0x12345678},
		{"SO_USER_COOKIE", SOL_SOCKET, SO_USER_COOKIE, 0, 77, 77},
		{"SO_BUSY_POLL", SOL_SOCKET, SO_BUSY_POLL, 50, 0, 0},
		{"SO_TYPE", SOL_SOCKET, SO_TYPE, SOCK_RAW, -1, 0},
		{"SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, AF_INET, -1, 0},
		{"SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, IPPROTO_DIVERT, -1, 0},
		{"SO_ERROR", SOL_SOCKET, SO_ERROR, 0, -1, 0},
		{"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, 0, -1, 0},
		{"SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, 1, 1, 1},
		{"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 0, 1, 0},
		{"SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE, 0, 1, 0},
		{"SO_DEBUG", SOL_SOCKET, SO_DEBUG, 0, 1, 0},
		{"IP_HDRINCL", IPPROTO_IP, IP_HDRINCL, 1, 1, 1},
		{"IP_DIVERTFL", IPPROTO_IP, IP_DIVERTFL, 0, 1, 1},
		{"IP_DIVERTFL", IPPROTO_IPV6, IP_DIVERTFL, 0, 2, 2},
		{"IPV6_MULTICAST_IF", IPPROTO_IPV6, IPV6_MULTICAST_IF, 0, 1, 1},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const int level = table[i].level, option = table[i].option;
		int fd = made(), n = value(fd, level, option);
		short brief = 1;

		check(n == table[i].first, "%s: at first %d: %d", table[i].name, table[i].first, n);
		if (table[i].set == -1) {
			fails_with(table[i].name, ENOPROTOOPT, set(fd, level, option, 1));
			close(fd);
			continue;
		}
		fails_with(table[i].name, EINVAL,
			   setsockopt(fd, level, option, &brief, sizeof(brief)));
		is(table[i].name, set(fd, level, option, table[i].set), 0);
		n = value(fd, level, option);
		check(n == table[i].read, "%s: read %d: %d", table[i].name, table[i].read, n);
		close(fd);
	}
}

static void errors(void)
{
	struct timeval tv = {1, 1000000};
	socklen_t len = 2;
	int fd = made(), n = 0;

	fails_with("no such option", ENOPROTOOPT, set(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
	fails_with("no such option of SOL_DIVERT", ENOPROTOOPT, set(fd, SOL_DIVERT, 99, 1));
	fails_with("no such level", ENOPROTOOPT, set(fd, IPPROTO_TCP, 1, 1));
	fails_with("no such option, read", ENOPROTOOPT,
		   getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &n, &len));
	is("a short read gives a part", getsockopt(fd, SOL_SOCKET, SO_TYPE, &n, &len), 0);
	check(n == SOCK_RAW && len == 2, "a short read: of this length");
	fails_with("DIVERT_INFO 2", EINVAL, set(fd, SOL_DIVERT, DIVERT_INFO, 2));
	fails_with("DIVERT_BYPASS -1", EINVAL, set(fd, SOL_DIVERT, DIVERT_BYPASS, -1));
	fails_with("SO_RCVBUF 0", EINVAL, set(fd, SOL_SOCKET, SO_RCVBUF, 0));
	fails_with("SO_BUSY_POLL -1", EINVAL, set(fd, SOL_SOCKET, SO_BUSY_POLL, -1));
	fails_with("SO_BUSY_POLL 1001", EINVAL, set(fd, SOL_SOCKET, SO_BUSY_POLL, 1001));
	fails_with("SO_SNDBUF -1", EINVAL, set(fd, SOL_SOCKET, SO_SNDBUF, -1));
	fails_with("SO_RCVTIMEO, microseconds", EDOM,
		   setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	fails_with("SO_SNDTIMEO, length", EINVAL, setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, 8));
	tv = (struct timeval){3, 250000};
	is("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
	memset(&tv, 0, sizeof(tv));
	len = sizeof(tv);
	is("SO_SNDTIMEO: read", getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len), 0);
	check(tv.tv_sec == 3 && tv.tv_usec == 250000, "SO_SNDTIMEO: as it was set");
	fails_with("IP_DIVERTFL 0", EINVAL, set(fd, IPPROTO_IP, IP_DIVERTFL, 0));
	fails_with("IP_DIVERTFL 4", EINVAL, set(fd, IPPROTO_IP, IP_DIVERTFL, 4));
	is("IP_DIVERTFL", set(fd, IPPROTO_IP, IP_DIVERTFL, 3), 0);
	fails_with("IP_DIVERTFL twice", ENOTSUP, set(fd, IPPROTO_IP, IP_DIVERTFL, 1));
	is("SO_TIMESTAMP", set(fd, SOL_SOCKET, SO_TIMESTAMP, 1), 0);
	is("SO_TIMESTAMPNS", set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1), 0);
	is("takes the place of SO_TIMESTAMP", value(fd, SOL_SOCKET, SO_TIMESTAMP), 0);
	close(fd);
}

static void multicast(void)
{
	struct ip_mreqn n = {.imr_ifindex = 1};
	struct in_addr address = {htonl(INADDR_LOOPBACK)}, got = {};
	socklen_t len = sizeof(got);
	int fd = made();

	is("IP_MULTICAST_IF, an address",
	   setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof(address)), 0);
	is("IP_MULTICAST_IF, read", getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &got, &len), 0);
	check(len == sizeof(got) && got.s_addr == address.s_addr, "IP_MULTICAST_IF: the address");
	is("IP_MULTICAST_IF, an index", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &n, sizeof(n)),
	   0);
	n.imr_ifindex = 99999;
	fails_with("IP_MULTICAST_IF, no such index", EADDRNOTAVAIL,
		   setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &n, sizeof(n)));
	address.s_addr = htonl(0xc6336401);
	fails_with("IP_MULTICAST_IF, no such address", EADDRNOTAVAIL,
		   setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof(address)));
	fails_with("IP_MULTICAST_IF, length", EINVAL,
		   setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address, 2));
	fails_with("IPV6_MULTICAST_IF, no such index", ENODEV,
		   set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, 99999));
	close(fd);
}

static void buffers(void)
{
	int fd = made(), copy = dup(fd), on = 1, level = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};

	fcntl(copy, F_SETFD, FD_CLOEXEC);
	ioctl(fd, FIONBIO, &on);
	is("SO_RCVBUF above the ring", set(fd, SOL_SOCKET, SO_RCVBUF, 20 << 20), 0);
	is("SO_RCVBUF above the ring: has it", value(copy, SOL_SOCKET, SO_RCVBUF), 20 << 20);
	check(fcntl(copy, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFD) == 0 &&
		      fcntl(copy, F_GETFL) & O_NONBLOCK,
	      "SO_RCVBUF above the ring: the descriptors' flags stay");
	bound_to(fd, port);
	is("a larger ring: epoll", epoll_ctl(level, EPOLL_CTL_ADD, copy, &event), 0);
	make(10, 0);
	is("a larger ring: epoll says so", epoll_wait(level, &event, 1, 1000), 1);
	is("a larger ring: receives", recv(copy, buf, sizeof(buf), 0), HEADERS + 10);
	event.events = EPOLLIN | EPOLLOUT;
	is("epoll: for writing, too", epoll_ctl(level, EPOLL_CTL_MOD, copy, &event), 0);
	check(epoll_wait(level, &event, 1, 1000) == 1 && event.events == EPOLLOUT,
	      "epoll: ready for writing");
	fails_with("a larger ring: nonblocking still", EAGAIN, recv(fd, buf, sizeof(buf), 0));
	is("SO_RCVBUF, once bound", set(fd, SOL_SOCKET, SO_RCVBUF, 64 << 20), 0);
	is("SO_RCVBUF, once bound: what there is", value(fd, SOL_SOCKET, SO_RCVBUF), 32 << 20);
	is("FIOASYNC", ioctl(fd, FIOASYNC, &on), 0);
	close(level);
	close(copy);
	close(fd);
}

/* ---- control messages ---- */

static char room[256];
static struct iovec iov = {buf, sizeof(buf)};

/* Receives one packet. Returns its control message of this type, and counts how many there are. */
static void *control(int fd, struct msghdr *msg, size_t len, int level, int type, int *count)
{
	void *found = NULL;

	*msg = (struct msghdr){
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = len,
	};
	memset(room, 0xee, sizeof(room));
	*count = 0;
	if (recvmsg(fd, msg, MSG_DONTWAIT) < 0)
		return NULL;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		++*count;
		if (c->cmsg_level == level && c->cmsg_type == type)
			found = CMSG_DATA(c);
	}
	return found;
}

static int recent(int64_t ns)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = t.tv_sec * 1000000000ll + t.tv_nsec;
	return ns <= now && ns > now - 1000000000;
}

static void info(void)
{
	int fd = made(), count;
	struct divert_info *i;
	struct msghdr msg;

	is("DIVERT_INFO, before bind", set(fd, SOL_DIVERT, DIVERT_INFO, 1), 0);
	bound_to(fd, port);
	make(50, 7);
	i = control(fd, &msg, sizeof(room), SOL_DIVERT, DIVERT_INFO, &count);
	check(i && count == 1, "DIVERT_INFO: one control message");
	if (!i)
		return;
	is("DIVERT_INFO: of this length", msg.msg_controllen, CMSG_SPACE(sizeof(*i)));
	is("DIVERT_INFO: flags of recvmsg", msg.msg_flags, 0);
	is("divert_info: ifindex", i->ifindex, 0);
	is("divert_info: out_ifindex", i->out_ifindex, if_nametoindex("lo"));
	is("divert_info: rule", i->rule, 100);
	is("divert_info: mark", i->mark, 7);
	is("divert_info: uid", i->uid, getuid());
	is("divert_info: length", i->length, HEADERS + 50);
	is("divert_info: flags", i->flags, DIVERT_INFO_OUT);
	is("divert_info: gso_size", i->gso_size, 0);
	check(recent((int64_t)i->timestamp), "divert_info: timestamp");

	make(50, 0);
	i = control(fd, &msg, CMSG_LEN(sizeof(*i)), SOL_DIVERT, DIVERT_INFO, &count);
	check(i && msg.msg_flags == 0, "DIVERT_INFO: room without padding");
	make(50, 0);
	i = control(fd, &msg, CMSG_LEN(sizeof(*i)) - 1, SOL_DIVERT, DIVERT_INFO, &count);
	check(!count && msg.msg_flags == MSG_CTRUNC && !msg.msg_controllen,
	      "DIVERT_INFO: no room for it: MSG_CTRUNC");
	make(50, 0);
	iov.iov_len = 40;
	i = control(fd, &msg, sizeof(room), SOL_DIVERT, DIVERT_INFO, &count);
	check(i && i->length == HEADERS + 50 && msg.msg_flags == MSG_TRUNC,
	      "DIVERT_INFO: the length of a packet that is cut");
	iov.iov_len = sizeof(buf);
	is("DIVERT_INFO off, while bound", set(fd, SOL_DIVERT, DIVERT_INFO, 0), 0);
	make(50, 0);
	control(fd, &msg, sizeof(room), 0, 0, &count);
	check(!count && !msg.msg_controllen && !msg.msg_flags, "DIVERT_INFO off: none");
	close(fd);
}

static void all_messages(void)
{
	struct timeval tv;
	struct timespec ts;
	struct msghdr msg;
	int fd = opened(), count;
	void *at;

	is("SO_TIMESTAMP", set(fd, SOL_SOCKET, SO_TIMESTAMP, 1), 0);
	make(50, 0);
	at = control(fd, &msg, sizeof(room), SOL_SOCKET, SCM_TIMESTAMP, &count);
	memcpy(&tv, at ? at : &tv, sizeof(tv));
	check(at && count == 1 && recent(tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll),
	      "SO_TIMESTAMP: struct timeval");
	set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	make(50, 0);
	at = control(fd, &msg, sizeof(room), SOL_SOCKET, SCM_TIMESTAMPNS, &count);
	memcpy(&ts, at ? at : &ts, sizeof(ts));
	check(at && count == 1 && recent(ts.tv_sec * 1000000000ll + ts.tv_nsec),
	      "SO_TIMESTAMPNS: struct timespec");
	set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	set(fd, SOL_DIVERT, DIVERT_INFO, 1);
	make(50, 0);
	at = control(fd, &msg, sizeof(room), SOL_SOCKET, SO_RXQ_OVFL, &count);
	check(at && count == 3 && *(uint32_t *)at == 0, "three control messages");
	make(50, 0);
	at = control(fd, &msg, CMSG_SPACE(sizeof(ts)), SOL_SOCKET, SCM_TIMESTAMPNS, &count);
	check(at && count == 1 && msg.msg_flags == MSG_CTRUNC, "room for the first one only");
	close(fd);
}

/* Losses are reported with the next packet. */
static void overflow(void)
{
	struct msghdr msg;
	int fd = opened(), count, lost;
	uint32_t drops = 0;
	void *at;

	set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	is("SO_RCVBUF, while bound", set(fd, SOL_SOCKET, SO_RCVBUF, 20000), 0);
	for (int i = 0; i < 100; i++)
		make(1000, 0);
	for (lost = 100; recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0; lost--)
		;
	check(lost > 80 && lost < 100, "SO_RCVBUF: a small buffer takes few of 100: lost %d", lost);
	make(1000, 0);
	at = control(fd, &msg, sizeof(room), SOL_SOCKET, SO_RXQ_OVFL, &count);
	memcpy(&drops, at ? at : &drops, sizeof(drops));
	is("SO_RXQ_OVFL: each one of them", drops, lost);
	is("SO_RCVBUF 1", set(fd, SOL_SOCKET, SO_RCVBUF, 1), 0);
	for (int i = 0; i < 2; i++)
		make(1000, 0);
	for (count = 0; recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0; count++)
		;
	is("SO_RCVBUF 1: one packet may wait in any case", count, 1);
	is("SO_RCVBUF, larger again", set(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20), 0);
	for (int i = 0; i < 100; i++)
		make(1000, 0);
	for (count = 0; recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0; count++)
		;
	is("a larger buffer takes all", count, 100);
	close(fd);
}

/* ---- how waits end ---- */

struct waits {
	pthread_t thread;
	int fd, error, by_msg;
	long result;
	volatile pid_t tid;
};

static void *receiver(void *arg)
{
	struct iovec part = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	struct waits *w = arg;

	w->tid = (pid_t)syscall(SYS_gettid);
	w->result = w->by_msg ? recvmsg(w->fd, &msg, 0) : recvfrom(w->fd, buf, 100, 0, NULL, NULL);
	w->error = errno;
	return NULL;
}

/* Waits until the thread sleeps in a system call, for 10 s at most. */
static int sleeps(pid_t tid)
{
	char path[64], line[256];
	const char *state;
	long end = now_ms() + 10000;
	FILE *f;

	while (now_ms() < end) {
		snprintf(path, sizeof(path), "/proc/%d/stat", tid);
		f = fopen(path, "r");
		if (f && fgets(line, sizeof(line), f)) {
			state = strrchr(line, ')');
			if (state && state[2] == 'S') {
				fclose(f);
				return 1;
			}
		}
		if (f)
			fclose(f);
		usleep(1000);
	}
	return 0;
}

static void start(struct waits *w, int fd, int by_msg)
{
	*w = (struct waits){.fd = fd, .by_msg = by_msg};
	must(!pthread_create(&w->thread, NULL, receiver, w), "a thread");
	while (!w->tid)
		usleep(1000);
	must(sleeps(w->tid), "a thread that sleeps in receive");
}

static void ends(void)
{
	struct timespec none = {0, 0};
	struct waits w[3];
	struct pollfd p;
	int fd, copy, status = -1, i;
	pid_t child;

	for (i = 0; i < 2; i++) {
		fd = opened();
		start(&w[0], fd, i);
		is("close while another thread waits", close(fd), 0);
		pthread_join(w[0].thread, NULL);
		check(w[0].result == -1 && w[0].error == EBADF, "it wakes with EBADF");
		fd = opened(); /* EADDRINUSE would end the program */
		check(1, "the port is free");
		close(fd);
	}

	fd = opened();
	copy = dup(fd);
	start(&w[0], fd, 0);
	start(&w[1], copy, 0);
	start(&w[2], fd, 1);
	close(fd);
	pthread_join(w[0].thread, NULL);
	pthread_join(w[2].thread, NULL);
	check(w[0].error == EBADF && w[2].error == EBADF, "close: both that wait on it wake");
	must(sleeps(w[1].tid), "the third one to sleep on");
	check(pthread_tryjoin_np(w[1].thread, NULL) == EBUSY, "close: one on a copy waits on");
	make(30, 0);
	pthread_join(w[1].thread, NULL);
	is("close: and receives", w[1].result, HEADERS + 30);

	start(&w[0], copy, 0);
	must(dup2(STDERR_FILENO, copy) == copy, "dup2");
	pthread_join(w[0].thread, NULL);
	check(w[0].result == -1 && w[0].error == EBADF, "dup2 over it is a close, too");
	close(copy);

	fd = opened();
	start(&w[0], fd, 0);
	start(&w[1], fd, 1);
	child = fork();
	if (!child)
		_exit(recv(fd, buf, sizeof(buf), 0) != 0);
	must(sleeps(child), "the child to sleep in receive");
	is("shutdown(SHUT_RD)", shutdown(fd, SHUT_RD), 0);
	pthread_join(w[0].thread, NULL);
	pthread_join(w[1].thread, NULL);
	check(!w[0].result && !w[1].result, "shutdown wakes those who wait, with 0");
	waitpid(child, &status, 0);
	is("shutdown wakes another process, with 0", status, 0);
	p = (struct pollfd){.fd = fd, .events = POLLIN};
	check(ppoll(&p, 1, &none, NULL) == 1 && p.revents == POLLIN, "shutdown: poll says POLLIN");
	make(30, 0);
	is("shutdown: no packet any more", recv(fd, buf, sizeof(buf), 0), 0);
	is("shutdown: FIONREAD", ioctl(fd, FIONREAD, &i), 0);
	is("shutdown: FIONREAD is 0", i, 0);
	is("shutdown(SHUT_WR)", shutdown(fd, SHUT_WR), 0);
	fails_with("shutdown(SHUT_WR): sends no more", EPIPE, send(fd, buf, 40, MSG_NOSIGNAL));
	fails_with("shutdown, no such way", EINVAL, shutdown(fd, 7));
	close(fd);
}

/* ---- for options.sh ---- */

static int word(const char *what)
{
	struct sockaddr_in out = {.sin_family = AF_INET};
	int fd = made(), i;

	if (!strcmp(what, "bypass"))
		set(fd, SOL_DIVERT, DIVERT_BYPASS, 1);
	bound_to(fd, port);
	if (!strcmp(what, "bypassed"))
		return value(fd, SOL_DIVERT, DIVERT_BYPASS) != 1;
	if (!strcmp(what, "not-bypass"))
		return value(fd, SOL_DIVERT, DIVERT_BYPASS) != 1 ||
		       set(fd, SOL_DIVERT, DIVERT_BYPASS, 0) ||
		       value(fd, SOL_DIVERT, DIVERT_BYPASS);
	if (!strcmp(what, "cut")) {
		for (i = 0; i < 3; i++)
			make(50, 0);
		recv(fd, buf, 10, MSG_PEEK);
		recv(fd, buf, 0, MSG_PEEK | MSG_TRUNC);
		recv(fd, buf, 10, 0);
		recv(fd, buf, 77, MSG_TRUNC);
		recv(fd, buf, 78, 0);
	}
	/* a packet is written with its own mark, with SO_MARK's, and without one */
	if (!strcmp(what, "mark")) {
		make(50, 3);
		i = (int)recv(fd, buf, sizeof(buf), 0);
		out.sin_port = 100;
		sendto(fd, buf, (size_t)i, 0, (void *)&out, sizeof(out));
		set(fd, SOL_SOCKET, SO_MARK, 5);
		sendto(fd, buf, (size_t)i, 0, (void *)&out, sizeof(out));
		sendto(fd, buf, (size_t)i, 0, (void *)&out, sizeof(out));
		must(!setresuid(65534, 65534, 65534), "setresuid");
		fails_with("SO_MARK without privilege", EPERM, set(fd, SOL_SOCKET, SO_MARK, 6));
		is("SO_RCVBUF without privilege", set(fd, SOL_SOCKET, SO_RCVBUF, 30000), 0);
		is("DIVERT_INFO without privilege", set(fd, SOL_DIVERT, DIVERT_INFO, 1), 0);
		is("DIVERT_BYPASS without privilege", set(fd, SOL_DIVERT, DIVERT_BYPASS, 0), 0);
		close(fd);
	}
	return check_failed;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	port = (unsigned int)atoi(argv[1]);
	dport = (unsigned int)atoi(argv[2]);
	alarm(50);
	if (argc > 3)
		return word(argv[3]);
	ints();
	errors();
	multicast();
	buffers();
	info();
	all_messages();
	overflow();
	ends();
	return check_failed;
}
