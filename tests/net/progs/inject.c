/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program for tests that makes packets. A socket that is never bound sends one packet,
 * given by options or as hex on stdin. It uses plain sockets; divert-run, or linking, makes them
 * divert sockets.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX 70000

static const char usage_text[] =
	"usage: inject [options]        (the packet as hex on stdin)\n"
	"       inject [options] -4 SRC DST | -6 SRC DST\n"
	"       inject -b      (by one socket: the options of each packet on a line of stdin)\n"
	"the packet: UDP, or with -i ICMP echo request; its checksums are right\n"
	"  -p PORT   destination port (9); -s PORT: source port (4000); with -i: sequence and id\n"
	"  -l BYTES  payload (16): abcdefgh...; up to 65507, with -6 up to 65527\n"
	"  -i        ICMP echo request, ICMPv6 with -6\n"
	"  -T TTL    (64)\n"
	"  -F        IPv4: set DF\n"
	"  -C        IPv4: make the header checksum wrong\n"
	"where it goes: outbound, to the zero address, but\n"
	"  -N        outbound with no address (sendto with NULL)\n"
	"  -I NAME   inbound on that interface: NAME in sin_zero, or :INDEX if it does not fit\n"
	"  -a ADDR   inbound on the interface that has the IPv4 address (with -f: IPv6)\n"
	"  -t TAG    rules up to this number are behind it (0)\n"
	"the socket\n"
	"  -f        of AF_INET6 (-I then gives sin6_scope_id)\n"
	"  -P PROTO  protocol number: 258 (default) or 254\n"
	"  -n COUNT  send it that often (1)\n"
	"Prints `ok LENGTH`, status 0, or the name of the errno at the first failure, status 1.\n";

struct options {
	int version; /* 4 or 6; 0: from stdin */
	const char *src, *dst, *ifname, *addr;
	bool icmp, df, bad_sum, null, v6_socket;
	long dport, sport, payload, ttl, tag, protocol, count;
};

static const struct options defaults =
	{.dport = 9, .sport = 4000, .payload = 16, .ttl = 64, .protocol = 258, .count = 1};

static struct options opt;

static uint8_t packet[PACKET_MAX];

static void bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "inject: %s: %s\n", value, what);
	exit(2);
}

static long number(const char *s, long min, long max)
{
	char *end;
	long n = strtol(s, &end, 0);

	if (end == s || *end || n < min || n > max)
		bad_usage("not a number in its range", s);
	return n;
}

