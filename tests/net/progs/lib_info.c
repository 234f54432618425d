/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks the control messages of sendmsg(2): lib_info PORT DPORT IF OWN NEIGHBOUR. A rule 100 must
 * divert UDP to DPORT, on its way out over lo, to PORT. OWN is an address of interface IF.
 */
#include "check.h"

#include <divert.h>
#include <dlfcn.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define HEADERS 28 /* of IPv4 and UDP */
#define RCVMARK 75 /* SO_RCVMARK */

static unsigned int port, dport;
static int divert, receiver;
static unsigned char packet[65535];
static struct sockaddr_in loopback;

/*
 * ---- a kernel that refuses: the library sends by syscall(3), and this program replaces that ----
 */

static int refuse_large;      /* refuse frames that the kernel should cut */
static int refused;	      /* how many were refused, also by the kernel itself */
static int refuse_after = -1; /* how many others are sent before one is refused; -1: all */

/*
 * 0: no packet socket; 1: a packet socket for frames as they are; 2: one for frames to be cut, too.
 */
static int frames_of(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, &len) ? 0 : 1 + on;
}

long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	long a[6], rc;
	va_list args;

	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_sendmsg && refuse_large && frames_of(a[0]) == 2) {
		refused++;
		errno = EINVAL;
		return -1;
	}
	if (number == SYS_sendto && !refuse_after && frames_of(a[0])) {
		errno = ENOBUFS;
		return -1;
	}
	rc = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_sendmsg && rc < 0 && errno == EINVAL)
		refused += frames_of(a[0]) == 2; /* Linux before 6.2 */
	if (number == SYS_sendto && rc >= 0 && refuse_after > 0 && frames_of(a[0]))
		refuse_after--;
	return rc;
}

/* Makes a UDP packet with that many bytes, from addr to addr. Returns its length. */
static size_t make(const char *from, const char *to, size_t bytes)
{
	const size_t len = HEADERS + bytes;
	unsigned int sum = 0, i;

	memset(packet, 0, sizeof(packet));
	memcpy(packet, "\x45\0\0\0\x12\x34\0\0\x40\x11", 10);
	packet[2] = len >> 8;
	packet[3] = len;
	inet_pton(AF_INET, from, packet + 12);
	inet_pton(AF_INET, to, packet + 16);
	for (i = 0; i < 20; i += 2)
		sum += packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	packet[10] = sum >> 8;
	packet[11] = sum;
	packet[20] = 0x0f;
	packet[21] = 0xa0;
	packet[22] = dport >> 8;
	packet[23] = dport;
	packet[24] = (bytes + 8) >> 8;
	packet[25] = bytes + 8;
	for (i = 0; i < bytes; i++)
		packet[HEADERS + i] = i >> 4;
	return len;
}

/* Writes one control message, whatever length it says. */
static size_t put(char *at, int level, int type, const void *data, size_t len, size_t said)
{
	const struct cmsghdr head = {.cmsg_len = said, .cmsg_level = level, .cmsg_type = type};

	memcpy(at, &head, sizeof(head));
	memcpy(at + CMSG_LEN(0), data, len);
	return CMSG_SPACE(len);
}

static ssize_t send_control(size_t len, const struct sockaddr_in *to, void *control, size_t used)
{
	struct iovec iov = {packet, len};
	struct msghdr msg = {
		.msg_name = (void *)to,
		.msg_namelen = to ? sizeof(*to) : 0,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = used,
	};

	return divert_sendmsg(divert, &msg, 0);
}

static ssize_t send_info(size_t len, const struct sockaddr_in *to, const struct divert_info *info)
{
	char room[256];
	size_t used =
		put(room, SOL_DIVERT, DIVERT_INFO, info, sizeof(*info), CMSG_LEN(sizeof(*info)));

	return send_control(len, to, room, used);
}

static int send_loan(size_t len, const struct divert_info *info)
{
	struct divert_loan loan = {.packet = packet, .info = *info};

	loan.info.length = len;
	return divert_send_loan(divert, &loan, 1, 0);
}

