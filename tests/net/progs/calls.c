/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks every call by which programs wait for and take packets: calls PORT DPORT
 *
 * A rule must divert UDP to DPORT, on its way out over lo, to PORT. The program sends itself such
 * packets by ordinary sockets. It uses plain sockets; divert-run makes them divert sockets.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define HEADERS 28 /* of IPv4 and UDP */
#define HOST	"127.0.0.1"

static unsigned int port, dport;
static int divert, udp; /* udp: bound to DPORT; it gets the packets that are written back */
static uint8_t buf[65536];
static struct sockaddr_in from;
static socklen_t fromlen;

/*
 * Sends a packet with that many bytes of payload, all of this value. When it returns, the packet is
 * in the divert socket.
 */
static void make(size_t size, int value)
{
	const struct sockaddr_in to = address4(HOST, dport);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char payload[2000];

	memset(payload, value, sizeof(payload));
	must(fd >= 0 &&
		     sendto(fd, payload, size, 0, (const void *)&to, sizeof(to)) == (ssize_t)size,
	     "sending a UDP packet");
	close(fd);
}

static int opened(int family, int type, int protocol)
{
	struct sockaddr_in in = address4("0.0.0.0", port);
	int fd = socket(family, type, protocol);

	must(fd >= 0, "socket");
	memset(in.sin_zero, 0xa5, sizeof(in.sin_zero));
	must(!bind(fd, (const void *)&in, sizeof(in)), "bind");
	return fd;
}

static ssize_t get(int flags)
{
	fromlen = sizeof(from);
	memset(&from, 0, sizeof(from));
	memset(buf, 0, sizeof(buf));
	return recvfrom(divert, buf, sizeof(buf), flags, (struct sockaddr *)&from, &fromlen);
}

static void is_empty(const char *what)
{
	ssize_t n = get(MSG_DONTWAIT);

	check(n == -1 && errno == EAGAIN, "%s: one packet, taken once", what);
}

/* Is it the packet that make() made? */
static int whole(const uint8_t *packet, size_t size, int value)
{
	return packet[0] == 0x45 && packet[9] == IPPROTO_UDP &&
	       (packet[2] << 8 | packet[3]) == (int)(HEADERS + size) &&
	       (packet[22] << 8 | packet[23]) == (int)dport && packet[HEADERS] == value &&
	       packet[HEADERS + size - 1] == value;
}

static void forms(void)
{
	static const struct {
		const char *name;
		int family, type, protocol;
	} form[] = {
		{"PF_INET, SOCK_RAW, 258", AF_INET, SOCK_RAW, 258},
		{"PF_INET, SOCK_RAW, 254", AF_INET, SOCK_RAW, 254},
		{"PF_DIVERT, SOCK_RAW, 0", 258, SOCK_RAW, 0},
		{"with SOCK_CLOEXEC and SOCK_NONBLOCK", AF_INET,
		 SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 258},
	};

	for (size_t i = 0; i < sizeof(form) / sizeof(*form); i++) {
		ssize_t n;
		int fd_flags;

		divert = opened(form[i].family, form[i].type, form[i].protocol);
		fd_flags = fcntl(divert, F_GETFD);
		make(10, 'f');
		n = get(0);
		check(n == HEADERS + 10 && whole(buf, 10, 'f'), "socket(%s)", form[i].name);
		check(fd_flags == (form[i].type & SOCK_CLOEXEC ? FD_CLOEXEC : 0),
		      "socket(%s): close-on-exec", form[i].name);
		check(!(fcntl(divert, F_GETFL) & O_NONBLOCK) == !(form[i].type & SOCK_NONBLOCK),
		      "socket(%s): nonblocking", form[i].name);
		close(divert);
	}
}

