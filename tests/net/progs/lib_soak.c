/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reflector that may be killed at any time and whose sums are known nevertheless, under
 * divert-run:
 *	lib_soak [-c] [-s] [-w] HOW PORT FILE
 *	HOW  one: recvfrom and sendto; epoll: the same after epoll_wait; edge: EPOLLET, until
 *	     there is nothing; batch: recvmmsg and sendmmsg; borrow: libdivert's borrow interface
 *	-c   large packets are cut, so more are read than were diverted; otherwise DIVERT_GSO
 *	-s   SO_REUSEPORT
 *	-w   fragments as they came, since one that is killed cannot say how many libdivert had
 *	     taken; otherwise a packet counts as its fragments
 *
 * It says "ready" when it is bound. At SIGTERM it closes the socket and ends. At SIGUSR1 it kills
 * itself (-9) between two calls. FILE keeps the sums of all its lives, struct tally; soak.sh reads
 * it.
 */
#include <divert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BATCH 32
#define ROOM  65535
#define MTU   1500

/* Packets that may wait to be sent: DIVERT_BATCH_MAX of engine/layout.h. */
#define WAITS_MAX 128

/* A program that is killed in a call cannot say what the call has done. */
struct tally {
	uint64_t read, sent, failed;
	uint64_t unsure_read; /* up to that many more may have been read */
	uint64_t unsure_sent; /* up to that many more may have been sent */
	uint64_t unsure_left; /* up to that many packets that were sent may have waited in vain */
	/* of this life */
	uint64_t reading, sending, alive;
};

static volatile struct tally *tally;
static volatile sig_atomic_t stop, die;
static int as_they_came, fd, epfd;

static struct sockaddr_storage from[BATCH];
static char room[BATCH][ROOM];
static struct iovec iov[BATCH]; /* the packets that were read */
static struct mmsghdr msg[BATCH];
static struct divert_loan loan[BATCH];
static struct {
	unsigned int read, sent;
} weight[BATCH];

/* A signal just before a call that sleeps does not end the call, so more follow. */
static void on_signal(int sig)
{
	const struct itimerval again = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};

	if (sig == SIGALRM)
		return;
	stop |= sig == SIGTERM;
	die |= sig == SIGUSR1;
	setitimer(ITIMER_REAL, &again, NULL);
}

static void open_tally(const char *path)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (file < 0 || ftruncate(file, sizeof(*tally)))
		err(1, "%s", path);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (tally == MAP_FAILED)
		err(1, "%s", path);
	close(file);
	tally->unsure_read += tally->reading;
	tally->unsure_sent += tally->sending;
	tally->unsure_left += tally->alive ? WAITS_MAX : 0;
	tally->reading = tally->sending = 0;
	tally->alive = 1;
}

/*
 * Packet i has come. It counts as its fragments, cut as Linux cuts them. IPv4 that is written
 * inbound goes in one piece.
 */
static void weigh(int i, bool inbound)
{
	const unsigned char *p = iov[i].iov_base;
	const size_t len = iov[i].iov_len;
	const bool v4 = p[0] >> 4 == 4;
	const unsigned int head = v4 ? 20 : 40, payload = v4 ? 1480 : 1448;

	weight[i].read = weight[i].sent = 1;
	if (as_they_came || len <= MTU || p[v4 ? 9 : 6] != IPPROTO_UDP)
		return;
	weight[i].read = (len - head + payload - 1) / payload;
	if (!v4 || !inbound)
		weight[i].sent = weight[i].read;
}

static void begin_reading(int n)
{
	if (die)
		kill(getpid(), SIGKILL);
	tally->reading = n;
}

/* n: what the call returned. Returns the number of packets, each of which has been weighed. */
static int end_reading(int n, const char *call)
{
	int i;

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		err(1, "%s", call);
	for (i = 0; i < n; i++)
		tally->read += weight[i].read;
	tally->reading = 0;
	return n;
}

/* Packets from i on will be sent. */
static void begin_sending(int i, int n)
{
	while (n--)
		tally->sending += weight[i++].sent;
}

/* n: what the call returned. Returns the number of packets that are done. */
static int end_sending(int i, int n, const char *call)
{
	int k;

	for (k = 0; k < n; k++)
		tally->sent += weight[i + k].sent;
	if (n < 1) {
		warn("%s", call);
		tally->failed += weight[i].sent;
	}
	tally->sending = 0;
	return n < 1 ? 1 : n;
}

