/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DIVERT_REASSEMBLE, call by call: lib_whole PORT TEEPORT IF
 *
 * Rules divert UDP to 10.9.1.1 and fd09:1::1 to PORT, and tee UDP to 10.9.1.2 to TEEPORT. The
 * fragments are written inbound on IF by a socket of this program. Packets that go out go to
 * 10.2.0.1 and fd02::1, over links with an MTU of 1500.
 */
#include "check.h"

#include <divert.h>
#include <poll.h>
#include <pthread.h>
#include <sys/time.h>

#define BODY 2000 /* bytes behind the IP header */
#define CUT  1200 /* how many of them are in the first fragment */

static int in, out;
static const char *interface;

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void sum4(uint8_t *b)
{
	unsigned int s = 0;

	put16(b + 10, 0);
	for (int i = 0; i < 20; i += 2)
		s += b[i] << 8 | b[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	put16(b + 10, ~s & 0xffff);
}

/*
 * Makes n bytes of a UDP packet, from offset on, for IPv6 in a fragment unless they are all.
 * Returns its length.
 */
static int make(uint8_t *b, int v6, const char *to, int id, int offset, int n, int more)
{
	int head = v6 ? 40 : 20;

	memset(b, 0, 48);
	if (v6) {
		b[0] = 0x60;
		b[6] = IPPROTO_UDP;
		b[7] = 64;
		inet_pton(AF_INET6, "fd01::1", b + 8);
		inet_pton(AF_INET6, to, b + 24);
		if (offset || more) {
			b[6] = 44;
			b[40] = IPPROTO_UDP;
			put16(b + 42, offset | more);
			put16(b + 46, id);
			head = 48;
		}
		put16(b + 4, head - 40 + n);
	} else {
		b[0] = 0x45;
		put16(b + 2, 20 + n);
		put16(b + 4, id);
		put16(b + 6, offset / 8 | more << 13);
		b[8] = 64;
		b[9] = IPPROTO_UDP;
		inet_pton(AF_INET, "10.1.0.1", b + 12);
		inet_pton(AF_INET, to, b + 16);
		sum4(b);
	}
	for (int i = 0; i < n; i++)
		b[head + i] = (offset + i) * 7;
	if (!offset) { /* ports, length, no checksum */
		put16(b + head, 4000);
		put16(b + head + 2, 9);
		put16(b + head + 4, BODY);
		put16(b + head + 6, 0);
	}
	return head + n;
}

static void inject(int v6, const char *to, int id, int offset, int n, int more)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = 1};
	uint8_t b[4000];
	int len = make(b, v6, to, id, offset, n, more);

	strncpy((char *)at.sin_zero, interface, sizeof(at.sin_zero) - 1);
	must(divert_sendto(out, b, len, 0, (struct sockaddr *)&at, sizeof(at)) == len, "inject");
}

static const char *target(int v6)
{
	return v6 ? "fd09:1::1" : "10.9.1.1";
}

static void first(int v6, int id)
{
	inject(v6, target(v6), id, 0, CUT, 1);
}

static void last(int v6, int id)
{
	inject(v6, target(v6), id, CUT, BODY - CUT, 0);
}

static int readable(int ms)
{
	struct pollfd p = {.fd = in, .events = POLLIN};

	return poll(&p, 1, ms);
}

static int same(const uint8_t *b, ssize_t len, int v6, int id)
{
	static uint8_t whole[4000];

	return len == make(whole, v6, target(v6), id, 0, BODY, 0) && !memcmp(b, whole, len);
}

