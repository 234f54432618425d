/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks every refusal of sendto and bind: refuse PORT. It needs this network:
 *	10.1.0.1, fd01::1 and 10.2.0.1 are neighbours, the first on r0, with an MTU of 1500;
 *	198.51.100.1 and 2001:db8:100::1 have no route; those of 101 are unreachable, of 102
 *	prohibited, of 103 blackholes;
 *	d0, with 10.9.0.1, is down.
 * After each refusal it sends a packet to 10.1.0.1 port 3009, which must succeed. The last line
 * that it prints is the number of these. It uses plain sockets; divert-run makes them divert
 * sockets.
 */
#include "check.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <signal.h>
#include <sys/un.h>

static int divert, good_ones;
static uint8_t packet[70000];

static size_t make4(const char *dst, size_t len)
{
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .ttl = 64,
			   .protocol = IPPROTO_UDP,
			   .tot_len = htons((uint16_t)len),
			   .frag_off = htons(0x4000)};

	memset(packet, 0, sizeof(packet));
	inet_pton(AF_INET, "10.1.0.2", &ip.saddr);
	inet_pton(AF_INET, dst, &ip.daddr);
	memcpy(packet, &ip, sizeof(ip));
	packet[20] = 4000 >> 8;
	packet[21] = 4000 & 255;
	packet[22] = 3009 >> 8;
	packet[23] = 3009 & 255;
	packet[24] = (uint8_t)((len - 20) >> 8);
	packet[25] = (uint8_t)(len - 20);
	return len;
}

static size_t make6(const char *dst, size_t len)
{
	struct ip6_hdr ip = {.ip6_flow = htonl(6u << 28)};

	ip.ip6_hlim = 64;
	ip.ip6_nxt = 59;
	ip.ip6_plen = htons((uint16_t)(len - 40));
	memset(packet, 0, sizeof(packet));
	inet_pton(AF_INET6, "fd01::2", &ip.ip6_src);
	inet_pton(AF_INET6, dst, &ip.ip6_dst);
	memcpy(packet, &ip, sizeof(ip));
	return len;
}

static void checksum4(void)
{
	uint32_t sum = 0;

	packet[10] = packet[11] = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	packet[10] = (uint8_t)(sum >> 8);
	packet[11] = (uint8_t)sum;
}

static ssize_t send_to(const void *to, socklen_t tolen, size_t len)
{
	return sendto(divert, packet, len, 0, to, tolen);
}

static ssize_t out(size_t len)
{
	const struct sockaddr_in to = address4("0.0.0.0", 0);

	return send_to(&to, sizeof(to), len);
}

static ssize_t in(const char *name, const char *addr, size_t len)
{
	struct sockaddr_in to = address4(addr, 0);

	memcpy(to.sin_zero, name, strnlen(name, sizeof(to.sin_zero)));
	return send_to(&to, sizeof(to), len);
}

static void next_one(const char *after)
{
	size_t len = make4("10.1.0.1", 40);

	good_ones++;
	check(out(len) == (ssize_t)len, "%s: the next packet is sent", after);
}

#define REFUSED(what, error, call)                                                                 \
	do {                                                                                       \
		fails_with(what, error, call);                                                     \
		next_one(what);                                                                    \
	} while (0)

static void headers(void)
{
	make4("10.1.0.1", 40);
	REFUSED("nothing", EINVAL, out(0));
	make4("10.1.0.1", 20);
	REFUSED("19 bytes", EINVAL, out(19));
	make4("10.1.0.1", 40);
	packet[0] = 0x44;
	REFUSED("header length below 20", EINVAL, out(40));
	make4("10.1.0.1", 20);
	packet[0] = 0x46;
	REFUSED("header length above the data", EINVAL, out(20));
	make4("10.1.0.1", 40);
	packet[3] = 19;
	REFUSED("ip_len below the header", EINVAL, out(40));
	make4("10.1.0.1", 41);
	REFUSED("ip_len above the data", EINVAL, out(40));
	make4("10.1.0.2", 41);
	checksum4();
	REFUSED("ip_len above the data, inbound", EINVAL, in("r0", "10.1.0.2", 40));
	make4("10.1.0.1", 40);
	packet[0] = 0x55;
	REFUSED("version 5", EINVAL, out(40));
	make4("10.1.0.1", 40);
	packet[0] = 0x05;
	REFUSED("version 0", EINVAL, out(40));
	make6("fd01::1", 40);
	REFUSED("IPv6, 39 bytes", EINVAL, out(39));
	make6("fd01::1", 60);
	REFUSED("IPv6, payload length above the data", EINVAL, out(59));
}

