/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks the borrow interface: lib_borrow PORT DPORT. A rule must divert UDP to DPORT, on its way
 * out over lo, to PORT.
 */
#include "check.h"

#include <divert.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#define HEADERS 28 /* of IPv4 and UDP */

static unsigned int port, dport;
static struct divert_loan loan[DIVERT_BORROW_MAX + 1];

static int opened(void)
{
	struct sockaddr_in in = address4("0.0.0.0", port);
	int fd = divert_socket(AF_INET, SOCK_CLOEXEC);

	must(fd >= 0 && !divert_bind(fd, (void *)&in, sizeof(in)), "divert");
	return fd;
}

/*
 * Sends n datagrams of that many bytes, each of which begins with its number. sums: with checksums,
 * which the kernel leaves to the network card.
 */
static void make(unsigned int first, unsigned int n, size_t size, int sums)
{
	const struct sockaddr_in to = address4("127.0.0.1", dport);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), off = !sums;
	unsigned char text[2000] = {};

	must(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &off, sizeof(off)), "SO_NO_CHECK");
	for (; n--; first++) {
		memcpy(text, &first, sizeof(first));
		must(sendto(fd, text, size, 0, (const void *)&to, sizeof(to)) == (ssize_t)size,
		     "sending");
	}
	close(fd);
}

static unsigned int number(const struct divert_loan *l)
{
	unsigned int n;

	memcpy(&n, (const char *)l->packet + HEADERS, sizeof(n));
	return n;
}

/* How many of them are packets of make(), numbered from first on. */
static int right(const struct divert_loan *l, int n, unsigned int first, size_t size)
{
	int i;

	for (i = 0; i < n; i++)
		if (l[i].info.length != HEADERS + size || number(&l[i]) != first + i)
			break;
	return i;
}

/* Is it in the memory of a map? */
static int in_ring(const void *at)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512];
	int found = 0;

	must(f != NULL, "/proc/self/maps");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && (unsigned long)at >= from &&
		    (unsigned long)at < to)
			found = strstr(line, "bpf") != NULL;
	fclose(f);
	return found;
}