static void test_calls(int v6)
{
	const int len = BODY + (v6 ? 40 : 20);
	uint8_t b[4000];
	ssize_t n;

	printf("# IPv%d\n", v6 ? 6 : 4);
	last(v6, 1);
	is("a fragment: readable", readable(5000), 1);
	fails_with("a fragment, and no whole packet", EAGAIN,
		   divert_recv(in, b, sizeof(b), MSG_DONTWAIT));
	is("then no longer readable", readable(0), 0);
	is("FIONREAD: nothing", divert_nread(in), 0);
	first(v6, 1);
	is("complete: readable", readable(5000), 1);
	is("FIONREAD: the whole", divert_nread(in), len);
	is("after FIONREAD: readable", readable(0), 1);
	n = divert_recv(in, b, sizeof(b), MSG_PEEK);
	check(same(b, n, v6, 1), "MSG_PEEK: the whole");
	is("after MSG_PEEK: readable", readable(0), 1);
	is("MSG_PEEK | MSG_TRUNC", divert_recv(in, b, 10, MSG_PEEK | MSG_TRUNC), len);
	memset(b, 0, sizeof(b));
	n = divert_recv(in, b, sizeof(b), MSG_DONTWAIT);
	check(same(b, n, v6, 1), "the whole");
	is("then no longer readable", readable(0), 0);
	fails_with("and nothing more", EAGAIN, divert_recv(in, b, sizeof(b), MSG_DONTWAIT));

	first(v6, 2);
	last(v6, 2);
	is("cut off where the buffer ends", divert_recv(in, b, 100, 0), 100);
	fails_with("the rest is lost", EAGAIN, divert_recv(in, b, sizeof(b), MSG_DONTWAIT));
}

static void test_info(int v6)
{
	const int on = 1, off = 0;
	char control[CMSG_SPACE(sizeof(struct divert_info))];
	struct divert_info info = {};
	uint8_t b[4000];
	struct iovec iov = {b, sizeof(b)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	must(!divert_setsockopt(in, SOL_DIVERT, DIVERT_INFO, &on, sizeof(on)), "DIVERT_INFO");
	for (int whole = 0; whole < 2; whole++) {
		if (whole) {
			first(v6, 3);
			last(v6, 3);
		} else {
			inject(v6, target(v6), 3, 0, 500, 0);
		}
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		divert_recvmsg(in, &msg, 0);
		if (msg.msg_controllen)
			memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(info));
		is("divert_info: flags", info.flags, whole ? DIVERT_INFO_REASSEMBLED : 0);
		is("divert_info: length", info.length, (whole ? BODY : 500) + (v6 ? 40 : 20));
	}
	divert_setsockopt(in, SOL_DIVERT, DIVERT_INFO, &off, sizeof(off));
}

static void *complete_it(void *v6)
{
	inject(!!v6, target(!!v6), 4, CUT, 80, 1);
	usleep(20000);
	inject(!!v6, target(!!v6), 4, CUT + 80, BODY - CUT - 80, 0);
	return NULL;
}

static void test_waiting(int v6)
{
	const struct timeval some = {.tv_usec = 200000}, none = {};
	pthread_t thread;
	uint8_t b[4000];
	ssize_t n;

	first(v6, 4);
	must(!pthread_create(&thread, NULL, complete_it, v6 ? &thread : NULL), "thread");
	n = divert_recv(in, b, sizeof(b), 0);
	pthread_join(thread, NULL);
	check(same(b, n, v6, 4), "a receive waits till it is whole");

	must(!divert_setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &some, sizeof(some)), "SO_RCVTIMEO");
	first(v6, 5);
	fails_with("it waits no longer than SO_RCVTIMEO", EAGAIN, divert_recv(in, b, sizeof(b), 0));
	divert_setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	last(v6, 5);
	n = divert_recv(in, b, sizeof(b), 0);
	check(same(b, n, v6, 5), "and gets it afterwards");
}

static int option(int value)
{
	socklen_t len = sizeof(value);

	if (value >= 0)
		must(!divert_setsockopt(in, SOL_DIVERT, DIVERT_REASSEMBLE, &value, len), "set");
	must(!divert_getsockopt(in, SOL_DIVERT, DIVERT_REASSEMBLE, &value, &len), "get");
	return value;
}

