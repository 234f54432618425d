/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what tcpcryptd does around its packets, with the same calls: bsd_tcpcryptd PORT CONTROL_PORT
 *
 * It binds its socket, opens a raw socket, and a UDP socket on 127.0.0.1 for questions. It gives up
 * its privileges, and waits for both and for a timer in select(2). It adds a TCP option to each SYN
 * that goes out, which makes it longer. A tenth of a second after the first one it sends a segment
 * by the raw socket. A call that fails or is cut short ends the program.
 */
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#define __FAVOR_BSD
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <machine/in_cksum.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOBODY	 666
#define KIND	 69 /* of the option */
#define OPTION	 4  /* of the option */
#define INTERVAL 100000

static unsigned long packets;
static int divert_fd, raw_fd, control_fd;
static struct timeval due; /* the timer's time, if it is set */
static char first[sizeof(struct ip) + sizeof(struct tcphdr)];

static void end(int sig)
{
	(void)sig;
	printf("%lu packets\n", packets);
	close(divert_fd);
	close(control_fd);
	close(raw_fd);
	exit(0);
}

static unsigned short tcp_sum(const struct ip *ip, const struct tcphdr *tcp, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)&ip->ip_src;
	unsigned long sum = IPPROTO_TCP + len;
	size_t i;

	for (i = 0; i < 8; i++)
		sum += (unsigned long)bytes[i] << (i % 2 ? 0 : 8);
	bytes = (const unsigned char *)tcp;
	for (i = 0; i < len; i++)
		sum += (unsigned long)bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((unsigned short)~sum);
}

static void sign(struct ip *ip, struct tcphdr *tcp)
{
	tcp->th_sum = 0;
	tcp->th_sum = tcp_sum(ip, tcp, ntohs(ip->ip_len) - (size_t)(ip->ip_hl << 2));
	ip->ip_sum = 0;
	ip->ip_sum = (unsigned short)in_cksum_hdr(ip);
}

/* Returns the packet's new length, by its header. */
static int add_option(unsigned char *packet, int len)
{
	static const unsigned char option[OPTION] = {KIND, OPTION, 0, 1};
	struct ip *ip = (struct ip *)packet;
	struct tcphdr *tcp = (struct tcphdr *)(packet + (ip->ip_hl << 2));

	if ((tcp->th_flags & (TH_SYN | TH_ACK)) != TH_SYN || tcp->th_off > 14)
		return len;
	if (!timerisset(&due)) {
		memcpy(first, packet, sizeof(first));
		gettimeofday(&due, NULL);
		due.tv_usec += INTERVAL;
	}
	memcpy((char *)tcp + (tcp->th_off << 2), option, sizeof(option));
	tcp->th_off++;
	ip->ip_len = htons((unsigned short)(len + OPTION));
	sign(ip, tcp);
	return ntohs(ip->ip_len);
}

static void next_packet(void)
{
	unsigned char packet[2048];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n, sent;

	n = recvfrom(divert_fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);
	if (n == -1)
		err(1, "recvfrom");
	packets++;
	if (from.sin_addr.s_addr == INADDR_ANY)
		n = add_option(packet, (int)n);
	sent = sendto(divert_fd, packet, (size_t)n, 0, (struct sockaddr *)&from, len);
	if (sent == -1)
		err(1, "sendto");
	if (sent != n)
		errx(1, "sent %zd/%zd", sent, n);
}

/* A RST of another connection: nobody answers it. */
static void inject(void)
{
	struct ip *ip = (struct ip *)first;
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
	struct sockaddr_in to = {.sin_family = PF_INET};

	ip->ip_len = htons(sizeof(first));
	tcp->th_off = 5;
	tcp->th_flags = TH_RST;
	tcp->th_sport = htons(NOBODY);
	sign(ip, tcp);
	to.sin_addr = ip->ip_dst;
	to.sin_port = tcp->th_dport;
#ifdef __FreeBSD__
	ip->ip_len = ntohs(ip->ip_len); /* raw sockets of FreeBSD want host order */
#endif
	if (sendto(raw_fd, first, sizeof(first), 0, (struct sockaddr *)&to, sizeof(to)) !=
	    sizeof(first))
		err(1, "sendto, raw");
}

static void answer_control(void)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char text[64];

	if (recvfrom(control_fd, text, sizeof(text), 0, (struct sockaddr *)&from, &len) == -1)
		err(1, "recvfrom, control");
	snprintf(text, sizeof(text), "%lu", packets);
	if (sendto(control_fd, text, strlen(text), 0, (struct sockaddr *)&from, len) == -1)
		err(1, "sendto, control");
}

static void cycle(void)
{
	struct timeval now, left, *wait = NULL;
	bool timer = timerisset(&due) && due.tv_usec;
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(divert_fd, &fds);
	FD_SET(control_fd, &fds);
	gettimeofday(&now, NULL);
	if (timer && timercmp(&now, &due, >=)) {
		due.tv_usec = 0; /* the timer runs only once */
		inject();
	} else if (timer) {
		timersub(&due, &now, &left);
		wait = &left;
	}
	if (select((divert_fd > control_fd ? divert_fd : control_fd) + 1, &fds, NULL, NULL, wait) ==
	    -1) {
		if (errno == EINTR)
			return;
		err(1, "select");
	}
	if (FD_ISSET(divert_fd, &fds))
		next_packet();
	if (FD_ISSET(control_fd, &fds))
		answer_control();
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = PF_INET};
	const int one = 1;

	if (argc != 3)
		errx(1, "usage: bsd_tcpcryptd PORT CONTROL_PORT");
	signal(SIGINT, end);
	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	addr.sin_port = htons((unsigned short)atoi(argv[1]));
	divert_fd = socket(PF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (divert_fd == -1 || bind(divert_fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		err(1, "divert port %s", argv[1]);
	raw_fd = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	if (raw_fd == -1 || setsockopt(raw_fd, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one)) == -1)
		err(1, "raw socket");
	addr.sin_addr.s_addr = inet_addr("127.0.0.1");
	addr.sin_port = htons((unsigned short)atoi(argv[2]));
	control_fd = socket(PF_INET, SOCK_DGRAM, 0);
	if (control_fd == -1 || bind(control_fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		err(1, "control port %s", argv[2]);
	if (setgid(NOBODY) == -1 || setuid(NOBODY) == -1)
		err(1, "setuid");
	puts("Running");
	fflush(stdout);
	for (;;)
		cycle();
}