static void addresses(void)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct sockaddr_in four = address4("0.0.0.0", 0);
	size_t len = make4("10.1.0.1", 40);

	REFUSED("an address of AF_INET6", EAFNOSUPPORT, send_to(&six, sizeof(six), len));
	make4("10.1.0.1", 40);
	REFUSED("an address of AF_UNIX", EAFNOSUPPORT, send_to(&local, sizeof(local), len));
	four.sin_family = AF_UNSPEC;
	make4("10.1.0.1", 40);
	REFUSED("an address of AF_UNSPEC", EAFNOSUPPORT, send_to(&four, sizeof(four), len));
	four.sin_family = AF_INET;
	make4("10.1.0.1", 40);
	REFUSED("an address too short", EINVAL, send_to(&four, 8, len));

	make4("10.1.0.2", 40);
	checksum4();
	REFUSED("inbound, no such name", EADDRNOTAVAIL, in("nosuch0", "10.1.0.9", len));
	make4("10.1.0.2", 40);
	checksum4();
	REFUSED("inbound, no such address", EADDRNOTAVAIL, in("", "203.0.113.9", len));
	make4("10.1.0.2", 40);
	checksum4();
	REFUSED("inbound, no such index", EADDRNOTAVAIL, in(":99999", "255.255.255.255", len));
	make4("10.1.0.2", 40);
	checksum4();
	REFUSED("inbound, interface down, by name", ENETDOWN, in("d0", "255.255.255.255", len));
	make4("10.1.0.2", 40);
	checksum4();
	REFUSED("inbound, interface down, by address", ENETDOWN, in("", "10.9.0.1", len));

	make4("10.1.0.2", 40);
	checksum4();
	is("a name without its NUL is garbage: by address", in("garbage!", "10.1.0.2", len), len);
}

