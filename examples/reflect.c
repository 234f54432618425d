// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reflect: each packet that is diverted to the port goes on unchanged.
 *
 *	ipfw add 100 divert 2000 ip from any to any
 *	reflect 2000
 */
#include "common.h"

int main(int argc, char **argv)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in where;
	size_t len;
	int fd;

	if (argc != 2)
		errx(2, "usage: reflect PORT");
	fd = divert_open();
	divert_bind_to(fd, argv[1]);
	for (;;) {
		len = receive(fd, packet, &where);
		write_back(fd, packet, len, &where);
	}
}