static int sum_right(const struct divert_loan *l)
{
	const unsigned char *p = l->packet;
	unsigned int len = l->info.length, sum = 17 + len - 20, i;

	for (i = 12; i < len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* ---- what is lent ---- */

static void lent(void)
{
	int fd = opened(), n, i, good;

	fails_with("nothing there", EAGAIN, divert_borrow(fd, loan, 10, MSG_DONTWAIT));
	fails_with("no room for any", EINVAL, divert_borrow(fd, loan, 0, 0));
	fails_with("MSG_PEEK", EOPNOTSUPP, divert_borrow(fd, loan, 1, MSG_PEEK));
	fails_with("no divert socket: divert_borrow", ENOTSOCK, divert_borrow(0, loan, 1, 0));
	fails_with("no divert socket: divert_return", ENOTSOCK, divert_return(0, loan, 1));
	fails_with("no divert socket: divert_send_loan", ENOTSOCK, divert_send_loan(0, loan, 1, 0));

	make(100, 10, 500, 0);
	n = divert_borrow(fd, loan, 4, 0);
	is("lent: no more than asked for", n, 4);
	n += divert_borrow(fd, loan + 4, 16, 0);
	is("lent: all that are there", n, 10);
	is("lent: in order, and right", right(loan, n, 100, 500), 10);
	for (i = good = 0; i < n; i++)
		good += in_ring(loan[i].packet) && loan[i].info.rule == 100 &&
			loan[i].info.flags == DIVERT_INFO_OUT && loan[i].info.out_ifindex == 1 &&
			!loan[i].info.ifindex && !loan[i].info.gso_size && !loan[i].info.timestamp;
	is("lent: in place, and where it came from", good, 10);
	is("returned", divert_return(fd, loan, n), 0);
	fails_with("returned: once only", EINVAL, divert_return(fd, loan, n));

	make(200, 5, 500, 1);
	n = divert_borrow(fd, loan, 16, 0);
	for (i = good = 0; i < n; i++)
		good += sum_right(&loan[i]);
	is("checksums that were left to others are complete", good, 5);
	is("and it is right", right(loan, n, 200, 500), 5);
	is("and returned", divert_return(fd, loan, n), 0);
	divert_close(fd);
}

/* Between receiving and borrowing, packets come once and in order. */
static void mixed(void)
{
	int fd = opened(), got = 0;
	char text[2000];

	make(1, 4, 100, 0);
	got += divert_borrow(fd, loan, 1, 0) == 1 && number(loan) == 1;
	got += divert_recv(fd, text, sizeof(text), 0) == HEADERS + 100 && text[HEADERS] == 2;
	got += divert_borrow(fd, loan + 1, 1, 0) == 1 && number(loan + 1) == 3;
	got += divert_nread(fd) == HEADERS + 100;
	got += divert_recv(fd, text, sizeof(text), 0) == HEADERS + 100 && text[HEADERS] == 4;
	got += divert_recv(fd, text, sizeof(text), MSG_DONTWAIT) == -1 && errno == EAGAIN;
	is("borrowed and received in turn", got, 6);
	is("what is lent stays", number(loan) == 1 && number(loan + 1) == 3, 1);
	fails_with("one is not lent", EINVAL,
		   divert_return(fd, (struct divert_loan[]){loan[1], loan[1], loan[0]}, 3));
	fails_with("and the others are back", EINVAL, divert_return(fd, loan, 1));
	divert_close(fd);
}

/* ---- room ---- */

static void room(void)
{
	int fd = opened(), n, i, limit = 20000, more;

	must(!divert_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &limit, sizeof(limit)), "SO_RCVBUF");
	make(0, 100, 1000, 0);
	n = divert_borrow(fd, loan, 100, 0);
	check(n > 5 && n < 20, "a small buffer: %d are lent", n);
	make(1000, 10, 1000, 0);
	fails_with("while they are, there is no room", EAGAIN,
		   divert_borrow(fd, loan + n, 100, MSG_DONTWAIT));
	is("the others first: no room yet", divert_return(fd, loan + 1, n - 1), 0);
	make(2000, 10, 1000, 0);
	fails_with("the others first: nothing", EAGAIN,
		   divert_borrow(fd, loan + 1, 100, MSG_DONTWAIT));
	is("the first is what it was", number(loan), 0);
	is("now the first", divert_return(fd, loan, 1), 0);
	make(3000, 100, 1000, 0);
	more = divert_borrow(fd, loan, 100, 0);
	is("there is as much room as before", more, n);
	is("for what came then", right(loan, more, 3000, 1000), more);
	divert_return(fd, loan, more);

	/* many times around the ring, with some loans always out */
	limit = 8 << 20;
	divert_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &limit, sizeof(limit));
	make(0, 100, 1000, 0);
	n = divert_borrow(fd, loan, 100, 0);
	for (i = 100, more = 0; i < 30000 && n == 100; i += 50) {
		make(i, 50, 1000, 0);
		more += right(loan, 50, i - 100, 1000);
		divert_return(fd, loan, 50);
		memmove(loan, loan + 50, 50 * sizeof(*loan));
		n = 50 + divert_borrow(fd, loan + 50, 100, 0);
	}
	is("twice around the ring, 50 always out: all right", more, 29900);
	divert_return(fd, loan, n);

	for (i = 0; i < 5; i++)
		make(i * 1000, 1000, 10, 0);
	n = divert_borrow(fd, loan, DIVERT_BORROW_MAX + 1, 0);
	is("no more than DIVERT_BORROW_MAX", n, DIVERT_BORROW_MAX);
	fails_with("and then", ENOBUFS, divert_borrow(fd, loan, 1, 0));
	is("one back", divert_return(fd, loan, 1), 0);
	is("one more", divert_borrow(fd, loan, 1, 0), 1);
	is("which is the next", number(loan), DIVERT_BORROW_MAX);
	divert_close(fd);
}

/* ---- waiting ---- */

static void *later(void *nothing)
{
	(void)nothing;
	usleep(100000);
	make(77, 1, 100, 0);
	return NULL;
}

