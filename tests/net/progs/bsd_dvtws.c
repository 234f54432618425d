/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what zapret's dvtws does around its packets, with the same calls:
 *
 *	bsd_dvtws PORT UID PIDFILE LIST
 *
 * It is a daemon and changes its user. Before a request with one of the words in LIST it sends a
 * fake of that request, which dies at the next router. On FreeBSD it has one divert socket. IPv4
 * fakes go out by a raw socket, IPv6 fakes by a divert socket without a port. On OpenBSD each
 * family has a divert socket on the same port, and one for fakes. SIGHUP makes it read LIST again.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <machine/in_cksum.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define RCVBUF	   (128 * 1024)
#define SNDBUF	   (64 * 1024)
#define RAW_SNDBUF (64 * 1024)
#define COOKIE	   0x40000000

static volatile sig_atomic_t hup;
static char words[512];

static void on_hup(int sig)
{
	(void)sig;
	hup = 1;
}

static void load(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		err(1, "%s", path);
	words[fread(words, 1, sizeof(words) - 1, file)] = '\0';
	fclose(file);
	hup = 0;
}

static int with_buffers(int fd, int receive, int send)
{
	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send)) == -1)
		err(1, "socket");
	return fd;
}

static int divert_socket(int family)
{
#ifdef __FreeBSD__
	const int fd = socket(PF_DIVERT, SOCK_RAW, 0);

	if (fd != -1 ||
	    (errno != EPROTONOSUPPORT && errno != EAFNOSUPPORT && errno != EPFNOSUPPORT))
		return fd;
#endif
	return socket(family, SOCK_RAW, IPPROTO_DIVERT);
}

static socklen_t length_of(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static int listener(int family, int port)
{
	struct sockaddr_storage ss = {.ss_family = (sa_family_t)family};
	int fd = divert_socket(family);

	/* the port is at the same place in both structures */
	((struct sockaddr_in *)&ss)->sin_port = htons((uint16_t)port);
	if (bind(fd, (struct sockaddr *)&ss, length_of(family)) == -1)
		err(1, "divert port %d", port);
	return with_buffers(fd, RCVBUF, SNDBUF);
}

static int fake_socket(int family)
{
#ifdef __OpenBSD__
	return with_buffers(divert_socket(family), 4096, RAW_SNDBUF);
#else
	const int yes = 1;
	int fd = family == AF_INET ? socket(family, SOCK_RAW, IPPROTO_TCP) : divert_socket(AF_INET);

	if (family == AF_INET && setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &yes, sizeof(yes)) == -1)
		err(1, "IP_HDRINCL");
	return with_buffers(fd, 4096, RAW_SNDBUF);
#endif
}

static void send_fake(int fd, int family, const void *packet, size_t len)
{
	struct sockaddr_storage ss = {};
	const uint32_t cookie = COOKIE;

#ifdef __OpenBSD__
	ss.ss_family = (sa_family_t)family;
#else
	ss.ss_family = AF_INET;
	if (family == AF_INET)
		((struct sockaddr_in *)&ss)->sin_addr = ((const struct ip *)packet)->ip_dst;
#endif
	if (setsockopt(fd, SOL_SOCKET, SO_USER_COOKIE, &cookie, sizeof(cookie)) == -1)
		warn("fake: SO_USER_COOKIE");
	else if (sendto(fd, packet, len, 0, (struct sockaddr *)&ss, length_of(ss.ss_family)) == -1)
		warn("fake: sendto");
}

/* The text of a segment, followed by a 0; or NULL. */
static char *text_of(char *packet, size_t len)
{
	const struct ip *ip = (const struct ip *)packet;
	const size_t header = ip->ip_v == 4 ? (size_t)ip->ip_hl << 2 : sizeof(struct ip6_hdr);
	const struct tcphdr *tcp = (const struct tcphdr *)(packet + header);
	const size_t at = header + (len > header + sizeof(*tcp) ? (size_t)tcp->th_off << 2 : len);

	packet[len] = '\0';
	return at + 4 <= len ? packet + at : NULL;
}

static bool is_listed(const char *text)
{
	char all[sizeof(words)], *word, *rest = all;

	strlcpy(all, words, sizeof(all));
	while ((word = strsep(&rest, "\n")))
		if (*word && strstr(text, word))
			return true;
	return false;
}

/* Swap two words of the text; the checksum stays the same. The packet may go one hop. */
static void fake(const int fds[2], char *packet, size_t len, char *text)
{
	static char copy[16384];
	struct ip *ip = (struct ip *)copy;

	memcpy(copy, packet, len);
	memcpy(copy + (text - packet), text + 2, 2);
	memcpy(copy + (text - packet) + 2, text, 2);
	if (ip->ip_v == 6) {
		((struct ip6_hdr *)copy)->ip6_hlim = 1;
		send_fake(fds[1], AF_INET6, copy, len);
		return;
	}
	ip->ip_ttl = 1;
	ip->ip_sum = 0;
	ip->ip_sum = (unsigned short)in_cksum_hdr(ip);
	send_fake(fds[0], AF_INET, copy, len);
}

static void relay(int fd, const int fakes[2])
{
	static char packet[16384 + 1];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n, sent;
	char *text;

	n = recvfrom(fd, packet, sizeof(packet) - 1, 0, (struct sockaddr *)&from, &len);
	if (n < 0)
		err(1, "recvfrom");
	text = text_of(packet, (size_t)n);
	if (text && is_listed(text))
		fake(fakes, packet, (size_t)n, text);
	sent = sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&from, len);
	if (sent != n)
		warn("sendto: %zd of %zd", sent, n);
}

static void become_daemon(const char *pidfile)
{
	const int null = open("/dev/null", O_RDWR);
	FILE *file = fopen(pidfile, "w");
	const pid_t pid = fork();

	if (pid == -1 || !file)
		err(1, "%s", pidfile);
	if (pid)
		_exit(0);
	setsid();
	dup2(null, STDIN_FILENO);
	fprintf(file, "%d", getpid());
	fclose(file);
}

int main(int argc, char **argv)
{
	int fds[2] = {-1, -1}, fakes[2], i, n;
	uid_t uid;
	fd_set set;

	if (argc != 5)
		errx(1, "usage: bsd_dvtws PORT UID PIDFILE LIST");
	uid = (uid_t)atoi(argv[2]);
	load(argv[4]);
	become_daemon(argv[3]);
	fds[0] = listener(AF_INET, atoi(argv[1]));
#ifdef __OpenBSD__
	fds[1] = listener(AF_INET6, atoi(argv[1]));
#endif
	fakes[0] = fake_socket(AF_INET);
	fakes[1] = fake_socket(AF_INET6);
	if (setgroups(0, NULL) == -1 || setgid((gid_t)uid) == -1 || setuid(uid) == -1)
		err(1, "setuid %s", argv[2]);
	signal(SIGHUP, on_hup);
	puts("bound");
	fflush(stdout);
	for (;;) {
		FD_ZERO(&set);
		for (i = 0; i < 2; i++)
			if (fds[i] != -1)
				FD_SET(fds[i], &set);
		n = select(MAX(fds[0], fds[1]) + 1, &set, NULL, NULL, NULL);
		if (n == -1 && errno != EINTR)
			err(1, "select");
		if (hup) /* the signal may have come before the select */
			load(argv[4]);
		if (n == -1)
			continue;
		for (i = 0; i < 2; i++)
			if (fds[i] != -1 && FD_ISSET(fds[i], &set))
				relay(fds[i], fakes);
	}
}