static void test_off(int v6)
{
	const int head = v6 ? 48 : 20;
	uint8_t b[4000], as_sent[4000];
	ssize_t n;

	is("on by default", option(-1), 1);
	first(v6, 6);
	fails_with("one fragment", EAGAIN, divert_recv(in, b, sizeof(b), MSG_DONTWAIT));
	is("switched off", option(0), 0);
	last(v6, 6);
	n = divert_recv(in, b, sizeof(b), 0);
	check(same(b, n, v6, 6), "what had begun is put together");
	last(v6, 7);
	first(v6, 7);
	n = divert_recv(in, b, sizeof(b), 0);
	is("off: the last one, as it came", n, head + BODY - CUT);
	make(as_sent, v6, target(v6), 7, CUT, BODY - CUT, 0);
	check(!memcmp(b, as_sent, n), "bit for bit");
	n = divert_recv(in, b, sizeof(b), 0);
	is("off: the first one, as it came", n, head + CUT);
	make(as_sent, v6, target(v6), 7, 0, CUT, 1);
	check(!memcmp(b, as_sent, n), "bit for bit");
	is("switched on", option(1), 1);
}

/* "Don't fragment" on the fragments themselves: on 1 and 2 of the three. */
static void test_flag(void)
{
	uint8_t b[4000];
	ssize_t n;

	inject(0, target(0), 8, 0, CUT, 3);
	inject(0, target(0), 8, CUT, BODY - CUT, 2);
	n = divert_recv(in, b, sizeof(b), 0);
	check(same(b, n, 0, 8), "fragments with DF: whole, and without it");
	inet_pton(AF_INET, "10.2.0.1", b + 16);
	sum4(b);
	is("fragments with DF: written out, cut", divert_send(in, b, n, 0), n);
}

static void test_tee(int tee)
{
	uint8_t b[4000];

	inject(0, "10.9.1.2", 1, CUT, BODY - CUT, 0);
	inject(0, "10.9.1.2", 1, 0, CUT, 1);
	is("tee: as it came", divert_recv(tee, b, sizeof(b), 0), 20 + BODY - CUT);
	is("tee: as it came, too", divert_recv(tee, b, sizeof(b), 0), 20 + CUT);
}

static void test_sending(void)
{
	uint8_t b[4000];
	int len = make(b, 0, "10.2.0.1", 77, 0, BODY, 0);

	is("IPv4 above the MTU: cut", divert_send(in, b, len, 0), len);
	b[6] |= 0x40;
	sum4(b);
	fails_with("with DF", EMSGSIZE, divert_send(in, b, len, 0));
	option(0);
	fails_with("off: with DF", EMSGSIZE, divert_send(in, b, len, 0));
	b[6] &= ~0x40;
	sum4(b);
	fails_with("off: without", EMSGSIZE, divert_send(in, b, len, 0));
	len = make(b, 1, "fd02::1", 77, 0, BODY, 0);
	fails_with("off: IPv6", EMSGSIZE, divert_send(in, b, len, 0));
	option(1);
	is("IPv6 above the MTU: cut", divert_send(in, b, len, 0), len);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = address4("0.0.0.0", atoi(argv[1]));
	int tee;

	(void)argc;
	interface = argv[3];
	in = divert_socket(AF_INET, 0);
	tee = divert_socket(AF_INET, 0);
	out = divert_socket(AF_INET, 0);
	must(in >= 0 && tee >= 0 && out >= 0, "divert_socket");
	must(!divert_bind(in, (struct sockaddr *)&at, sizeof(at)), "bind");
	at.sin_port = htons(atoi(argv[2]));
	must(!divert_bind(tee, (struct sockaddr *)&at, sizeof(at)), "bind");
	for (int v6 = 0; v6 < 2; v6++) {
		test_calls(v6);
		test_info(v6);
		test_waiting(v6);
		test_off(v6);
	}
	test_flag();
	test_tee(tee);
	test_sending();
	puts("done");
	return check_failed;
}
