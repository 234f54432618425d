/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A divert program that reads the segments of one large TCP or UDP packet, changes some, and writes
 * all of them by one sendmmsg(2): segments PORT N WHAT FILE [GO]
 *
 * WHAT is NAME or NAME:NUMBER. NUMBER is the segment that is changed, from 0, or "all". Its
 * checksums are made right again. The names:
 *   none             nothing is changed
 *   sum nosum        the transport checksum is wrong, or none
 *   tos ttl id flow ports seq ack window urgent
 *                    that field is changed (of IPv6: class, hop limit, flow)
 *   flags=XX         these TCP flags are set besides
 *   option           the last byte of the options is changed
 *   df mf            the flag "don't fragment" is cleared, "more fragments" is set
 *   short            its last 100 bytes are missing; what follows stays as it is
 *   swap drop twice  it changes places with the next one; is not written; is written twice
 *   rule             it goes on behind rule 150
 *   mark             it has fwmark 7
 *
 * FILE gets the packets that are written, in pcap's format. With GO, the program waits for that
 * file after it has read. It prints "ready" when it is bound, "read", and the result of
 * sendmmsg(2).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg, strerrorname_np */
#endif
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 64

struct packet {
	uint8_t byte[2048];
	int len;
	struct sockaddr_storage from;
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} mark;
	int marked;
};

static struct packet packet[MOST + 1];

static int ip_len(const uint8_t *p)
{
	return p[0] >> 4 == 4 ? 20 : 40;
}

