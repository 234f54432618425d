// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "interceptor.h"

static unsigned int get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* ":12" stands for an interface with a name too long for the address. */
static const char *interface_of(const struct sockaddr_in *from, char *room)
{
	char zero[sizeof(from->sin_zero) + 1] = {};

	memcpy(zero, from->sin_zero, sizeof(from->sin_zero));
	if (zero[0] == ':' && if_indextoname(strtoul(zero + 1, NULL, 10), room))
		return room;
	return zero[0] ? strcpy(room, zero) : "-";
}

static void print_proto(FILE *to, uint8_t proto)
{
	/* names as in tcpdump; the protocol database may be missing */
	switch (proto) {
	case IPPROTO_TCP:
		fputs("TCP", to);
		break;
	case IPPROTO_UDP:
		fputs("UDP", to);
		break;
	case IPPROTO_ICMP:
		fputs("ICMP", to);
		break;
	case IPPROTO_ICMPV6:
		fputs("ICMP6", to);
		break;
	default:
		fprintf(to, "proto %u", proto);
	}
}

static void print_tcp(FILE *to, const uint8_t *tcp, size_t len)
{
	static const char flag[] = "FSRP.UEW";
	int i;

	if (len < 20)
		return;
	fputs(" [", to);
	for (i = 0; i < 8; i++)
		if (tcp[13] & 1 << i)
			fputc(flag[i], to);
	fputc(']', to);
}

static void print_icmp(FILE *to, uint8_t proto, const uint8_t *icmp, size_t len)
{
	int request = proto == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	int reply = proto == IPPROTO_ICMP ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;

	if (len >= 8 && (icmp[0] == request || icmp[0] == reply))
		fprintf(to, " echo %s, id %u, seq %u", icmp[0] == request ? "request" : "reply",
			get16(icmp + 4), get16(icmp + 6));
	else if (len >= 2)
		fprintf(to, " type %u, code %u", icmp[0], icmp[1]);
}

static void print_ends(FILE *to, int family, const uint8_t *src, const uint8_t *dst,
		       const uint8_t *ports)
{
	char text[INET6_ADDRSTRLEN];

	fputs(inet_ntop(family, src, text, sizeof(text)), to);
	if (ports)
		fprintf(to, ".%u", get16(ports));
	fprintf(to, " > %s", inet_ntop(family, dst, text, sizeof(text)));
	if (ports)
		fprintf(to, ".%u", get16(ports + 2));
	fputs(": ", to);
}

/* at: offset behind the IP headers. fragment: not the first one. */
static void print_packet(FILE *to, const uint8_t *packet, size_t len, uint8_t proto, size_t at,
			 int fragment)
{
	int v6 = packet[0] >> 4 == 6;
	const uint8_t *inner = packet + at;
	size_t rest = len > at ? len - at : 0;
	int ports = !fragment && rest >= 4 && (proto == IPPROTO_TCP || proto == IPPROTO_UDP);

	fputs(v6 ? "IP6 " : "IP ", to);
	print_ends(to, v6 ? AF_INET6 : AF_INET, packet + (v6 ? 8 : 12), packet + (v6 ? 24 : 16),
		   ports ? inner : NULL);
	print_proto(to, proto);
	if (fragment)
		fputs(" fragment", to);
	else if (proto == IPPROTO_TCP)
		print_tcp(to, inner, rest);
	else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		print_icmp(to, proto, inner, rest);
}

void print_line(FILE *to, const struct sockaddr_in *from, const uint8_t *packet, size_t len)
{
	char name[IF_NAMESIZE];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	fprintf(to, "%02d:%02d:%02d.%06ld %-3s %s rule %u ", tm.tm_hour, tm.tm_min, tm.tm_sec,
		now.tv_nsec / 1000, from->sin_addr.s_addr ? "in" : "out", interface_of(from, name),
		from->sin_port);
	if (len >= 20 && packet[0] >> 4 == 4)
		print_packet(to, packet, len, packet[9], (packet[0] & 15) * 4,
			     get16(packet + 6) & 0x1fff);
	else if (len >= 40 && packet[0] >> 4 == 6)
		print_packet(to, packet, len, packet[6], 40, 0);
	else
		fputs("no IP packet", to);
	fprintf(to, ", length %zu\n", len);
}

void print_hex(FILE *to, const uint8_t *packet, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		fprintf(to, "%02x%c", packet[i], (i + 1) % 16 && i + 1 < len ? ' ' : '\n');
}