static void receives(void)
{
	struct iovec iov[2] = {{buf, 20}, {buf + 1000, 2000}};
	struct msghdr msg = {.msg_name = &from, .msg_iov = iov, .msg_iovlen = 2};
	char room[CMSG_SPACE(64)];

	make(100, 'a');
	is("recvfrom: length", get(0), HEADERS + 100);
	check(whole(buf, 100, 'a'), "recvfrom: the packet");
	is("recvfrom: length of the address", fromlen, sizeof(from));
	is("recvfrom: family", from.sin_family, AF_INET);
	is("recvfrom: the rule, in host order", from.sin_port, 100);
	is("recvfrom: outgoing", from.sin_addr.s_addr, 0);
	is_empty("recvfrom");

	make(101, 'b');
	is("recv: length", recv(divert, buf, sizeof(buf), 0), HEADERS + 101);
	check(whole(buf, 101, 'b'), "recv: the packet");
	make(102, 'c');
	is("read: length", read(divert, buf, sizeof(buf)), HEADERS + 102);
	check(whole(buf, 102, 'c'), "read: the packet");
	is_empty("read");

	memset(buf, 0, sizeof(buf));
	make(103, 'd');
	is("readv: length", readv(divert, iov, 2), HEADERS + 103);
	memmove(buf + 20, buf + 1000, 2000);
	check(whole(buf, 103, 'd'), "readv: the packet in its pieces");

	memset(buf, 0, sizeof(buf));
	memset(&from, 0xff, sizeof(from));
	msg.msg_namelen = sizeof(from);
	msg.msg_control = room;
	msg.msg_controllen = sizeof(room);
	make(104, 'e');
	is("recvmsg: length", recvmsg(divert, &msg, 0), HEADERS + 104);
	memmove(buf + 20, buf + 1000, 2000);
	check(whole(buf, 104, 'e'), "recvmsg: the packet in its pieces");
	is("recvmsg: length of the address", msg.msg_namelen, sizeof(from));
	is("recvmsg: the rule", from.sin_port, 100);
	is("recvmsg: flags", msg.msg_flags, 0);
	is("recvmsg: no control message unasked", msg.msg_controllen, 0);
	is_empty("recvmsg");
}

static void batches(void)
{
	static uint8_t room[8][2048];
	struct sockaddr_in name[8];
	struct iovec iov[8];
	struct mmsghdr m[8];
	struct timespec short_while = {.tv_nsec = 1};
	int i, good = 1, addresses = 1, payload = 1, in_order = 1;

	for (i = 0; i < 8; i++) {
		iov[i] = (struct iovec){room[i], sizeof(room[i])};
		m[i].msg_hdr = (struct msghdr){.msg_name = &name[i],
					       .msg_namelen = sizeof(name[i]),
					       .msg_iov = &iov[i],
					       .msg_iovlen = 1};
	}
	for (i = 0; i < 5; i++)
		make(10 + (size_t)i, 'A' + i);
	is("recvmmsg: those that are there, nonblocking",
	   recvmmsg(divert, m, 8, MSG_DONTWAIT, NULL), 5);
	for (i = 0; i < 5; i++) {
		good &= m[i].msg_len == HEADERS + 10u + (unsigned int)i &&
			whole(room[i], 10 + (size_t)i, 'A' + i);
		addresses &= m[i].msg_hdr.msg_namelen == sizeof(name[i]) && name[i].sin_port == 100;
	}
	check(good, "recvmmsg: in their order, each with its length");
	check(addresses, "recvmmsg: each with its address");
	is_empty("recvmmsg");

	for (i = 0; i < 5; i++)
		iov[i].iov_len = m[i].msg_len;
	is("sendmmsg: all", sendmmsg(divert, m, 5, 0), 5);
	for (i = 0; i < 5; i++) {
		ssize_t n = recv(udp, buf, sizeof(buf), 0);

		in_order &= n == 10 + i;
		payload &= n > 0 && buf[0] == 'A' + i;
		good &= m[i].msg_len == iov[i].iov_len;
	}
	check(good, "sendmmsg: msg_len is the whole length");
	check(in_order && payload, "sendmmsg: what was written back arrives, in order");

	iov[2].iov_len = 5; /* too short for a header */
	is("sendmmsg: up to the one that fails", sendmmsg(divert, m, 5, 0), 2);
	recv(udp, buf, sizeof(buf), 0);
	recv(udp, buf, sizeof(buf), 0);
	fails_with("sendmmsg: the first one fails", EINVAL, sendmmsg(divert, m + 2, 3, 0));

	for (i = 0; i < 8; i++)
		iov[i].iov_len = sizeof(room[i]);
	make(10, 'w');
	make(10, 'x');
	is("recvmmsg: MSG_WAITFORONE", recvmmsg(divert, m, 8, MSG_WAITFORONE, NULL), 2);
	make(10, 'y');
	make(10, 'z');
	is("recvmmsg: timeout after the first", recvmmsg(divert, m, 8, 0, &short_while), 1);
	is("recvmmsg: the rest is still there", recvmmsg(divert, m, 8, MSG_DONTWAIT, NULL), 1);
	fails_with("recvmmsg: nothing there", EAGAIN, recvmmsg(divert, m, 8, MSG_DONTWAIT, NULL));
}

static int selected(long ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(divert, &set);
	return select(divert + 1, &set, NULL, NULL, &tv);
}

