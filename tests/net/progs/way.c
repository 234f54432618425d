// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sends N datagrams: way N ADDRESS PORT [OPTION=VALUE...]
 *
 *	device=IF priority=N mark=N uid=N gid=N source=ADDRESS
 *	owners=N		N more datagrams, each of another user, from 100000 on
 *	flood=SECONDS		sends for that long, at 20 Mbit/s
 *	sport=N[-N]		sends from each of these ports
 *	txtime=CLOCK:MS		each datagram should leave MS later, by that clock
 *
 * Or sends an IPv4 frame with given link addresses:
 * way frame IF DESTINATION SOURCE IP-SOURCE IP-DESTINATION PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/net_tstamp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DEVICE, PRIORITY, MARK, UID, GID, SOURCE, OWNERS, FLOOD, SPORT, TXTIME, OPTIONS };
static const char *const names[OPTIONS] = {"device", "priority", "mark",  "uid",   "gid",
					   "source", "owners",	 "flood", "sport", "txtime"};
static const char *option[OPTIONS];

/* An option's number, or 0. */
static long number(int which)
{
	return option[which] ? strtol(option[which], NULL, 0) : 0;
}

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
};

static struct address address(const char *host, int family, int port)
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = SOCK_DGRAM,
				 .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
	struct addrinfo *found;
	struct address address;
	char service[16];
	int rc;

	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(host, service, &hints, &found);
	if (rc)
		errx(1, "%s: %s", host, gai_strerror(rc));
	memcpy(&address.addr, found->ai_addr, found->ai_addrlen);
	address.len = found->ai_addrlen;
	freeaddrinfo(found);
	return address;
}

static void set(int sock, int name, const void *value, socklen_t size)
{
	if (setsockopt(sock, SOL_SOCKET, name, value, size) < 0)
		err(1, "setsockopt %d", name);
}

static void set_int(int sock, int name, int value)
{
	set(sock, name, &value, sizeof(value));
}

