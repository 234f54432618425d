/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what natd(8) does around its packets, with the same calls: bsd_natd -interface IF
 *
 * The port is that of the service natd, of the protocol divert. On SIGTERM it goes on for a while,
 * so that packets on their way are still translated: ualarm(3). That takes 1.2 seconds here, and
 * ten in natd.
 */
#include <sys/cdefs.h>
__FBSDID("$FreeBSD$");

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <ifaddrs.h>
#include <machine/in_cksum.h>
#include <net/if.h>
#include <net/if_dl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/types.h>
#include <sysexits.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* siginterrupt(3) */

#define DELAY 1200000 /* us */

static volatile sig_atomic_t running = 1;

static void shut_down(int sig)
{
	(void)sig;
	running = 0;
}

static void initiate_shutdown(int sig)
{
	(void)sig;
	signal(SIGALRM, shut_down);
	siginterrupt(SIGALRM, 1);
	ualarm(DELAY, 1000);
}

static void say_address(const char *name)
{
	struct ifaddrs *all, *i;

	if (getifaddrs(&all))
		err(EX_OSERR, "getifaddrs");
	for (i = all; i; i = i->ifa_next) {
		const struct sockaddr_dl *sdl = (const struct sockaddr_dl *)i->ifa_addr;

		if (!sdl || strcmp(i->ifa_name, name))
			continue;
		if (sdl->sdl_family == AF_LINK)
			printf("link of %d bytes, index %s\n", sdl->sdl_alen,
			       if_nametoindex(name) == (unsigned int)sdl->sdl_index ? "right"
										    : "wrong");
		if (i->ifa_addr->sa_family == AF_INET)
			printf("address %s\n",
			       inet_ntoa(((struct sockaddr_in *)i->ifa_addr)->sin_addr));
	}
	freeifaddrs(all);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_len = sizeof(addr), .sin_family = AF_INET};
	static char packet[IP_MAXPACKET];
	unsigned long packets = 0, wrong = 0;
	struct protoent *proto;
	struct servent *service;
	char name[IFNAMSIZ];
	socklen_t len;
	ssize_t n;
	int fd;

	if (argc != 3 || strcmp(argv[1], "-interface") ||
	    strlcpy(name, argv[2], sizeof(name)) >= sizeof(name))
		errx(EX_USAGE, "usage: bsd_natd -interface IF");
	service = getservbyname("natd", "divert");
	if (!service)
		errx(EX_UNAVAILABLE, "natd/divert: unknown service");
	proto = getprotobyname("divert");
	if (!proto)
		errx(EX_UNAVAILABLE, "divert: unknown protocol");
	fd = socket(PF_INET, SOCK_RAW, proto->p_proto);
	if (fd < 0)
		err(EX_OSERR, "socket");
	addr.sin_port = (in_port_t)service->s_port;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(EX_OSERR, "bind");
	signal(SIGTERM, initiate_shutdown);
	siginterrupt(SIGTERM, 0);
	say_address(name);
	printf("bound port %d of %s/%s, protocol %d\n", ntohs(addr.sin_port), service->s_name,
	       service->s_proto, proto->p_proto);
	fflush(stdout);
	while (running) {
		struct ip *ip = (struct ip *)packet;

		len = sizeof(addr);
		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&addr, &len);
		if (n < 0)
			continue;
		packets++;
		wrong += in_cksum_hdr(ip) != 0;
		if (addr.sin_addr.s_addr == INADDR_ANY) { /* natd's translation does this */
			ip->ip_tos ^= 4;
			ip->ip_sum = 0;
			ip->ip_sum = (unsigned short)in_cksum_hdr(ip);
		}
		addr.sin_len = sizeof(addr);
		if (sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&addr, sizeof(addr)) != n)
			warn("sendto");
	}
	printf("%lu packets, %lu wrong\n", packets, wrong);
	return 0;
}