static void readiness(void)
{
	struct pollfd p = {.fd = divert, .events = POLLIN | POLLRDNORM};
	struct epoll_event event = {.events = EPOLLIN}, edge = {.events = EPOLLIN | EPOLLET};
	int level = epoll_create1(0), edges = epoll_create1(0);
	long start = now_ms();
	fd_set set;

	must(!epoll_ctl(level, EPOLL_CTL_ADD, divert, &event), "epoll");
	must(!epoll_ctl(edges, EPOLL_CTL_ADD, divert, &edge), "epoll");
	is("poll: nothing there, 0", poll(&p, 1, 100), 0);
	is("poll: nothing there, no events", p.revents, 0);
	is("select: nothing there, 0", selected(100), 0);
	is("epoll: nothing there, 0", epoll_wait(level, &event, 1, 100), 0);
	check(now_ms() - start >= 290, "each waited as long as it was asked to");
	is("poll: without waiting, 0", poll(&p, 1, 0), 0);
	is("select: without waiting, 0", selected(0), 0);
	fails_with("after poll said no", EAGAIN, get(MSG_DONTWAIT));

	for (int i = 0; i < 2; i++) {
		make(10, 'p');
		is("poll: a packet is there", poll(&p, 1, 5000), 1);
		check(p.revents & POLLIN, "poll: POLLIN");
		is("select: a packet is there", selected(5000), 1);
		is("epoll: a packet is there", epoll_wait(level, &event, 1, 5000), 1);
		is("epoll, edges: a packet is there", epoll_wait(edges, &event, 1, 5000), 1);
		is("poll: still there", poll(&p, 1, 0), 1);
		is("it is taken", get(0), HEADERS + 10);
		is("poll: no longer ready", poll(&p, 1, 0), 0);
		is("select: no longer ready", selected(0), 0);
		is("epoll: no longer ready", epoll_wait(level, &event, 1, 0), 0);
	}
	make(10, 'p');
	make(10, 'q');
	get(0);
	is("poll: the second is there", poll(&p, 1, 0), 1);
	get(0);
	is("poll: after the second, no longer", poll(&p, 1, 0), 0);
	p.events = POLLOUT;
	is("poll: one may always write", poll(&p, 1, 0), 1);
	check(p.revents & POLLOUT, "poll: POLLOUT");
	p.events = POLLIN;
	is("poll: nothing to read", poll(&p, 1, 0), 0);
	FD_ZERO(&set);
	FD_SET(divert, &set);
	is("select: one may always write", select(divert + 1, NULL, &set, NULL, NULL), 1);
	check(FD_ISSET(divert, &set), "select: the set");
	close(level);
	close(edges);
}

static void waiting(void)
{
	struct timeval tv = {0, 200000}, none = {0, 0}, was;
	socklen_t len = sizeof(was);
	int on = 1, off = 0;
	long start;

	must(!setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), "SO_RCVTIMEO");
	start = now_ms();
	fails_with("SO_RCVTIMEO: nothing came", EAGAIN, get(0));
	check(now_ms() - start >= 190 && now_ms() - start < 2000, "SO_RCVTIMEO: after its time");
	is("SO_RCVTIMEO: read", getsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &was, &len), 0);
	is("SO_RCVTIMEO: as it was set", was.tv_sec * 1000000 + was.tv_usec, 200000);
	make(10, 't');
	is("SO_RCVTIMEO: a packet that is there", get(0), HEADERS + 10);
	setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));

	fails_with("MSG_DONTWAIT", EAGAIN, get(MSG_DONTWAIT));
	fcntl(divert, F_SETFL, O_NONBLOCK);
	fails_with("O_NONBLOCK: recvfrom", EAGAIN, get(0));
	fails_with("O_NONBLOCK: read", EAGAIN, read(divert, buf, sizeof(buf)));
	make(10, 'n');
	is("O_NONBLOCK: a packet that is there", get(0), HEADERS + 10);
	fcntl(divert, F_SETFL, 0);
	is("FIONBIO on", ioctl(divert, FIONBIO, &on), 0);
	fails_with("FIONBIO", EAGAIN, get(0));
	is("FIONBIO off", ioctl(divert, FIONBIO, &off), 0);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
	if (alarms == 3) /* the restarted call then finds this packet */
		make(10, 'r');
}