static bool is_inbound(int i)
{
	return ((struct sockaddr_in *)&from[i])->sin_addr.s_addr != INADDR_ANY;
}

/* Returns 0 if nothing came. */
static int one(int flags)
{
	socklen_t fromlen = sizeof(from[0]);
	ssize_t n;

	begin_reading(1);
	n = recvfrom(fd, room[0], ROOM, flags, (void *)&from[0], &fromlen);
	if (n > 0) {
		iov[0].iov_len = n;
		weigh(0, is_inbound(0));
	}
	if (end_reading(n < 0 ? -1 : 1, "recvfrom") < 1)
		return 0;
	begin_sending(0, 1);
	n = sendto(fd, room[0], n, 0, (void *)&from[0], fromlen);
	end_sending(0, n < 0 ? -1 : 1, "sendto");
	return 1;
}

static void epoll(int flags)
{
	struct epoll_event event;

	if (epoll_wait(epfd, &event, 1, -1) < 1) {
		begin_reading(0);
		return;
	}
	while (one(flags) && flags)
		;
}

static void batch(void)
{
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i].iov_len = ROOM;
		msg[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
						 .msg_namelen = sizeof(from[i]),
						 .msg_iov = &iov[i],
						 .msg_iovlen = 1};
	}
	begin_reading(BATCH);
	n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);
	for (i = 0; i < n; i++) {
		iov[i].iov_len = msg[i].msg_len;
		weigh(i, is_inbound(i));
	}
	n = end_reading(n, "recvmmsg");
	for (i = 0; i < n;) {
		begin_sending(i, n - i);
		i += end_sending(i, sendmmsg(fd, msg + i, n - i, 0), "sendmmsg");
	}
}

static void borrow(void)
{
	int i, n, sent;

	begin_reading(BATCH);
	n = divert_borrow(fd, loan, BATCH, 0);
	for (i = 0; i < n; i++) {
		iov[i] = (struct iovec){(void *)loan[i].packet, loan[i].info.length};
		weigh(i, !(loan[i].info.flags & DIVERT_INFO_OUT));
	}
	n = end_reading(n, "divert_borrow");
	for (i = 0; i < n;) {
		begin_sending(i, n - i);
		sent = divert_send_loan(fd, loan + i, n - i, 0);
		if (sent < 1 && divert_return(fd, loan + i, 1))
			err(1, "divert_return");
		i += end_sending(i, sent, "divert_send_loan");
	}
}

static void opened(int port, int cut, int shared, int edge)
{
	const struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event event = {.events = EPOLLIN | (edge ? EPOLLET : 0)};
	int large = !cut, whole = !as_they_came;

	fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof(shared)) ||
	    setsockopt(fd, SOL_DIVERT, DIVERT_GSO, &large, sizeof(large)) ||
	    setsockopt(fd, SOL_DIVERT, DIVERT_REASSEMBLE, &whole, sizeof(whole)) ||
	    bind(fd, (const void *)&in, sizeof(in)))
		err(1, "socket for port %d", port);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: calls end with EINTR */
	int c, i, cut = 0, shared = 0;
	const char *how;

	while ((c = getopt(argc, argv, "csw")) != -1) {
		cut |= c == 'c';
		shared |= c == 's';
		as_they_came |= c == 'w';
	}
	if (argc - optind != 3)
		errx(2, "usage: lib_soak [-csw] HOW PORT FILE");
	how = argv[optind];
	for (i = 0; i < BATCH; i++)
		iov[i].iov_base = room[i];
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	open_tally(argv[optind + 2]);
	opened(atoi(argv[optind + 1]), cut, shared, !strcmp(how, "edge"));
	puts("ready");
	fflush(stdout);
	while (!stop) {
		if (!strcmp(how, "one"))
			one(0);
		else if (!strcmp(how, "epoll"))
			epoll(0);
		else if (!strcmp(how, "edge"))
			epoll(MSG_DONTWAIT);
		else if (!strcmp(how, "batch"))
			batch();
		else if (!strcmp(how, "borrow"))
			borrow();
		else
			errx(2, "%s: not known", how);
	}
	close(fd);
	tally->alive = 0;
	return 0;
}
