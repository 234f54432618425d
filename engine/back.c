// SPDX-License-Identifier: BSD-2-Clause
#include "back.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LO_IFINDEX 1

int back_open(uint32_t mark)
{
	struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_ifindex = LO_IFINDEX};
	/* protocol 0: it receives nothing, and each frame's own type is taken */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	/* bound: the kernel need not look lo up for each frame */
	if (!bind(fd, (struct sockaddr *)&lo, sizeof(lo)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int back_account(int fd, uint32_t stats)
{
	return setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &stats, sizeof(stats)) ? -errno : 0;
}

void back_frame(struct divert_frame *frame, uint16_t protocol)
{
	memset(frame, 0, sizeof(*frame));
	frame->back.flags = DIVERT_BACK_FRAME;
	frame->protocol = htons(protocol);
}
