// SPDX-License-Identifier: BSD-2-Clause
/*
 * Filter: packets with the word in them are dropped, the others go on. To drop a packet is not to
 * write it back.
 *
 *	ipfw add 100 divert 2000 udp from any to any 53 out
 *	filter 2000 ads
 *
 * A TCP connection whose packet is dropped does not go on: its sender tries again and again.
 */
#define _GNU_SOURCE /* memmem, on Linux */
#include "common.h"

int main(int argc, char **argv)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in where;
	size_t len;
	int fd;

	if (argc != 3 || !*argv[2])
		errx(2, "usage: filter PORT WORD");
	fd = divert_open();
	divert_bind_to(fd, argv[1]);
	for (;;) {
		len = receive(fd, packet, &where);
		if (!memmem(packet, len, argv[2], strlen(argv[2])))
			write_back(fd, packet, len, &where);
	}
}