static void waiting(void)
{
	struct timeval limit = {.tv_usec = 400000};
	struct rusage before, after;
	int fd = opened(), out;
	long start, used;
	pthread_t t;

	for (out = 0; out < 2; out++) {
		if (out) {
			make(5, 1, 100, 0);
			must(divert_borrow(fd, loan, 1, 0) == 1, "divert_borrow");
		}
		must(!pthread_create(&t, NULL, later, NULL), "pthread_create");
		is(out ? "waiting with one out: woken" : "waiting: woken",
		   divert_borrow(fd, loan + 1, 1, 0), 1);
		is("by what came", number(loan + 1), 77);
		divert_return(fd, loan + 1, 1);
		pthread_join(t, NULL);
	}
	divert_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	getrusage(RUSAGE_SELF, &before);
	start = now_ms();
	fails_with("waiting with one out: until SO_RCVTIMEO", EAGAIN,
		   divert_borrow(fd, loan + 1, 1, 0));
	start = now_ms() - start;
	check(start >= 400, "which were %ld ms", start);
	getrusage(RUSAGE_SELF, &after);
	used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000 +
	       (after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1000 +
	       (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000 +
	       (after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1000;
	check(used < start / 2, "and it slept, but for %ld ms", used);
	divert_shutdown(fd, SHUT_RD);
	is("shut", divert_borrow(fd, loan + 1, 1, 0), 0);
	is("shut: what is out can be returned", divert_return(fd, loan, 1), 0);
	divert_close(fd);
}

/* ---- sent on ---- */

static int reader(void)
{
	struct timeval limit = {.tv_sec = 2};
	struct sockaddr_in in = address4("127.0.0.1", dport);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(fd >= 0 && !bind(fd, (void *)&in, sizeof(in)) &&
		     !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
	     "the receiver");
	return fd;
}

static long arrived(int fd)
{
	unsigned int text[500];

	return recv(fd, text, sizeof(text), 0) < 4 ? -1 : (long)text[0];
}

static void sent(void)
{
	int fd = opened(), to = reader(), i, sums, good;
	unsigned char copy[2000];

	for (sums = 0; sums < 2; sums++) {
		make(10, 8, 100, sums);
		must(divert_borrow(fd, loan, 8, 0) == 8, "divert_borrow");
		is("sent on: all", divert_send_loan(fd, loan, 8, 0), 8);
		for (i = good = 0; i < 8; i++)
			good += arrived(to) == 10 + i;
		is("sent on: they arrive in order", good, 8);
		fails_with("sent on: returned", EINVAL, divert_return(fd, loan, 8));
	}

	make(20, 3, 100, 0);
	must(divert_borrow(fd, loan, 3, 0) == 3, "divert_borrow");
	memcpy(copy, loan[1].packet, loan[1].info.length);
	copy[HEADERS] = 99;
	loan[1].packet = copy;
	loan[2].info.rule = 70000;
	is("an edited copy, and one that goes nowhere: two are sent",
	   divert_send_loan(fd, loan, 3, 0), 2);
	is("the first", arrived(to), 20);
	is("the edited one", arrived(to), 99);
	fails_with("the third", EINVAL, divert_send_loan(fd, loan + 2, 1, 0));
	loan[2].info.rule = 100;
	is("is still lent, and sent", divert_send_loan(fd, loan + 2, 1, 0), 1);
	is("it arrives", arrived(to), 22);
	close(to);
	divert_close(fd);
}

/* ---- over fork(2) ---- */

static void forks(void)
{
	int fd = opened(), n, status, i, copies;
	pid_t pid;

	make(0, 10, 100, 0);
	must(divert_borrow(fd, loan, 5, 0) == 5, "divert_borrow");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		n = divert_return(fd, loan, 5) ? 0 : divert_borrow(fd, loan, 3, 0);
		_exit(n == 3 && right(loan, n, 5, 100) == 3 && !divert_return(fd, loan, 3) ? 0 : 1);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	is("the child goes on with what was not lent", status, 0);
	is("what was lent can be returned", divert_return(fd, loan, 5), 0);
	n = divert_borrow(fd, loan, 10, 0);
	is("the parent goes on behind the child", n, 2);
	is("with the right ones", right(loan, n, 8, 100), 2);
	for (i = copies = 0; i < n; i++)
		copies += !in_ring(loan[i].packet);
	is("which are copies: the ring is shared", copies, 2);
	divert_return(fd, loan, n);
	divert_close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	port = atoi(argv[1]);
	dport = atoi(argv[2]);
	lent();
	mixed();
	room();
	sent();
	waiting();
	forks();
	return check_failed;
}