/* Returns the bytes that the receiver gets, and sets the interface and the mark. -1: nothing. */
static long arrives(unsigned int *ifindex, unsigned int *mark)
{
	char room[256], text[65535];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	long n = recvmsg(receiver, &msg, 0);
	struct in_pktinfo info;
	struct cmsghdr *c;

	*ifindex = *mark = 0;
	if (n < 0)
		return n;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*ifindex = info.ipi_ifindex;
		}
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_MARK)
			memcpy(mark, CMSG_DATA(c), sizeof(*mark));
	}
	return n;
}

static void open_all(void)
{
	struct sockaddr_in in = address4("0.0.0.0", port);
	struct timeval limit = {.tv_sec = 2};
	int on = 1;

	divert = divert_socket(AF_INET, SOCK_CLOEXEC);
	must(divert >= 0 && !divert_bind(divert, (void *)&in, sizeof(in)), "divert");
	receiver = socket(AF_INET, SOCK_DGRAM, 0);
	in = address4("0.0.0.0", dport);
	must(receiver >= 0 && !bind(receiver, (void *)&in, sizeof(in)) &&
		     !setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) &&
		     !setsockopt(receiver, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) &&
		     !setsockopt(receiver, SOL_SOCKET, RCVMARK, &on, sizeof(on)),
	     "the receiver");
	loopback = address4("127.0.0.1", 0);
	loopback.sin_port = 100;
}

/* ---- messages that say something ---- */

static void said(const char *name, const char *own, const char *neighbour)
{
	const unsigned int ifindex = if_nametoindex(name);
	struct divert_info info = {.flags = DIVERT_INFO_OUT, .rule = 100, .mark = 7, .uid = 55};
	unsigned int on, mark;
	char text[2000];
	size_t len = make("127.0.0.1", "127.0.0.1", 100);

	is("out, by the message alone", send_info(len, NULL, &info), len);
	is("out: it arrives", arrives(&on, &mark), 100);
	is("out: over lo", on, 1);
	is("out: with its mark", mark, 7);
	is("out, though the address says in", send_info(len, &loopback, &info), len);
	is("out: it arrives", arrives(&on, &mark), 100);
	info.rule = 0;
	is("rule 0", send_info(len, NULL, &info), len);
	is("rule 0: it is diverted", divert_recv(divert, text, sizeof(text), 0), len);
	info.mark = 0;
	info.rule = 100;
	is("no mark", send_info(len, NULL, &info), len);
	is("no mark: it arrives", arrives(&on, &mark), 100);
	is("no mark", mark, 0);

	len = make(neighbour, own, 50);
	info = (struct divert_info){.ifindex = ifindex, .mark = 9};
	is("in, though there is no address", send_info(len, NULL, &info), len);
	is("in: it arrives", arrives(&on, &mark), 50);
	is("in: on the interface that it says", on, ifindex);
	is("in: with its mark", mark, 9);
	info.ifindex = 0;
	fails_with("in, no interface", EADDRNOTAVAIL, send_info(len, &loopback, &info));
	info.ifindex = 99999;
	fails_with("in, an interface that is not there", EADDRNOTAVAIL,
		   send_info(len, &loopback, &info));
}

/* 4050 bytes of UDP go in segments of 1000. Returns how many segments arrive, as they should. */
static int segments(void)
{
	unsigned int on, mark;
	char rest[2000];
	int n = 0;

	while (n < 5 && arrives(&on, &mark) == (n < 4 ? 1000 : 50))
		n++;
	while (recv(receiver, rest, sizeof(rest), MSG_DONTWAIT) >= 0)
		n += 100;
	return n;
}