static int new_socket(int family)
{
	int sock = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		err(1, "socket");
	return sock;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* One datagram; with txtime= it has a time to leave at. */
static ssize_t send_one(int sock, const struct address *to)
{
	static char text[1000];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(uint64_t))];
	} control = {
		.head =
			{
				.cmsg_len = CMSG_LEN(sizeof(uint64_t)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_TXTIME,
			},
	};
	struct iovec iov = {.iov_base = text, .iov_len = option[FLOOD] ? 1000 : 10};
	struct msghdr msg = {.msg_name = (void *)&to->addr,
			     .msg_namelen = to->len,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	struct timespec t;
	uint64_t leave;

	memset(text, 'x', sizeof(text));
	if (option[TXTIME]) {
		clock_gettime(number(TXTIME), &t);
		leave = t.tv_sec * 1000000000ULL + t.tv_nsec;
		leave += atol(strchr(option[TXTIME], ':') + 1) * 1000000;
		memcpy(CMSG_DATA(&control.head), &leave, sizeof(leave));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return sendmsg(sock, &msg, 0);
}

/* The user who makes a socket owns it: $sock with its options, or another one for uid= and gid=. */
static int owned_socket(int sock, int family)
{
	if (option[GID] && setgid(number(GID)) < 0)
		err(1, "setgid");
	if (option[UID] && setuid(number(UID)) < 0)
		err(1, "setuid");
	return option[UID] || option[GID] ? new_socket(family) : sock;
}

static void send_from(int sport, long count, const char *host, int port)
{
	int family = strchr(host, ':') ? AF_INET6 : AF_INET;
	struct address to = address(host, family, port), from;
	int sock = new_socket(family), owned;
	struct sock_txtime txtime = {.clockid = number(TXTIME)};
	double end = now() + (option[FLOOD] ? atof(option[FLOOD]) : 0);

	if (option[DEVICE])
		set(sock, SO_BINDTODEVICE, option[DEVICE], strlen(option[DEVICE]));
	if (option[PRIORITY])
		set_int(sock, SO_PRIORITY, number(PRIORITY));
	if (option[MARK])
		set_int(sock, SO_MARK, number(MARK));
	owned = owned_socket(sock, family);
	if (option[SOURCE] || sport) {
		from = address(option[SOURCE], family, sport);
		if (bind(owned, (struct sockaddr *)&from.addr, from.len) < 0)
			err(1, "bind");
	}
	if (!strcmp(host, "255.255.255.255"))
		set_int(owned, SO_BROADCAST, 1);
	if (option[TXTIME])
		set(owned, SO_TXTIME, &txtime, sizeof(txtime));
	for (long sent = 0; sent < count || (option[FLOOD] && now() < end); sent++) {
		if (send_one(owned, &to) < 0 && !option[FLOOD])
			err(1, "%s", host);
		if (option[FLOOD])
			usleep(400);
	}
	for (long n = 0; n < number(OWNERS); n++) {
		if (seteuid(100000 + n) < 0)
			err(1, "seteuid");
		owned = new_socket(family);
		if (send_one(owned, &to) < 0)
			err(1, "%s", host);
		close(owned);
		if (seteuid(0) < 0)
			err(1, "seteuid");
	}
	close(sock);
}

static uint16_t checksum(const void *data, size_t size)
{
	const uint16_t *word = data;
	uint32_t total = 0;

	for (size_t i = 0; i < size / 2; i++)
		total += word[i];
	while (total >> 16)
		total = (total & 0xFFFF) + (total >> 16);
	return ~total;
}

static void send_frame(char **word)
{
	struct {
		struct ether_header link;
		struct iphdr ip;
		struct udphdr udp;
		char text[10];
	} __attribute__((packed)) frame = {
		.link.ether_type = htons(ETHERTYPE_IP),
		.ip = {.ihl = 5, .version = 4, .id = htons(1), .ttl = 64, .protocol = IPPROTO_UDP},
		.udp.source = htons(9),
	};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(word[0])};
	struct iphdr ip;
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (!ether_aton_r(word[1], (struct ether_addr *)frame.link.ether_dhost) ||
	    !ether_aton_r(word[2], (struct ether_addr *)frame.link.ether_shost))
		errx(2, "%s, %s: no link addresses", word[1], word[2]);
	memset(frame.text, 'x', sizeof(frame.text));
	frame.udp.dest = htons(atoi(word[5]));
	frame.udp.len = htons(sizeof(frame.udp) + sizeof(frame.text));
	ip = frame.ip;
	ip.saddr = inet_addr(word[3]);
	ip.daddr = inet_addr(word[4]);
	ip.tot_len = htons(sizeof(ip) + sizeof(frame.udp) + sizeof(frame.text));
	ip.check = checksum(&ip, sizeof(ip));
	frame.ip = ip;
	if (sock < 0 ||
	    sendto(sock, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "%s", word[0]);
}

static void read_option(const char *word)
{
	size_t length = strcspn(word, "=");

	for (int i = 0; i < OPTIONS; i++)
		if (word[length] && strlen(names[i]) == length &&
		    !strncmp(word, names[i], length)) {
			option[i] = word[length + 1] ? word + length + 1 : NULL;
			return;
		}
	errx(2, "%s: no such option", word);
}

int main(int argc, char **argv)
{
	long first, last;
	char *dash;

	if (argc == 8 && !strcmp(argv[1], "frame")) {
		send_frame(argv + 2);
		return 0;
	}
	if (argc < 4)
		errx(2, "way N ADDRESS PORT [OPTION=VALUE...]");
	for (int i = 4; i < argc; i++)
		read_option(argv[i]);
	first = last = number(SPORT);
	if (option[SPORT] && (dash = strchr(option[SPORT], '-')))
		last = atol(dash + 1);
	for (; first <= last; first++)
		send_from(first, atol(argv[1]), argv[2], atoi(argv[3]));
	return 0;
}
