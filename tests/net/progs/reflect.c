/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program for tests. It writes packets back, or not, in each of the ways of real programs.
 * It uses plain sockets; divert-run, or linking, makes them divert sockets.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NOBODY		  65534
/* Both are in <divert.h>, but plain socket programs need not have it. */
#define SOL_DIVERT	  258
#define DIVERT_REASSEMBLE 1

static const char usage_text[] =
	"usage: reflect [options] PORT\n"
	"  -6        a socket of AF_INET6\n"
	"  -P PROTO  protocol number of the socket: 258 (default) or 254\n"
	"  -w        fragments as they came: DIVERT_REASSEMBLE off\n"
	"reading and writing:\n"
	"  -d        drop: do not write back\n"
	"  -c N      stop after N packets\n"
	"  -S MS     stop when nothing has come for that long\n"
	"  -z        write back to the zero address (the tag stays)\n"
	"  -N        write back with no address (sendto with NULL)\n"
	"  -t TAG    write back with this tag\n"
	"  -k MARK   SO_MARK\n"
	"  -B US     SO_BUSY_POLL\n"
	"  -m        recvmsg and sendmsg\n"
	"  -r        read and write\n"
	"  -s        select before each receive\n"
	"  -e        epoll before each receive\n"
	"  -b BYTES  size of the buffer (65535)\n"
	"  -v        print a line for each packet\n"
	"  -i N      stand still for five milliseconds after each N packets\n"
	"after bind, in this order:\n"
	"  -D        daemon(3); what is printed still goes to where it went\n"
	"  -C DIR    chroot\n"
	"  -n FILE   go into this network namespace\n"
	"  -U        become nobody (uid and gid 65534)\n"
	"  -p FILE   write the process id into FILE: ready\n"
	"On SIGTERM, SIGINT and at its end it prints: received N sent N failed N.\n"
	"Exit status: 0; 1: could not be set up, or a receive failed; 2: usage; 3: a send "
	"failed.\n";

static struct {
	int port, family, protocol;
	bool pieces, drop, zero, null, msg, rw, select, epoll, verbose, daemon, nobody;
	long stop_after, idle_ms; /* 0, -1: never */
	long tag;		  /* -1: as received */
	unsigned long pause;	  /* 0: never */
	size_t size;
	long mark; /* 0: none */
	int busy;  /* 0: the default */
	const char *pidfile, *root, *netns;
} opt = {.family = AF_INET, .protocol = 258, .idle_ms = -1, .tag = -1, .size = 65535};

static FILE *out, *err;
static volatile sig_atomic_t stop;
static unsigned long received, sent, failed;

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static void fail(const char *what)
{
	fprintf(err, "reflect: %s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

/*
 * A signal just before a blocking call does not end the call. So SIGALRM follows until the main
 * loop has seen one.
 */
static void on_signal(int sig)
{
	const struct itimerval again = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};

	if (sig == SIGALRM)
		return;
	stop = 1;
	setitimer(ITIMER_REAL, &again, NULL);
}

static long number(int c, const char *s, long min, long max)
{
	char *end;
	long n = strtol(s, &end, 0);

	if (end == s || *end || n < min || n > max) {
		fprintf(stderr, "reflect: -%c %s: not a number from %ld to %ld\n", c, s, min, max);
		exit(2);
	}
	return n;
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "6P:wdc:S:zNt:k:B:mrseb:vi:DC:n:Up:h")) != -1) {
		switch (c) {
		case '6':
			opt.family = AF_INET6;
			break;
		case 'P':
			opt.protocol = (int)number(c, optarg, 0, 1000);
			break;
		case 'w':
			opt.pieces = true;
			break;
		case 'd':
			opt.drop = true;
			break;
		case 'c':
			opt.stop_after = number(c, optarg, 1, 1L << 40);
			break;
		case 'S':
			opt.idle_ms = number(c, optarg, 0, 3600000);
			break;
		case 'z':
			opt.zero = true;
			break;
		case 'N':
			opt.null = true;
			break;
		case 't':
			opt.tag = number(c, optarg, 0, 65535);
			break;
		case 'k':
			opt.mark = number(c, optarg, 1, UINT32_MAX);
			break;
		case 'B':
			opt.busy = (int)number(c, optarg, 1, 1000);
			break;
		case 'n':
			opt.netns = optarg;
			break;
		case 'm':
			opt.msg = true;
			break;
		case 'r':
			opt.rw = true;
			break;
		case 's':
			opt.select = true;
			break;
		case 'e':
			opt.epoll = true;
			break;
		case 'b':
			opt.size = (size_t)number(c, optarg, 1, 1 << 24);
			break;
		case 'i':
			opt.pause = (unsigned long)number(c, optarg, 1, 1000000);
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 'D':
			opt.daemon = true;
			break;
		case 'C':
			opt.root = optarg;
			break;
		case 'U':
			opt.nobody = true;
			break;
		case 'p':
			opt.pidfile = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind + 1 != argc) {
		fputs(usage_text, stderr);
		exit(2);
	}
	opt.port = (int)number('#', argv[optind], 0, 65535);
}