static void signals(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	const struct itimerval soon = {.it_value.tv_usec = 100000};
	const struct itimerval often = {.it_interval.tv_usec = 50000, .it_value.tv_usec = 50000};
	const struct itimerval never = {.it_value.tv_usec = 0};
	struct timeval tv = {5, 0}, none = {0, 0};
	struct pollfd p = {.fd = divert, .events = POLLIN};

	sigaction(SIGALRM, &sa, NULL);
	alarms = 10;
	setitimer(ITIMER_REAL, &soon, NULL);
	fails_with("without SA_RESTART: recvfrom", EINTR, get(0));
	setitimer(ITIMER_REAL, &soon, NULL);
	fails_with("without SA_RESTART: read", EINTR, read(divert, buf, sizeof(buf)));
	setitimer(ITIMER_REAL, &soon, NULL);
	fails_with("without SA_RESTART: poll", EINTR, poll(&p, 1, 5000));

	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	alarms = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	is("with SA_RESTART: goes on and gets the packet", get(0), HEADERS + 10);
	setitimer(ITIMER_REAL, &never, NULL);
	check(alarms >= 3, "with SA_RESTART: after three signals");

	/* signal(7): a call with a timeout is never restarted */
	setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	alarms = 10;
	setitimer(ITIMER_REAL, &soon, NULL);
	fails_with("with SA_RESTART and SO_RCVTIMEO", EINTR, get(0));
	setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	signal(SIGALRM, SIG_DFL);
}

static void lengths(void)
{
	struct iovec iov = {buf, 50};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int n = -1;

	is("FIONREAD: empty", ioctl(divert, FIONREAD, &n), 0);
	is("FIONREAD: empty is 0", n, 0);
	make(100, 'P');
	ioctl(divert, FIONREAD, &n);
	is("FIONREAD: the next packet's length", n, HEADERS + 100);
	is("MSG_PEEK", get(MSG_PEEK), HEADERS + 100);
	is("MSG_PEEK: the rule", from.sin_port, 100);
	is("MSG_PEEK again", get(MSG_PEEK), HEADERS + 100);
	is("MSG_PEEK and MSG_TRUNC: the whole length", recv(divert, buf, 10, MSG_PEEK | MSG_TRUNC),
	   HEADERS + 100);
	check(get(0) == HEADERS + 100 && whole(buf, 100, 'P'), "after MSG_PEEK: the packet");
	is_empty("MSG_PEEK");

	memset(buf, 0, sizeof(buf));
	make(100, 'S');
	make(7, 'T');
	is("a short buffer: as much as it takes", recv(divert, buf, 50, 0), 50);
	check(buf[49] == 'S' && !buf[50], "a short buffer: nothing behind it");
	is("a short buffer: the rest is lost, the next packet is next", get(0), HEADERS + 7);
	make(100, 'S');
	is("MSG_TRUNC: the whole length", recv(divert, buf, 50, MSG_TRUNC), HEADERS + 100);
	make(100, 'S');
	is("recvmsg: a short buffer", recvmsg(divert, &msg, 0), 50);
	is("recvmsg: MSG_TRUNC says so", msg.msg_flags, MSG_TRUNC);
	make(1472, 'L');
	is("a packet of the common MTU", get(0), HEADERS + 1472);
	is_empty("short buffers");
}

static void writes(void)
{
	struct iovec iov[3];
	struct msghdr msg = {.msg_name = &from, .msg_iov = iov, .msg_iovlen = 3};
	ssize_t n;

	make(50, 'u');
	n = get(0);
	is("sendto: the whole length", sendto(divert, buf, (size_t)n, 0, (void *)&from, fromlen),
	   n);
	is("sendto: arrives", recv(udp, buf, sizeof(buf), 0), 50);

	make(51, 'v');
	n = get(0);
	iov[0] = (struct iovec){buf, 7}; /* the IP header in pieces */
	iov[1] = (struct iovec){buf + 7, 20};
	iov[2] = (struct iovec){buf + 27, (size_t)n - 27};
	msg.msg_namelen = fromlen;
	is("sendmsg: the whole length", sendmsg(divert, &msg, 0), n);
	is("sendmsg: arrives", recv(udp, buf, sizeof(buf), 0), 51);

	/* the packet keeps its tag, so it arrives */
	make(52, 'w');
	n = get(0);
	is("MSG_NOSIGNAL and MSG_DONTWAIT",
	   sendto(divert, buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT, (void *)&from, fromlen), n);
	is("with flags: arrives", recv(udp, buf, sizeof(buf), 0), 52);

	make(53, 'x');
	n = get(0);
	is("write: the whole length", write(divert, buf, (size_t)n), n);
	is("write: no tag, so it is diverted again", get(0), n);
	is("writev: the whole length", writev(divert, &(struct iovec){buf, (size_t)n}, 1), n);
	is("writev: diverted again", get(0), n);
	is("send: the whole length", send(divert, buf, (size_t)n, 0), n);
	is("send: diverted again", get(0), n);
	is_empty("written");
}

