/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Uses all that sources for the BSDs include and take for granted. They compile with the flags of
 * libdivert-socket, without libbsd. Prints what is different here, and sa_len for BSD sources.
 */
#include <sys/cdefs.h>
__FBSDID("$FreeBSD$");

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <machine/in_cksum.h>
#include <net/if.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/pfvar.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip_divert.h>
#include <netinet/ip_fw.h>
#include <netinet/ip_icmp.h>
#include <netinet/ip_var.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/types.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			puts(#what);                                                               \
	} while (0)

/* FreeBSD's own divapp.c has a member of this name, so it must be no macro. */
struct context {
	struct sockaddr_in sin;
	socklen_t sin_len;
};

static void lengths(void)
{
	struct sockaddr_in a = {.sin_len = sizeof(a), .sin_family = AF_INET};
	struct sockaddr_in in_order = {AF_INET, 1, {INADDR_ANY}, {0}};
	struct sockaddr_in named = {.sin_zero = "r0"};
	struct sockaddr_in6 b = {AF_INET6, 0, 0, IN6ADDR_ANY_INIT, 0};
	struct context c = {.sin_len = sizeof(c.sin)};
	struct sockaddr_storage any;

	CHECK(a.sin_len == 16 && a.sin_family == AF_INET && !a.sin_port && !a.sin_addr.s_addr);
	CHECK(sizeof(a) == 16 && sizeof(b) == 28 && sizeof(any) == 128);
	CHECK(in_order.sin_port == 1 && !strcmp((char *)named.sin_zero, "r0"));
	b.sin6_len = sizeof(b);
	CHECK(b.sin6_len == 28 && IN6_IS_ADDR_UNSPECIFIED(&b.sin6_addr) && !b.sin6_port);
	memset(&any, 0, sizeof(any));
	any.ss_len = sizeof(a);
	memcpy(&any, &a, sizeof(a));
	CHECK(any.ss_len == 16 && any.ss_family == AF_INET);
	CHECK(c.sin_len == 16);
#ifdef sa_len
	{
		struct sockaddr *sa = (struct sockaddr *)&b;

		sa->sa_len = 7; /* this is stored nowhere */
		printf("sa_len %d %d\n", sa->sa_len, ((struct sockaddr *)&a)->sa_len);
		CHECK(b.sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&b.sin6_addr));
	}
#endif
}

static void strings(void)
{
	const char *error;
	char buf[6] = "";

	CHECK(strlcpy(buf, "hello, world", sizeof(buf)) == 12 && !strcmp(buf, "hello"));
	CHECK(strlcpy(buf, "ab", sizeof(buf)) == 2 && strlcat(buf, "cd", sizeof(buf)) == 4);
	CHECK(strlcat(buf, "efgh", sizeof(buf)) == 8 && !strcmp(buf, "abcde"));
	CHECK(strtonum("12", 0, 20, &error) == 12 && !error);
	CHECK(strtonum("-3", -5, 20, NULL) == -3);
	CHECK(strtonum("12x", 0, 20, &error) == 0 && !strcmp(error, "invalid") && errno == EINVAL);
	CHECK(strtonum("21", 0, 20, &error) == 0 && !strcmp(error, "too large") && errno == ERANGE);
	CHECK(strtonum("-1", 0, 20, &error) == 0 && !strcmp(error, "too small") && errno == ERANGE);
	CHECK(strtonum("99999999999999999999", 0, LLONG_MAX, &error) == 0 &&
	      !strcmp(error, "too large"));
}

static void sums(void)
{
	/* an example like RFC 1071's: a header whose sum is b861 */
	static const unsigned char header[20] = {0x45, 0, 0,   0x73, 0, 0, 0x40, 0,   0x40, 0x11,
						 0,    0, 192, 168,  0, 1, 192,	 168, 0,    199};
	struct ip ip;

	memcpy(&ip, header, sizeof(ip));
	CHECK(in_cksum_hdr(&ip) == htons(0xb861));
	ip.ip_sum = htons(0xb861);
	CHECK(in_cksum_hdr(&ip) == 0);
	ip.ip_ttl--;
	in_cksum_update(&ip);
	CHECK(in_cksum_hdr(&ip) == 0);
	CHECK(in_addword(0xffff, 2) == 2);
	CHECK(in_pseudo(0x00010000, 0x00020000, 3) == 6);
}

static void numbers(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	CHECK(IPFW_DEFAULT_RULE == 65535 && sizeof(struct ipovly) == 20);
	CHECK(PF_DIVERT_PACKET == 3 && sizeof(struct pf_divert_mtag) == 4);
	CHECK(AF_LINK == AF_PACKET && IFT_ETHER == 1 && SIOCGIFADDR && SIOCGIFMTU);
	/* Linux has no such options */
	CHECK(setsockopt(s, IPPROTO_IP, IP_RECVIF, &one, sizeof(one)) == -1 &&
	      errno == ENOPROTOOPT);
	CHECK(setsockopt(s, SOL_SOCKET, SO_SETFIB, &one, sizeof(one)) == -1 &&
	      errno == ENOPROTOOPT);
	close(s);
}

int main(void)
{
	lengths();
	strings();
	sums();
	numbers();
	return 0;
}