static int open_socket(void)
{
	union address addr = {0};
	int fd = socket(opt.family, SOCK_RAW, opt.protocol), off = 0;
	socklen_t len = sizeof(addr.in);
	uint32_t mark = (uint32_t)opt.mark;

	if (fd < 0)
		fail("socket");
	if (opt.pieces && setsockopt(fd, SOL_DIVERT, DIVERT_REASSEMBLE, &off, sizeof(off)) < 0)
		fail("DIVERT_REASSEMBLE");
	if (opt.mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		fail("SO_MARK");
	if (opt.busy && setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &opt.busy, sizeof(opt.busy)) < 0)
		fail("SO_BUSY_POLL");
	addr.sa.sa_family = (sa_family_t)opt.family;
	if (opt.family == AF_INET6) {
		addr.in6.sin6_port = htons((uint16_t)opt.port);
		len = sizeof(addr.in6);
	} else {
		addr.in.sin_port = htons((uint16_t)opt.port);
	}
	if (bind(fd, &addr.sa, len) < 0)
		fail("bind");
	return fd;
}

static FILE *copy_of(FILE *f)
{
	FILE *copy = fdopen(fcntl(fileno(f), F_DUPFD_CLOEXEC, 3), "w");

	if (!copy)
		fail("fdopen");
	return copy;
}