static uint32_t add(uint32_t sum, const uint8_t *p, int n)
{
	int i;

	for (i = 0; i < n; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	return sum;
}

static void put_sum(uint8_t *to, uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	to[0] = sum >> 8;
	to[1] = sum;
}

/* Sets the correct lengths and checksums. */
static void complete(struct packet *k)
{
	uint8_t *p = k->byte, *t = p + ip_len(p);
	int v4 = p[0] >> 4 == 4, len = k->len - ip_len(p), proto = p[v4 ? 9 : 6];
	uint8_t *sum = t + (proto == IPPROTO_UDP ? 6 : 16);

	p[v4 ? 2 : 4] = (v4 ? k->len : len) >> 8;
	p[v4 ? 3 : 5] = v4 ? k->len : len;
	if (v4) {
		p[10] = p[11] = 0;
		put_sum(p + 10, add(0, p, 20));
	}
	if (proto == IPPROTO_UDP) {
		t[4] = len >> 8;
		t[5] = len;
	}
	sum[0] = sum[1] = 0;
	put_sum(sum, add(add(proto + len, v4 ? p + 12 : p + 8, v4 ? 8 : 32), t, len));
}

static void change(struct packet *k, const char *what)
{
	uint8_t *p = k->byte, *tcp = p + ip_len(p);
	int v4 = p[0] >> 4 == 4;

	if (!strcmp(what, "tos"))
		p[1] ^= 0x20;
	else if (!strcmp(what, "ttl"))
		p[v4 ? 8 : 7]--;
	else if (!strcmp(what, "id"))
		p[5]++;
	else if (!strcmp(what, "flow"))
		p[3]++;
	else if (!strcmp(what, "df"))
		p[6] ^= 0x40;
	else if (!strcmp(what, "mf"))
		p[6] |= 0x20;
	else if (!strcmp(what, "ports"))
		tcp[1]++;
	else if (!strcmp(what, "seq"))
		tcp[7]++;
	else if (!strcmp(what, "ack"))
		tcp[11]++;
	else if (!strcmp(what, "window"))
		tcp[15]++;
	else if (!strcmp(what, "urgent"))
		tcp[19]++;
	else if (!strncmp(what, "flags=", 6))
		tcp[13] |= strtoul(what + 6, NULL, 16);
	else if (!strcmp(what, "option"))
		tcp[(tcp[12] >> 4) * 4 - 1]++;
	else if (!strcmp(what, "short"))
		k->len -= 100;
	else if (!strcmp(what, "rule"))
		((struct sockaddr_in *)&k->from)->sin_port = 150; /* host order: divert(4) */
	else if (!strcmp(what, "mark"))
		k->marked = 1;
	else if (strcmp(what, "sum") && strcmp(what, "nosum"))
		errx(1, "%s?", what);
	complete(k);
	if (!strcmp(what, "sum"))
		tcp[p[v4 ? 9 : 6] == IPPROTO_UDP ? 6 : 16] ^= 1;
	if (!strcmp(what, "nosum"))
		tcp[6] = tcp[7] = 0;
}

static int rearrange(const char *what, const char *number, int n)
{
	int at = strcmp(number, "all") ? atoi(number) : n - 1;
	struct packet was = packet[at];

	if (!strcmp(what, "swap")) {
		packet[at] = packet[at + 1];
		packet[at + 1] = was;
	} else if (!strcmp(what, "drop")) {
		memmove(packet + at, packet + at + 1, (--n - at) * sizeof(was));
	} else if (!strcmp(what, "twice")) {
		memmove(packet + at + 1, packet + at, (n++ - at) * sizeof(was));
	} else {
		change(packet + at, what);
		while (!strcmp(number, "all") && at--)
			change(packet + at, what);
	}
	return n;
}

static void save(const char *file, int n)
{
	uint32_t head[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 101 /* IP */}, one[4] = {};
	FILE *f = fopen(file, "w");
	int i;

	if (!f)
		err(1, "%s", file);
	fwrite(head, sizeof(head), 1, f);
	for (i = 0; i < n; i++) {
		one[2] = one[3] = packet[i].len;
		fwrite(one, sizeof(one), 1, f);
		fwrite(packet[i].byte, packet[i].len, 1, f);
	}
	if (fclose(f))
		err(1, "%s", file);
}

static int receive(int fd, int n)
{
	socklen_t len;
	int i;

	for (i = 0; i < n; i++) {
		len = sizeof(packet[i].from);
		packet[i].len = recvfrom(fd, packet[i].byte, sizeof(packet[i].byte), 0,
					 (struct sockaddr *)&packet[i].from, &len);
		if (packet[i].len < 0)
			err(1, "recvfrom");
	}
	return n;
}

static int send_all(int fd, int n)
{
	static struct mmsghdr msgs[MOST + 1];
	static struct iovec iov[MOST + 1];
	struct cmsghdr *c;
	int i;

	for (i = 0; i < n; i++) {
		struct packet *k = packet + i;

		iov[i] = (struct iovec){k->byte, k->len};
		msgs[i].msg_hdr = (struct msghdr){.msg_name = &k->from,
						  .msg_namelen = sizeof(struct sockaddr_in),
						  .msg_iov = iov + i,
						  .msg_iovlen = 1};
		if (!k->marked)
			continue;
		msgs[i].msg_hdr.msg_control = k->mark.room;
		msgs[i].msg_hdr.msg_controllen = sizeof(k->mark.room);
		c = CMSG_FIRSTHDR(&msgs[i].msg_hdr);
		*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SO_MARK};
		memcpy(CMSG_DATA(c), &(int){7}, sizeof(int));
	}
	return sendmmsg(fd, msgs, n, 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_RAW, 258), n;
	char *number;

	if (argc < 5 || atoi(argv[2]) > MOST)
		errx(1, "usage: segments PORT N WHAT FILE [GO]");
	at.sin_port = htons(atoi(argv[1]));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "socket");
	puts("ready");
	fflush(stdout);
	n = receive(fd, atoi(argv[2]));
	number = strchr(argv[3], ':');
	if (number) {
		*number++ = 0;
		n = rearrange(argv[3], number, n);
	}
	save(argv[4], n);
	puts("read");
	fflush(stdout);
	while (argc > 5 && access(argv[5], F_OK))
		usleep(1000);
	n = send_all(fd, n);
	if (n < 0)
		puts(strerrorname_np(errno));
	else
		printf("%d\n", n);
	return 0;
}
