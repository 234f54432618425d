// SPDX-License-Identifier: BSD-2-Clause
/*
 * Injector: a UDP packet over IPv4, from any source, that nobody has sent. The socket is not bound,
 * and no rule is needed.
 *
 *	inject 10.9.9.9 10.2.0.1 5000 hello		routed, as if this host had sent it
 *	inject 10.9.9.9 10.2.0.1 5000 hello eth0	as if it had come in on eth0
 */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

static struct in_addr address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		errx(2, "%s: not an IPv4 address", text);
	return a;
}

static size_t make(unsigned char *packet, struct in_addr src, struct in_addr dst,
		   unsigned short port, const char *text)
{
	size_t udp_len = sizeof(struct udphdr) + strlen(text);
	struct udphdr udp;
	struct ip ip;

	memset(&ip, 0, sizeof(ip));
	ip.ip_v = 4;
	ip.ip_hl = sizeof(ip) / 4;
	ip.ip_len = htons((unsigned short)(sizeof(ip) + udp_len));
	ip.ip_ttl = 64;
	ip.ip_p = IPPROTO_UDP;
	ip.ip_src = src;
	ip.ip_dst = dst;
	/* outbound the kernel computes it; inbound it has to be right */
	ip.ip_sum = sum_end(sum_of(&ip, sizeof(ip), 0));
	memset(&udp, 0, sizeof(udp));
	udp.uh_sport = udp.uh_dport = htons(port);
	udp.uh_ulen = htons((unsigned short)udp_len);
	/* no UDP checksum: IPv4 allows that */
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &udp, sizeof(udp));
	memcpy(packet + sizeof(ip) + sizeof(udp), text, strlen(text));
	return sizeof(ip) + udp_len;
}

int main(int argc, char **argv)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in where;
	size_t len;
	int fd;

	if (argc != 5 && argc != 6)
		errx(2, "usage: inject SOURCE DESTINATION PORT TEXT [INTERFACE]");
	memset(&where, 0, sizeof(where));
	where.sin_family = AF_INET;
	where.sin_port = 0; /* the tag: all rules are to see it */
	if (argc == 6) {
		/*
		 * any address but 0 says inbound; the name says where, and has room for 7 letters
		 */
		where.sin_addr.s_addr = INADDR_BROADCAST;
		if (strlen(argv[5]) >= sizeof(where.sin_zero))
			errx(2, "%s: too long a name; give its index, as ':12'", argv[5]);
		memcpy(where.sin_zero, argv[5], strlen(argv[5]));
	}
	if (strlen(argv[4]) > 1000)
		errx(2, "the text is too long");
	len = make(packet, address(argv[1]), address(argv[2]),
		   (unsigned short)number(argv[3], 65535), argv[4]);
	fd = divert_open();
	if (sendto(fd, packet, len, 0, (struct sockaddr *)&where, sizeof(where)) < 0)
		err(1, "sendto");
	return 0;
}