static void sizes(void)
{
	int small = 1000, large = 65636;
	size_t len;

	make4("10.1.0.2", 65535);
	checksum4();
	REFUSED("65536 bytes, inbound", EMSGSIZE, in("r0", "10.1.0.2", 65536));
	make4("10.1.0.1", 65535);
	REFUSED("65536 bytes", EMSGSIZE, out(65536));
	make4("10.1.0.1", 65535);
	REFUSED("70000 bytes", EMSGSIZE, out(70000));
	len = make4("10.1.0.1", 1501);
	REFUSED("above the MTU, DF", EMSGSIZE, out(len));
	len = make4("10.1.0.1", 1500);
	good_ones++;
	is("as long as the MTU", out(len), len);
	is("SO_SNDBUF", setsockopt(divert, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	len = make4("10.1.0.1", 1001);
	REFUSED("above SO_SNDBUF", EMSGSIZE, out(len));
	setsockopt(divert, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
}

static void routes(void)
{
	REFUSED("no route", ENETUNREACH, out(make4("198.51.100.1", 40)));
	REFUSED("unreachable", EHOSTUNREACH, out(make4("198.51.101.1", 40)));
	REFUSED("prohibited", EACCES, out(make4("198.51.102.1", 40)));
	REFUSED("blackhole", EINVAL, out(make4("198.51.103.1", 40)));
	REFUSED("IPv6, no route", ENETUNREACH, out(make6("2001:db8:100::1", 60)));
	REFUSED("IPv6, unreachable", EHOSTUNREACH, out(make6("2001:db8:101::1", 60)));
	REFUSED("IPv6, prohibited", EACCES, out(make6("2001:db8:102::1", 60)));
	REFUSED("IPv6, blackhole", EINVAL, out(make6("2001:db8:103::1", 60)));
}

static void others(void)
{
	int on = 1;
	char byte;

	make4("10.1.0.1", 40);
	REFUSED("MSG_OOB", EOPNOTSUPP, sendto(divert, packet, 40, MSG_OOB, NULL, 0));
	fails_with("an option of TCP", ENOPROTOOPT,
		   setsockopt(divert, IPPROTO_TCP, 1, &on, sizeof(on)));
	fails_with("connect", EOPNOTSUPP, connect(divert, (void *)&on, sizeof(on)));
	fails_with("listen", EOPNOTSUPP, listen(divert, 1));
	fails_with("shutdown of neither", EINVAL, shutdown(divert, 7));
	fails_with("receive with MSG_OOB", EOPNOTSUPP, recv(divert, &byte, 1, MSG_OOB));
	fails_with("receive one with recvmmsg's flag", EOPNOTSUPP,
		   recv(divert, &byte, 1, MSG_WAITFORONE | MSG_DONTWAIT));
	fails_with("recvmmsg with MSG_OOB", EOPNOTSUPP, recvmmsg(divert, NULL, 1, MSG_OOB, NULL));
	signal(SIGPIPE, SIG_DFL);
	is("shutdown(SHUT_WR)", shutdown(divert, SHUT_WR), 0);
	make4("10.1.0.1", 40);
	fails_with("after shutdown(SHUT_WR)", EPIPE,
		   sendto(divert, packet, 40, MSG_NOSIGNAL, NULL, 0));
}

static int bind_to(int fd, int family, unsigned int port, socklen_t len)
{
	struct sockaddr_in addr = address4("192.0.2.77", port); /* no address of this host */

	memset(addr.sin_zero, 0x5a, sizeof(addr.sin_zero));
	addr.sin_family = (sa_family_t)family;
	return bind(fd, (const void *)&addr, len);
}

static unsigned int port_of(int fd)
{
	struct sockaddr_in name = {.sin_port = 0xffff};
	socklen_t len = sizeof(name);

	must(!getsockname(fd, (void *)&name, &len), "getsockname");
	return ntohs(name.sin_port);
}

static void binding(unsigned int port)
{
	const socklen_t len = sizeof(struct sockaddr_in);
	int one = socket(AF_INET, SOCK_RAW, 258), two = socket(AF_INET, SOCK_RAW, 258);

	is("an unbound socket's port", port_of(one), 0);
	fails_with("bind: AF_INET6", EAFNOSUPPORT, bind_to(one, AF_INET6, port, len));
	fails_with("bind: AF_UNIX", EAFNOSUPPORT, bind_to(one, AF_UNIX, port, len));
	fails_with("bind: too short", EINVAL, bind_to(one, AF_INET, port, len - 1));
	fails_with("bind: 8 bytes", EINVAL, bind_to(one, AF_INET, port, 8));
	fails_with("bind: no length", EINVAL, bind_to(one, AF_INET, port, 0));
	fails_with("bind: port 0", EINVAL, bind_to(one, AF_INET, 0, len));
	is("after all of these: not bound", port_of(one), 0);
	is("bind: garbage in sin_zero, an address not ours", bind_to(one, AF_INET, port, len), 0);
	is("bind: the port", port_of(one), port);
	fails_with("bind: the port is taken", EADDRINUSE, bind_to(two, AF_INET, port, len));
	is("bind: again to the same port", bind_to(one, AF_INET, port, len), 0);
	is("bind: to another port", bind_to(one, AF_INET, port + 1, len), 0);
	is("bind: the socket has moved", port_of(one), port + 1);
	is("bind: the old port is free", bind_to(two, AF_INET, port, len), 0);
	fails_with("bind: the new port is not", EADDRINUSE, bind_to(two, AF_INET, port + 1, len));
	is("bind: what failed changed nothing", port_of(two), port);
	close(one);
	is("bind: a closed socket's port is free", bind_to(two, AF_INET, port + 1, len), 0);
	close(two);
	one = socket(AF_INET, SOCK_RAW, 258);
	is("bind: port 1", bind_to(one, AF_INET, 1, len), 0);
	is("bind: port 65535", bind_to(one, AF_INET, 65535, len), 0);
	is("bind: the last port", port_of(one), 65535);
	close(one);
}

int main(int argc, char **argv)
{
	unsigned int port;

	if (argc != 2)
		return 2;
	port = (unsigned int)atoi(argv[1]);
	alarm(30);
	binding(port + 100);
	divert = socket(AF_INET, SOCK_RAW, 258);
	must(divert >= 0 && !bind_to(divert, AF_INET, port, sizeof(struct sockaddr_in)), "bind");
	headers();
	addresses();
	sizes();
	routes();
	others();
	printf("good %d\n", good_ones);
	return check_failed;
}
