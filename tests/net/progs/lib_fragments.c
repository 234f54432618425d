/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many packets in fragments, in any order, some twice, some overlapping, some incomplete:
 *	lib_fragments [-P] [-n PACKETS] NETNS IF MAC PORT
 *
 * It sends them from the network namespace (a file) by its interface IF to MAC, and reads whole
 * ones from the divert ports PORT to PORT + 3. IPv4 and IPv6 take turns. The packets are UDP, to
 * one of four addresses, 10.9.0.1 to 4 and fd09::1 to 4. With -P they are to 10.8.0.1 and fd08::1,
 * to one of the ports 5001 to 5004.
 *
 * Each packet that should come must come once, unchanged; no other may come. Then it prints the
 * numbers that should be counted: sent N whole N duplicate N overlap N timeout N. After SIGTERM it
 * checks that its memory has been given back.
 */
#include "check.h"

#include <divert.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <malloc.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* In bytes: the metadata of packets that each socket keeps. */
#define WAYS_KEPT (256 << 10)
#define PORTS	  4
#define LEN_MAX	  9100
#define BATCH	  200

static int packets = 10000, first_port;
static bool by_port;
static volatile sig_atomic_t stop;

static uint32_t rnd(uint64_t *x, uint32_t below)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x % below;
}

/* ---- packet k ---- */

struct plan {
	int v6, head, len;	   /* len: behind the IP header */
	int size, pieces;	   /* bytes of each piece, a multiple of 8; how many */
	int missing, twice, extra; /* numbers of pieces; -1: none */
};

static void plan(int k, struct plan *p)
{
	uint64_t x = (uint64_t)(k + 1) * 0x9e3779b97f4a7c15ull;

	rnd(&x, 1);
	p->v6 = k & 1;
	p->head = p->v6 ? 40 : 20;
	p->size = 8 * (50 + rnd(&x, 120));
	p->len = p->size + 8 + rnd(&x, 6000 - p->size);
	p->pieces = (p->len + p->size - 1) / p->size;
	p->missing = k % 10 == 3 ? (int)rnd(&x, p->pieces) : -1;
	p->twice = k % 10 == 6 ? (int)rnd(&x, p->pieces) : -1;
	p->extra = k % 10 == 9 && !by_port ? (int)rnd(&x, p->pieces - 1) : -1;
}

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static unsigned int sum(unsigned int s, const uint8_t *at, int n)
{
	for (int i = 0; i < n; i++)
		s += i & 1 ? at[i] : at[i] << 8;
	return s;
}

