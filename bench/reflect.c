/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plainest divert program: one packet read, the same written back. It knows nothing of
 * ipdivert; divert-run gives it the sockets.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "passed.h"

#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 258
#endif

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	static char packet[65535];
	socklen_t addrlen;
	ssize_t n;
	int fd;

	if (argc != 2) {
		fputs("usage: reflect PORT\n", stderr);
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

	for (;;) {
		addrlen = sizeof(addr);
		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&addr, &addrlen);
		if (n < 0) {
			perror("recvfrom");
			return 1;
		}
		if (sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&addr, addrlen) < 0)
			perror("sendto");
		else
			passed++;
	}
}