static void large(void)
{
	struct divert_info info = {.flags = DIVERT_INFO_OUT, .rule = 100, .gso_size = 1000};
	size_t len = make("127.0.0.1", "127.0.0.1", 4050);
	unsigned int on, mark;

	is("a large one of UDP", send_info(len, NULL, &info), len);
	is("it arrives as five", segments(), 5);
	info.gso_size = 4050; /* cut only if it says so: lo takes this size */
	is("of one segment", send_info(len, NULL, &info), len);
	is("it arrives as one", arrives(&on, &mark), 4050);

	info.gso_size = 1000;
	refuse_large = 1;
	is("a kernel that does not cut it", send_info(len, NULL, &info), len);
	is("a kernel that does not cut it: it was asked", refused, 1);
	is("a kernel that does not cut it: it arrives as five", segments(), 5);
	is("once more", send_info(len, NULL, &info), len);
	is("once more: the kernel was not asked again", refused, 1);
	is("once more: it arrives as five", segments(), 5);
	refuse_after = 2;
	is("the third segment is refused: how far it went", send_info(len, NULL, &info),
	   HEADERS + 2000);
	is("the third segment is refused: two arrive", arrives(&on, &mark) + arrives(&on, &mark),
	   2000);
	is("the third segment is refused: and no more", segments(), 0);
	refuse_after = 0;
	fails_with("the first one is refused", ENOBUFS, send_info(len, NULL, &info));
	is("the first one is refused: none arrives", segments(), 0);
	refuse_after = 1;
	fails_with("a loan, the second one is refused", EAGAIN, send_loan(len, &info));
	is("a loan, the second one is refused: one arrives", arrives(&on, &mark), 1000);
	is("a loan, the second one is refused: and no more", segments(), 0);
	refuse_after = -1;
}

static void multicast(const char *name, const char *own)
{
	struct divert_info info = {.flags = DIVERT_INFO_OUT, .rule = 100};
	struct ip_mreqn group = {.imr_ifindex = if_nametoindex(name)};
	size_t len = make(own, "224.0.0.77", 60);
	unsigned int on, mark;

	inet_pton(AF_INET, "224.0.0.77", &group.imr_multiaddr);
	must(!setsockopt(receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), "group");
	group.imr_ifindex = 1;
	must(!setsockopt(receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), "group");
	info.out_ifindex = 1;
	is("multicast over lo", send_info(len, NULL, &info), len);
	is("multicast over lo: it arrives", arrives(&on, &mark), 60);
	is("multicast over lo: there", on, 1);
	info.out_ifindex = if_nametoindex(name);
	is("multicast over the other", send_info(len, NULL, &info), len);
}

/* ---- wrong messages, and messages for others ---- */

static void wrong(void)
{
	const size_t len = make("127.0.0.1", "127.0.0.1", 10),
		     whole = CMSG_LEN(sizeof(struct divert_info));
	struct divert_info info = {.flags = DIVERT_INFO_OUT, .rule = 100};
	struct timeval time = {};
	unsigned int on, mark = 5;
	char room[512];
	size_t used;

	static const size_t said[] =
		{0, 1, CMSG_LEN(0) - 1, CMSG_LEN(0), CMSG_LEN(39), CMSG_LEN(41), SIZE_MAX};
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
		used = put(room, SOL_DIVERT, DIVERT_INFO, &info, sizeof(info), said[i]);
		fails_with("a wrong length", EINVAL, send_control(len, NULL, room, used));
	}
	put(room, SOL_DIVERT, DIVERT_INFO, &info, sizeof(info), whole);
	fails_with("less than it says", EINVAL, send_control(len, NULL, room, whole - 1));
	put(room, SOL_DIVERT, DIVERT_GSO, &info, sizeof(info), whole);
	fails_with("another type", EINVAL, send_control(len, NULL, room, whole));
	used = put(room, SOL_SOCKET, SO_MARK, &mark, 2, CMSG_LEN(2));
	fails_with("SO_MARK, a wrong length", EINVAL, send_control(len, NULL, room, used));
	info.rule = 65536;
	fails_with("a rule above 65535", EINVAL, send_info(len, NULL, &info));
	info.rule = 100;
	info.gso_size = 65536;
	fails_with("a segment above 65535", EINVAL, send_info(len, NULL, &info));
	info.gso_size = 0;
	info.flags = DIVERT_INFO_OUT | 0x80000000;
	fails_with("a flag that is none", EINVAL, send_info(len, NULL, &info));

	info.flags =
		DIVERT_INFO_OUT | DIVERT_INFO_FORWARDED | DIVERT_INFO_TEE | DIVERT_INFO_REASSEMBLED;
	used = put(room, SOL_SOCKET, SCM_TIMESTAMP, &time, sizeof(time), CMSG_LEN(sizeof(time)));
	used += put(room + used, SOL_SOCKET, SO_MARK, &mark, sizeof(mark), CMSG_LEN(sizeof(mark)));
	is("SO_MARK, and what is none of ours", send_control(len, NULL, room, used), len);
	is("it is diverted: no tag", divert_recv(divert, room, sizeof(room), 0), len);
	loopback.sin_addr.s_addr = 0;
	is("the same with the tag", send_control(len, &loopback, room, 0), len);
	is("arrives", arrives(&on, &mark), 10);
	mark = 5;
	used = put(room, SOL_SOCKET, SO_MARK, &mark, sizeof(mark), CMSG_LEN(sizeof(mark)));
	is("SO_MARK alone, last without padding",
	   send_control(len, &loopback, room, CMSG_LEN(sizeof(mark))), len);
	is("arrives", arrives(&on, &mark), 10);
	is("so marked", mark, 5);
	used += put(room + used, SOL_DIVERT, DIVERT_INFO, &info, sizeof(info), whole);
	info.mark = 6;
	put(room + CMSG_SPACE(sizeof(mark)), SOL_DIVERT, DIVERT_INFO, &info, sizeof(info), whole);
	is("both", send_control(len, NULL, room, used), len);
	is("arrives", arrives(&on, &mark), 10);
	is("DIVERT_INFO wins", mark, 6);
}