static unsigned int fold(unsigned int s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static void header4(uint8_t *b, int k, int len, int frag)
{
	const int to = by_port ? 1 : k / 2 % PORTS + 1;

	memset(b, 0, 20);
	b[0] = 0x45;
	put16(b + 2, 20 + len);
	put16(b + 4, k);
	put16(b + 6, frag);
	b[8] = 64;
	b[9] = IPPROTO_UDP;
	memcpy(b + 12, "\12\1\0\1\12", 5);
	b[17] = by_port ? 8 : 9;
	b[19] = to;
	put16(b + 10, fold(sum(0, b, 20)));
}

static void header6(uint8_t *b, int k, int len, int next)
{
	memset(b, 0, 40);
	b[0] = 0x60;
	put16(b + 4, len);
	b[6] = next;
	b[7] = 64;
	memcpy(b + 8, "\375\1", 2);
	b[23] = 1;
	b[24] = 0xfd;
	b[25] = by_port ? 8 : 9;
	b[39] = by_port ? 1 : k / 2 % PORTS + 1;
}

/* Makes the whole packet. */
static void make(int k, const struct plan *p, uint8_t *b)
{
	uint8_t *udp = b + p->head;
	uint64_t x = k + 1;

	if (p->v6)
		header6(b, k, p->len, IPPROTO_UDP);
	else
		header4(b, k, p->len, 0);
	put16(udp, 4000);
	put16(udp + 2, 5001 + k / 2 % PORTS);
	put16(udp + 4, p->len);
	put16(udp + 6, 0);
	for (int i = 8; i < p->len; i++)
		udp[i] = rnd(&x, 256);
	put16(udp + 8, k);
	put16(udp + 6, fold(sum(sum(IPPROTO_UDP + p->len, b + (p->v6 ? 8 : 12), p->v6 ? 32 : 8),
				udp, p->len)));
}

/* ---- the sender ---- */

struct fraghdr {
	int k, piece;
	bool extra;
};

struct shared {
	unsigned long sent, whole, duplicate, overlap, timeout;
	unsigned char expected[]; /* of packet k: how often it should come */
};

/* n bytes of packet k from offset on: the contents of a frame. */
static int cut(uint8_t *to, int k, const struct plan *p, int offset, int n, bool more)
{
	static uint8_t b[LEN_MAX];
	int head = 20;

	make(k, p, b);
	if (p->v6) {
		header6(to, k, 8 + n, 44);
		memset(to + 40, 0, 8);
		to[40] = IPPROTO_UDP;
		put16(to + 42, offset | more);
		put16(to + 46, k);
		head = 48;
	} else {
		header4(to, k, n, offset / 8 | (more ? 0x2000 : 0));
	}
	memcpy(to + head, b + p->head + offset, n);
	return head + n;
}

static int build(uint8_t *to, const struct fraghdr *f, const struct plan *p)
{
	int at = f->piece * p->size, n = p->len - at < p->size ? p->len - at : p->size;

	if (f->extra)
		return cut(to, f->k, p, at + 8, 16, true);
	return cut(to, f->k, p, at, n, f->piece + 1 < p->pieces);
}

static struct fraghdr *make_all(int *count)
{
	struct fraghdr *all = calloc((size_t)packets * 20, sizeof(*all)), swap;
	uint64_t x = 42;
	struct plan p;
	int n = 0;

	must(all != NULL, "memory");
	for (int k = 0; k < packets; k++) {
		plan(k, &p);
		for (int i = 0; i < p.pieces; i++) {
			if (i != p.missing)
				all[n++] = (struct fraghdr){k, i, false};
			if (i == p.twice)
				all[n++] = (struct fraghdr){k, i, false};
		}
		if (p.extra >= 0)
			all[n++] = (struct fraghdr){k, p.extra, true};
	}
	for (int i = n - 1; i > 0; i--) {
		int j = rnd(&x, i + 1);

		swap = all[i];
		all[i] = all[j];
		all[j] = swap;
	}
	*count = n;
	return all;
}

/*
 * The expected result for each packet, by a plain model: a packet is a list of blocks of 8 bytes.
 */
static void expect(struct shared *sh, const struct fraghdr *all, int n)
{
	struct state {
		unsigned char dead, pieces, extra;
		unsigned char have[32]; /* have piece i */
	} *state = calloc(packets, sizeof(*state)), *s;
	struct plan p;

	must(state != NULL, "memory");
	for (int i = 0; i < n; i++) {
		s = &state[all[i].k];
		plan(all[i].k, &p);
		if (s->dead) {
			sh->overlap++;
			continue;
		}
		if (!all[i].extra && s->have[all[i].piece]) {
			sh->duplicate++;
			continue;
		}
		if (all[i].extra ? s->have[p.extra] : s->extra && all[i].piece == p.extra) {
			sh->overlap += s->pieces + s->extra + 1;
			s->dead = 1;
			continue;
		}
		if (all[i].extra) {
			s->extra = 1;
			continue;
		}
		s->have[all[i].piece] = 1;
		if (++s->pieces == p.pieces) {
			sh->whole++;
			sh->expected[all[i].k]++;
			memset(s, 0, sizeof(*s));
		}
	}
	for (int k = 0; k < packets; k++)
		if (!state[k].dead)
			sh->timeout += state[k].pieces + state[k].extra;
	sh->sent = n;
	free(state);
}

/* Sends a batch for each byte that comes, and answers with a byte when it is sent. */
static void send_all(struct shared *sh, char *const *argv, int ask, int answer)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	static uint8_t frame[2000];
	int n, len, fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	struct fraghdr *all = make_all(&n);
	unsigned char mac[6];
	struct plan p;
	char byte;

	expect(sh, all, n);
	must(fd >= 0 && !setns(fd, CLONE_NEWNET), argv[0]);
	must(sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3,
		    mac + 4, mac + 5) == 6,
	     argv[2]);
	memcpy(to.sll_addr, mac, 6);
	to.sll_ifindex = if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_DGRAM, 0);
	must(fd >= 0 && to.sll_ifindex, "packet socket");
	for (int i = 0; i < n; i++) {
		if (i % BATCH == 0 && (write(answer, "", 1) != 1 || read(ask, &byte, 1) != 1))
			_exit(1);
		plan(all[i].k, &p);
		len = build(frame, &all[i], &p);
		to.sll_protocol = htons(p.v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
		must(sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) == len, "send");
	}
	_exit(0);
}

/* ---- the reader ---- */

static unsigned char *seen;
static unsigned long wrong;

