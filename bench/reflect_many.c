/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As reflect, but up to 64 packets a call, by recvmmsg(2) and sendmmsg(2).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "passed.h"

#define MANY 64

#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 258
#endif

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	static struct sockaddr_in from[MANY];
	static struct mmsghdr msgs[MANY];
	static char packet[MANY][2048];
	static struct iovec iov[MANY];
	int fd, i, n, sent;

	if (argc != 2) {
		fputs("usage: reflect_many PORT\n", stderr);
		return 2;
	}
	fd = socket(PF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (fd < 0) {
		perror("socket");
		return 1;
	}
	addr.sin_port = htons((uint16_t)atoi(argv[1]));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror("bind");
		return 1;
	}
	ready();

	for (i = 0; i < MANY; i++) {
		iov[i].iov_base = packet[i];
		msgs[i].msg_hdr =
			(struct msghdr){.msg_name = &from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
	}
	for (;;) {
		for (i = 0; i < MANY; i++) {
			iov[i].iov_len = sizeof(packet[i]);
			msgs[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
		n = recvmmsg(fd, msgs, MANY, MSG_WAITFORONE, NULL);
		if (n < 0) {
			perror("recvmmsg");
			return 1;
		}
		for (i = 0; i < n; i++)
			iov[i].iov_len = msgs[i].msg_len;
		for (i = 0; i < n; i += sent) {
			sent = sendmmsg(fd, msgs + i, (unsigned int)(n - i), 0);
			if (sent < 1) {
				perror("sendmmsg");
				sent = 1;
			} else {
				passed += (unsigned int)sent;
			}
		}
	}
}