static void settle(void)
{
	FILE *pidfile = NULL;

	if (opt.pidfile) {
		pidfile = fopen(opt.pidfile, "w");
		if (!pidfile)
			fail(opt.pidfile);
	}
	if (opt.daemon) {
		out = copy_of(out);
		err = copy_of(err);
		if (daemon(0, 0) < 0)
			fail("daemon");
	}
	if (opt.root && (chroot(opt.root) < 0 || chdir("/") < 0))
		fail(opt.root);
	if (opt.netns && setns(open(opt.netns, O_RDONLY | O_CLOEXEC), CLONE_NEWNET) < 0)
		fail(opt.netns);
	if (opt.nobody && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		fail("nobody");
	if (pidfile) {
		fprintf(pidfile, "%d\n", (int)getpid());
		if (fclose(pidfile))
			fail(opt.pidfile);
	}
}

/* 1: readable; 0: nothing came in time; -1: EINTR. */
static int wait_readable(int fd, int epfd)
{
	struct timeval tv = {opt.idle_ms / 1000, opt.idle_ms % 1000 * 1000};
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct epoll_event event;
	fd_set set;
	int n;

	if (opt.epoll) {
		n = epoll_wait(epfd, &event, 1, (int)opt.idle_ms);
	} else if (opt.select) {
		FD_ZERO(&set);
		FD_SET(fd, &set);
		n = select(fd + 1, &set, NULL, NULL, opt.idle_ms < 0 ? NULL : &tv);
	} else {
		n = poll(&pfd, 1, (int)opt.idle_ms);
	}
	if (n < 0 && errno != EINTR)
		fail(opt.epoll ? "epoll_wait" : opt.select ? "select" : "poll");
	return n;
}

static ssize_t receive(int fd, uint8_t *buf, union address *from, socklen_t *len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = opt.size};
	struct msghdr msg = {.msg_name = from,
			     .msg_namelen = *len,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	ssize_t n;

	if (opt.rw) {
		*len = 0;
		return read(fd, buf, opt.size);
	}
	if (!opt.msg)
		return recvfrom(fd, buf, opt.size, 0, &from->sa, len);
	n = recvmsg(fd, &msg, 0);
	*len = msg.msg_namelen;
	return n;
}

static ssize_t write_back(int fd, uint8_t *buf, size_t size, const union address *from,
			  socklen_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	union address to = *from;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (opt.rw)
		return write(fd, buf, size);
	if (opt.tag >= 0) { /* sin_port, or sin6_port at the same place: host order */
		to.in.sin_port = (in_port_t)opt.tag;
	}
	if (opt.zero && to.sa.sa_family == AF_INET6)
		to.in6.sin6_addr = in6addr_any;
	else if (opt.zero)
		to.in.sin_addr.s_addr = INADDR_ANY;
	if (opt.msg) {
		if (!opt.null) {
			msg.msg_name = &to;
			msg.msg_namelen = len;
		}
		return sendmsg(fd, &msg, 0);
	}
	return sendto(fd, buf, size, 0, opt.null ? NULL : &to.sa, opt.null ? 0 : len);
}

/* Up to the first NUL. Characters that do not print appear as \xNN. */
static void print_name(const char *name, size_t size)
{
	for (size_t i = 0; i < size && name[i]; i++) {
		unsigned char c = (unsigned char)name[i];

		if (isgraph(c) && c != '\\')
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
}

static void print_packet(const uint8_t *p, size_t size, const union address *from, socklen_t len)
{
	char text[INET6_ADDRSTRLEN];
	int family = 0, proto = -1;

	if (!len) {
		fputs("tag=- addr=- name=- family=-", out);
	} else if (from->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &from->in6.sin6_addr, text, sizeof(text));
		fprintf(out, "tag=%u addr=%s name=- scope=%u family=%d", from->in6.sin6_port, text,
			from->in6.sin6_scope_id, from->sa.sa_family);
	} else {
		inet_ntop(AF_INET, &from->in.sin_addr, text, sizeof(text));
		fprintf(out, "tag=%u addr=%s name=", from->in.sin_port, text);
		print_name((const char *)from->in.sin_zero, sizeof(from->in.sin_zero));
		fprintf(out, " family=%d", from->sa.sa_family);
	}
	if (size >= 20 && p[0] >> 4 == 4) {
		family = AF_INET;
		proto = p[9];
	} else if (size >= 40 && p[0] >> 4 == 6) {
		family = AF_INET6;
		proto = p[6];
	}
	fprintf(out, " len=%zu proto=%d", size, proto);
	if (family) {
		inet_ntop(family, p + (family == AF_INET ? 12 : 8), text, sizeof(text));
		fprintf(out, " src=%s", text);
		inet_ntop(family, p + (family == AF_INET ? 16 : 24), text, sizeof(text));
		fprintf(out, " dst=%s", text);
	}
	fputc('\n', out);
	fflush(out);
}

static void send_one(int fd, uint8_t *buf, size_t size, const union address *from, socklen_t len)
{
	ssize_t n = write_back(fd, buf, size, from, len);

	if (n == (ssize_t)size) {
		sent++;
		return;
	}
	failed++;
	if (n < 0)
		fprintf(err, "%s\n", strerrorname_np(errno));
	else
		fprintf(err, "short: %zd of %zu\n", n, size);
	fflush(err);
}

static void loop(int fd, int epfd)
{
	const bool wait_first = opt.select || opt.epoll || opt.idle_ms >= 0;
	uint8_t *buf = malloc(opt.size);

	if (!buf)
		fail("malloc");
	while (!stop && !(opt.stop_after && received >= (unsigned long)opt.stop_after)) {
		union address from = {0};
		socklen_t len = sizeof(from);
		ssize_t n;

		if (wait_first) {
			int ready = wait_readable(fd, epfd);

			if (!ready)
				break;
			if (ready < 0)
				continue;
		}
		n = receive(fd, buf, &from, &len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail("receive");
		received++;
		if (opt.verbose)
			print_packet(buf, (size_t)n, &from, len);
		if (!opt.drop)
			send_one(fd, buf, (size_t)n, &from, len);
		if (opt.pause && received % opt.pause == 0)
			nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	free(buf);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: calls end with EINTR */
	struct epoll_event event = {.events = EPOLLIN};
	int fd, epfd = -1;

	out = stdout;
	err = stderr;
	parse(argc, argv);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);

	fd = open_socket();
	if (opt.epoll) {
		epfd = epoll_create1(EPOLL_CLOEXEC);
		if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0)
			fail("epoll");
	}
	settle();
	loop(fd, epfd);

	fprintf(out, "received %lu sent %lu failed %lu\n", received, sent, failed);
	fflush(out);
	close(fd);
	return failed ? 3 : 0;
}