static void many(void)
{
	const size_t len = make("127.0.0.1", "127.0.0.1", 10);
	struct divert_info info = {.flags = DIVERT_INFO_OUT, .rule = 100};
	struct iovec iov = {packet, len};
	struct mmsghdr m[4] = {};
	unsigned int on, mark;
	char room[4][128];
	int i;

	for (i = 0; i < 4; i++) {
		info.rule = i == 2 ? 65536 : 100;
		m[i].msg_hdr.msg_iov = &iov;
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_control = room[i];
		m[i].msg_hdr.msg_controllen = put(room[i], SOL_DIVERT, DIVERT_INFO, &info,
						  sizeof(info), CMSG_LEN(sizeof(info)));
	}
	is("sendmmsg: up to the wrong one", divert_sendmmsg(divert, m, 4, 0), 2);
	is("sendmmsg: the first arrives", arrives(&on, &mark), 10);
	is("sendmmsg: and the second", arrives(&on, &mark), 10);
	fails_with("sendmmsg: the wrong one first", EINVAL, divert_sendmmsg(divert, m + 2, 2, 0));
}

/* ---- messages of recvmsg, given back ---- */

static void back(void)
{
	const struct sockaddr_in to = address4("127.0.0.1", dport);
	struct iovec iov = {packet, sizeof(packet)};
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned int ifindex, mark = 77;
	char room[512];
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	ssize_t n;

	must(!divert_setsockopt(divert, SOL_DIVERT, DIVERT_INFO, &on, sizeof(on)) &&
		     !divert_setsockopt(divert, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)) &&
		     !divert_setsockopt(divert, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)) &&
		     !setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)),
	     "options");
	must(sendto(fd, "hello", 5, 0, (const void *)&to, sizeof(to)) == 5, "sending");
	n = divert_recvmsg(divert, &msg, 0);
	is("recvmsg", n, HEADERS + 5);
	iov.iov_len = n;
	is("sendmsg of all that it gave", divert_sendmsg(divert, &msg, 0), n);
	is("arrives", arrives(&ifindex, &mark), 5);
	is("with its mark", mark, 77);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	port = atoi(argv[1]);
	dport = atoi(argv[2]);
	open_all();
	said(argv[3], argv[4], argv[5]);
	large();
	multicast(argv[3], argv[4]);
	wrong();
	many();
	back();
	return check_failed;
}