static void look(const uint8_t *b, ssize_t len, int port)
{
	static uint8_t whole[LEN_MAX];
	int head = len > 0 && b[0] >> 4 == 4 ? 20 : 40, k;
	struct plan p;

	if (len < head + 10) {
		wrong++;
		return;
	}
	k = b[head + 8] << 8 | b[head + 9];
	if (k >= packets) {
		wrong++;
		return;
	}
	plan(k, &p);
	make(k, &p, whole);
	if (port != k / 2 % PORTS || len != p.head + p.len || memcmp(b, whole, len))
		wrong++;
	else
		seen[k]++;
}

static unsigned long drain(struct pollfd *fds)
{
	static uint8_t b[65535];
	unsigned long n = 0;
	ssize_t len;

	for (int i = 0; i < PORTS; i++)
		while ((len = divert_recv(fds[i].fd, b, sizeof(b), MSG_DONTWAIT)) >= 0) {
			look(b, len, i);
			n++;
		}
	return n;
}

/*
 * Read until the sender is done and no more packets come. Packets that another socket writes back
 * come late; wait for them.
 */
static void read_all(struct pollfd *fds, int ask, const struct shared *sh)
{
	unsigned long got = 0;
	const long end = now_ms() + 60000;
	bool open = true;

	while ((open || got < sh->whole) && now_ms() < end) {
		poll(fds, PORTS + 1, 1000);
		got += drain(fds);
		if (fds[PORTS].revents & POLLIN) {
			char byte;

			if (read(fds[PORTS].fd, &byte, 1) == 1)
				must(write(ask, "", 1) == 1, "pipe");
		} else if (fds[PORTS].revents & POLLHUP) {
			open = false;
			fds[PORTS].fd = -1;
		}
	}
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void *sleep_in_receive(void *fd)
{
	static uint8_t b[65535];
	ssize_t len = divert_recv(*(int *)fd, b, sizeof(b), 0);

	check(0, "a receive that sleeps had nothing to get, and got %zd", len);
	return NULL;
}

int main(int argc, char **argv)
{
	int c, ask[2], answer[2], bad = 0;
	struct pollfd fds[PORTS + 1];
	size_t before, full, size;
	struct shared *sh;
	pthread_t thread;
	pid_t child;

	while ((c = getopt(argc, argv, "Pn:")) != -1) {
		if (c == 'P')
			by_port = true;
		else if (c == 'n')
			packets = atoi(optarg);
	}
	argv += optind;
	signal(SIGTERM, on_signal);
	first_port = atoi(argv[3]);
	size = sizeof(*sh) + packets;
	sh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	seen = calloc(packets, 1);
	must(sh != MAP_FAILED && seen && !pipe(ask) && !pipe(answer), "memory, pipes");
	child = fork();
	if (!child) {
		close(ask[1]);
		close(answer[0]);
		send_all(sh, argv, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	for (int i = 0; i < PORTS; i++) {
		struct sockaddr_in in = address4("0.0.0.0", first_port + i);

		fds[i].fd = divert_socket(AF_INET, 0);
		fds[i].events = POLLIN;
		must(fds[i].fd >= 0 && !divert_bind(fds[i].fd, (struct sockaddr *)&in, sizeof(in)),
		     "divert socket");
	}
	fds[PORTS] = (struct pollfd){.fd = answer[0], .events = POLLIN};
	before = mallinfo2().uordblks;
	read_all(fds, ask[1], sh);
	full = mallinfo2().uordblks;
	waitpid(child, NULL, 0);

	for (int k = 0; k < packets; k++)
		bad += seen[k] != sh->expected[k];
	is("packets that came too often or not often enough", bad, 0);
	is("packets that were not as they had been sent", wrong, 0);
	check(full > before + 500000, "memory: %zu bytes with fragments waiting", full - before);
	printf("sent %lu whole %lu duplicate %lu overlap %lu timeout %lu\n", sh->sent, sh->whole,
	       sh->duplicate, sh->overlap, sh->timeout);
	fflush(stdout);

	/* one socket by a receive that sleeps, the others by receives that do not wait */
	must(!pthread_create(&thread, NULL, sleep_in_receive, &fds[0].fd), "thread");
	while (!stop) {
		usleep(100000);
		for (int i = 1; i < PORTS; i++)
			divert_nread(fds[i].fd);
	}
	full = mallinfo2().uordblks;
	before += (size_t)PORTS * WAYS_KEPT;
	check(full <= before + 100000, "memory is back: %zu bytes more than before", full - before);
	puts("done");
	return check_failed;
}
