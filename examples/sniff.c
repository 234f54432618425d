// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sniffer: a line for each packet that a tee rule sends a copy of. The packet itself has gone on
 * already, so nothing is written back.
 *
 *	ipfw add 100 tee 2000 ip from any to any
 *	sniff 2000
 *	in eth0 rule 100: 10.1.0.1 > 10.2.0.1 protocol 1, 84 bytes
 */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdio.h>

/* "source > destination protocol N" */
static void describe(const unsigned char *packet, size_t len, char *text, size_t size)
{
	char src[INET6_ADDRSTRLEN] = "?", dst[INET6_ADDRSTRLEN] = "?";
	struct ip6_hdr ip6;
	unsigned int proto = 0;
	struct ip ip;

	if (len >= sizeof(ip) && packet[0] >> 4 == 4) {
		memcpy(&ip, packet, sizeof(ip));
		inet_ntop(AF_INET, &ip.ip_src, src, sizeof(src));
		inet_ntop(AF_INET, &ip.ip_dst, dst, sizeof(dst));
		proto = ip.ip_p;
	} else if (len >= sizeof(ip6)) {
		memcpy(&ip6, packet, sizeof(ip6));
		inet_ntop(AF_INET6, &ip6.ip6_src, src, sizeof(src));
		inet_ntop(AF_INET6, &ip6.ip6_dst, dst, sizeof(dst));
		proto = ip6.ip6_nxt;
	}
	snprintf(text, size, "%s > %s protocol %u", src, dst, proto);
}

int main(int argc, char **argv)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in where;
	char text[128];
	size_t len;
	int fd;

	if (argc != 2)
		errx(2, "usage: sniff PORT");
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = divert_open();
	divert_bind_to(fd, argv[1]);
	for (;;) {
		len = receive(fd, packet, &where);
		describe(packet, len, text, sizeof(text));
		/* the address: 0 on the way out; the name: of the receiving interface, if any */
		printf("%s%s%.8s rule %u: %s, %zu bytes\n",
		       where.sin_addr.s_addr == INADDR_ANY ? "out" : "in",
		       where.sin_zero[0] ? " " : "", (const char *)where.sin_zero, where.sin_port,
		       text, len);
	}
}
