// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rewrite: in UDP packets, the first FROM becomes TO, which may be longer or shorter. The lengths
 * and the checksums are put right; what is no UDP, or does not have it, goes on unchanged.
 *
 *	ipfw add 100 divert 2000 udp from any to any 514 in
 *	rewrite 2000 secret '[withheld]'
 *
 * In TCP this would not do: all later sequence numbers of the connection would have to change, too.
 */
#define _GNU_SOURCE /* memmem, on Linux */
#include "common.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

/* Where the UDP header is; 0: nowhere. */
static size_t find_udp(const unsigned char *packet, size_t len)
{
	struct ip6_hdr ip6;
	struct ip ip;

	if (len >= sizeof(ip) && packet[0] >> 4 == 4) {
		memcpy(&ip, packet, sizeof(ip));
		if (ip.ip_p != IPPROTO_UDP || ntohs(ip.ip_off) & (IP_MF | IP_OFFMASK) ||
		    len < ip.ip_hl * 4 + sizeof(struct udphdr))
			return 0;
		return ip.ip_hl * 4;
	}
	if (len < sizeof(ip6) + sizeof(struct udphdr) || packet[0] >> 4 != 6)
		return 0;
	memcpy(&ip6, packet, sizeof(ip6));
	return ip6.ip6_nxt == IPPROTO_UDP ? sizeof(ip6) : 0; /* extension headers: let it pass */
}

/* Every length and every checksum, for a packet of len bytes with its UDP header at `at`. */
static void put_right(unsigned char *packet, size_t at, size_t len)
{
	size_t udp_len = len - at;
	struct ip6_hdr ip6;
	struct udphdr udp;
	unsigned long sum;
	struct ip ip;

	memcpy(&udp, packet + at, sizeof(udp));
	udp.uh_ulen = htons((unsigned short)udp_len);
	udp.uh_sum = 0;
	memcpy(packet + at, &udp, sizeof(udp));
	sum = sum_of(packet + at, udp_len, IPPROTO_UDP + udp_len);
	if (packet[0] >> 4 == 4) {
		memcpy(&ip, packet, sizeof(ip));
		sum = sum_of(&ip.ip_src, 8, sum); /* both addresses */
		ip.ip_len = htons((unsigned short)len);
		ip.ip_sum = 0;
		memcpy(packet, &ip, sizeof(ip));
		ip.ip_sum = sum_end(sum_of(packet, at, 0));
		memcpy(packet, &ip, sizeof(ip));
	} else {
		memcpy(&ip6, packet, sizeof(ip6));
		sum = sum_of(&ip6.ip6_src, 32, sum);
		ip6.ip6_plen = htons((unsigned short)udp_len);
		memcpy(packet, &ip6, sizeof(ip6));
	}
	udp.uh_sum = sum_end(sum);
	if (!udp.uh_sum)
		udp.uh_sum = 0xffff; /* 0 would say that there is none */
	memcpy(packet + at, &udp, sizeof(udp));
}

/* The packet's new length. */
static size_t rewrite(unsigned char *packet, size_t len, const char *from, const char *to)
{
	size_t at = find_udp(packet, len), from_len = strlen(from), to_len = strlen(to);
	size_t payload = at + sizeof(struct udphdr);
	unsigned char *found;

	found = at ? memmem(packet + payload, len - payload, from, from_len) : NULL;
	if (!found || len - from_len + to_len > PACKET_MAX)
		return len;
	memmove(found + to_len, found + from_len, packet + len - found - from_len);
	memcpy(found, to, to_len);
	len = len - from_len + to_len;
	put_right(packet, at, len);
	return len;
}

int main(int argc, char **argv)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in where;
	size_t len;
	int fd;

	if (argc != 4 || !*argv[2])
		errx(2, "usage: rewrite PORT FROM TO");
	fd = divert_open();
	divert_bind_to(fd, argv[1]);
	for (;;) {
		len = receive(fd, packet, &where);
		len = rewrite(packet, len, argv[2], argv[3]);
		write_back(fd, packet, len, &where);
	}
}