static void descriptors(void)
{
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	int copy, was, status, pipes[2];
	pid_t parent;
	char answer = 0;
	ssize_t n;

	is("getsockname", getsockname(divert, (void *)&name, &len), 0);
	check(len == sizeof(name) && name.sin_family == AF_INET && ntohs(name.sin_port) == port,
	      "getsockname: the port");
	copy = dup(divert);
	was = dup(0);
	is("dup2 onto 0", dup2(divert, 0), 0);
	make(60, 'd');
	n = read(0, buf, sizeof(buf));
	check(n == HEADERS + 60 && whole(buf, 60, 'd'), "read(0)");
	close(divert);
	make(61, 'e');
	is("the copy goes on when the first is closed", read(copy, buf, sizeof(buf)), HEADERS + 61);
	close(copy);
	make(62, 'f');
	is("the last copy goes on", read(0, buf, sizeof(buf)), HEADERS + 62);
	dup2(was, 0);
	close(was);
	fails_with("all are closed: the descriptor", EBADF, read(copy, buf, sizeof(buf)));
	divert = opened(AF_INET, SOCK_RAW, 258);
	check(1, "all are closed: the port is free");
	close(divert);

	must(!pipe(pipes), "pipe");
	parent = fork();
	if (!parent) {
		divert = opened(AF_INET, SOCK_RAW, 258);
		if (fork())
			_exit(0); /* the child goes on */
		for (;;) {
			n = get(0);
			answer = n == HEADERS + 70 && whole(buf, 70, 'k') ? 'y' : 'n';
			n = sendto(divert, buf, (size_t)n, 0, (void *)&from, fromlen) == n ? 1 : 0;
			if (write(pipes[1], &answer, 1) != 1 || !n)
				_exit(1);
			if (answer == 'y')
				_exit(0);
		}
	}
	waitpid(parent, &status, 0);
	make(70, 'k');
	close(pipes[1]);
	check(read(pipes[0], &answer, 1) == 1 && answer == 'y',
	      "fork: the child receives on alone");
	is("fork: what the child writes back arrives", recv(udp, buf, sizeof(buf), 0), 70);
	is("fork: the child's end", read(pipes[0], &answer, 1), 0); /* and the port is free */
	close(pipes[0]);
}

/* Parent and child read one socket: each packet is read once. */
static void shared(void)
{
	const int packets = 200;
	int pipes[2], got = 0, theirs = 0;
	struct timeval tv = {0, 500000};

	divert = opened(AF_INET, SOCK_RAW, 258);
	must(!pipe(pipes), "pipe");
	setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	for (int i = 0; i < packets / 2; i++)
		make(20, 's');
	if (!fork()) {
		while (get(0) == HEADERS + 20)
			got++;
		if (write(pipes[1], &got, sizeof(got)) != sizeof(got))
			_exit(1);
		_exit(0);
	}
	for (int i = 0; i < packets / 2; i++)
		make(20, 's');
	while (get(0) == HEADERS + 20)
		got++;
	must(read(pipes[0], &theirs, sizeof(theirs)) == sizeof(theirs), "the child's count");
	wait(NULL);
	is("fork, both reading: each packet once", got + theirs, packets);
	close(divert);
}

static void ends(void)
{
	struct timeval tv = {2, 0};
	struct sockaddr_in to = {.sin_family = AF_INET};
	ssize_t n;

	divert = opened(AF_INET, SOCK_RAW, 258);
	setsockopt(divert, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	make(80, 'h');
	n = get(0);
	is("shutdown(SHUT_RD) succeeds", shutdown(divert, SHUT_RD), 0);
	is("after it a receive gives 0", recv(divert, buf + 1000, 100, 0), 0);
	to = from;
	is("after it one may still send",
	   sendto(divert, buf, (size_t)n, 0, (void *)&to, sizeof(to)), n);
	is("what was sent arrives", recv(udp, buf, sizeof(buf), 0), 80);
	close(divert);
}

int main(int argc, char **argv)
{
	struct sockaddr_in in;
	struct timeval tv = {5, 0};

	if (argc != 3)
		return 2;
	port = (unsigned int)atoi(argv[1]);
	dport = (unsigned int)atoi(argv[2]);
	alarm(50);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	in = address4(HOST, dport);
	must(udp >= 0 && !bind(udp, (void *)&in, sizeof(in)), "the UDP socket");
	setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));

	forms();
	divert = opened(AF_INET, SOCK_RAW, 258);
	receives();
	batches();
	readiness();
	waiting();
	signals();
	lengths();
	writes();
	descriptors();
	shared();
	ends();
	return check_failed;
}