static void parse(int argc, char **argv)
{
	int c;

	opt = defaults;
	optind = 0; /* parse again from the start */
	while ((c = getopt(argc, argv, "4:6:p:s:l:iT:FCNI:a:t:fP:n:h")) != -1) {
		switch (c) {
		case '4':
		case '6':
			opt.version = c - '0';
			opt.src = optarg;
			if (optind >= argc)
				bad_usage("a destination must follow", optarg);
			opt.dst = argv[optind++];
			break;
		case 'p':
			opt.dport = number(optarg, 0, 65535);
			break;
		case 's':
			opt.sport = number(optarg, 0, 65535);
			break;
		case 'l':
			opt.payload = number(optarg, 0, 65535 - 8);
			break;
		case 'i':
			opt.icmp = true;
			break;
		case 'T':
			opt.ttl = number(optarg, 0, 255);
			break;
		case 'F':
			opt.df = true;
			break;
		case 'C':
			opt.bad_sum = true;
			break;
		case 'N':
			opt.null = true;
			break;
		case 'I':
			opt.ifname = optarg;
			break;
		case 'a':
			opt.addr = optarg;
			break;
		case 't':
			opt.tag = number(optarg, 0, 65535);
			break;
		case 'f':
			opt.v6_socket = true;
			break;
		case 'P':
			opt.protocol = number(optarg, 0, 1000);
			break;
		case 'n':
			opt.count = number(optarg, 1, 1L << 40);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind != argc) {
		fputs(usage_text, stderr);
		exit(2);
	}
	if (opt.version == 4 && opt.payload > 65535 - 28)
		bad_usage("more than IPv4 can hold", "-l");
}

/* The sum of the 16-bit words in network order. An odd last byte counts as if a 0 followed. */
static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put_address(int family, const char *text, uint8_t *p)
{
	if (inet_pton(family, text, p) != 1)
		bad_usage("not an address of this family", text);
}

/* Builds UDP or an ICMP echo at p; the checksum covers the addresses, too. Returns the length. */
static size_t build_transport(uint8_t *p, uint8_t proto, const uint8_t *addresses, size_t addrlen)
{
	const size_t len = 8 + (size_t)opt.payload;
	uint32_t sum = 0;
	uint16_t check;

	for (long i = 0; i < opt.payload; i++)
		p[8 + i] = (uint8_t)('a' + i % 26);
	if (proto == IPPROTO_UDP) {
		put16(p, (unsigned int)opt.sport);
		put16(p + 2, (unsigned int)opt.dport);
		put16(p + 4, (unsigned int)len);
	} else {
		p[0] = proto == IPPROTO_ICMPV6 ? 128 : 8;
		put16(p + 4, (unsigned int)opt.sport);
		put16(p + 6, (unsigned int)opt.dport);
	}
	if (proto != IPPROTO_ICMP)
		sum = sum16(addresses, addrlen, proto + (uint32_t)len);
	check = fold(sum16(p, len, sum));
	if (proto == IPPROTO_UDP)
		put16(p + 6, check ? check : 0xffff);
	else
		put16(p + 2, check);
	return len;
}

static size_t build4(uint8_t *p)
{
	size_t len;

	p[0] = 0x45;
	put16(p + 4, 0x1234);
	p[6] = opt.df ? 0x40 : 0;
	p[8] = (uint8_t)opt.ttl;
	p[9] = opt.icmp ? IPPROTO_ICMP : IPPROTO_UDP;
	put_address(AF_INET, opt.src, p + 12);
	put_address(AF_INET, opt.dst, p + 16);
	len = 20 + build_transport(p + 20, p[9], p + 12, 8);
	put16(p + 2, (unsigned int)len);
	put16(p + 10, fold(sum16(p, 20, 0)) ^ (opt.bad_sum ? 0x5555 : 0));
	return len;
}

static size_t build6(uint8_t *p)
{
	size_t len;

	p[0] = 0x60;
	p[6] = opt.icmp ? IPPROTO_ICMPV6 : IPPROTO_UDP;
	p[7] = (uint8_t)opt.ttl;
	put_address(AF_INET6, opt.src, p + 8);
	put_address(AF_INET6, opt.dst, p + 24);
	len = build_transport(p + 40, p[6], p + 8, 32);
	put16(p + 4, (unsigned int)len);
	return 40 + len;
}

/* Blanks between the digits are ignored. */
static size_t read_hex(uint8_t *p)
{
	size_t digits = 0;
	int c;

	while ((c = getchar()) != EOF) {
		if (isspace(c))
			continue;
		if (!isxdigit(c) || digits >= 2 * PACKET_MAX) {
			fprintf(stderr, "inject: stdin: not hex, or too long, at digit %zu\n",
				digits);
			exit(2);
		}
		c = isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
		p[digits / 2] = (uint8_t)(p[digits / 2] << 4 | c);
		digits++;
	}
	if (digits % 2) {
		fputs("inject: stdin: half a byte at the end\n", stderr);
		exit(2);
	}
	return digits / 2;
}

static void destination4(struct sockaddr_in *to)
{
	to->sin_family = AF_INET;
	to->sin_port = (in_port_t)opt.tag; /* host order: divert(4) */
	if (opt.addr)
		put_address(AF_INET, opt.addr, (uint8_t *)&to->sin_addr);
	else if (opt.ifname) /* anything but zero means inbound */
		to->sin_addr.s_addr = htonl(INADDR_BROADCAST);
	if (opt.ifname && strlen(opt.ifname) < sizeof(to->sin_zero))
		strcpy((char *)to->sin_zero, opt.ifname);
	else if (opt.ifname)
		snprintf((char *)to->sin_zero, sizeof(to->sin_zero), ":%u",
			 if_nametoindex(opt.ifname) % 1000000);
}

static void destination6(struct sockaddr_in6 *to)
{
	to->sin6_family = AF_INET6;
	to->sin6_port = (in_port_t)opt.tag;
	if (opt.addr)
		put_address(AF_INET6, opt.addr, (uint8_t *)&to->sin6_addr);
	else if (opt.ifname)
		memset(&to->sin6_addr, 0xff, sizeof(to->sin6_addr));
	if (opt.ifname)
		to->sin6_scope_id = if_nametoindex(opt.ifname);
}

static int report_errno(void)
{
	const char *name = strerrorname_np(errno);

	if (name)
		puts(name);
	else
		printf("%d\n", errno);
	return 1;
}

static int open_socket(void)
{
	return socket(opt.v6_socket ? AF_INET6 : AF_INET, SOCK_RAW, (int)opt.protocol);
}

/* Send the packets of the options by this socket. */
static int send_packets(int fd)
{
	struct sockaddr_in to4 = {0};
	struct sockaddr_in6 to6 = {0};
	const struct sockaddr *to;
	socklen_t tolen;
	ssize_t n = 0;
	size_t len;

	memset(packet, 0, 64); /* clears the headers of the last one */
	len = opt.version == 4	 ? build4(packet)
	      : opt.version == 6 ? build6(packet)
				 : read_hex(packet);
	if (opt.v6_socket) {
		destination6(&to6);
		to = (const struct sockaddr *)&to6;
		tolen = sizeof(to6);
	} else {
		destination4(&to4);
		to = (const struct sockaddr *)&to4;
		tolen = sizeof(to4);
	}
	if (opt.null) {
		to = NULL;
		tolen = 0;
	}

	for (long i = 0; i < opt.count; i++) {
		n = sendto(fd, packet, len, 0, to, tolen);
		if (n < 0)
			return report_errno();
		if (n != (ssize_t)len) {
			printf("short %zd\n", n);
			return 1;
		}
	}
	printf("ok %zd\n", n);
	return 0;
}

static int send_lines(void)
{
	char line[256], *word[32] = {"inject"};
	int fd = open_socket(), words;

	if (fd < 0)
		return report_errno();
	setlinebuf(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		words = 1;
		for (char *w = strtok(line, " \n"); w && words < 31; w = strtok(NULL, " \n"))
			word[words++] = w;
		word[words] = NULL;
		parse(words, word);
		send_packets(fd);
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	int fd, rc;

	opt = defaults;
	if (argc == 2 && !strcmp(argv[1], "-b"))
		return send_lines();
	parse(argc, argv);
	fd = open_socket();
	if (fd < 0)
		return report_errno();
	rc = send_packets(fd);
	close(fd);
	return rc;
}
