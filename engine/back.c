// SPDX-License-Identifier: BSD-2-Clause
#include "back.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LO_IFINDEX    1
#define GSO_UDP_L4    5	 /* VIRTIO_NET_HDR_GSO_UDP_L4, which older headers do not have */
#define IP_UDP	      28 /* bytes of both headers */
#define PROBE_SEGMENT 8

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

int back_open_large(uint32_t mark)
{
	int fd = back_open(mark), on = 1, error;

	if (fd < 0 || !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* It is asked with a frame that nothing comes of: nothing is added to a counter. */
uint32_t back_large_types(int fd)
{
	struct {
		struct virtio_net_hdr large;
		struct divert_frame frame;
		uint8_t packet[IP_UDP + 2 * PROBE_SEGMENT];
	} __attribute__((packed)) probe = {
		.large =
			{
				.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.gso_type = GSO_UDP_L4,
				.hdr_len = sizeof(probe.frame) + IP_UDP,
				.gso_size = PROBE_SEGMENT,
				.csum_start = sizeof(probe.frame) + IP_UDP - 8,
				.csum_offset = 6,
			},
		.packet = {0x45, 0, 0, sizeof(probe.packet), 0, 0, 0, 0, 64, 17},
	};

	back_frame(&probe.frame, ETH_P_IP);
	probe.frame.back.flags |= DIVERT_BACK_COUNT;
	if (send(fd, &probe, sizeof(probe), 0) < 0)
		return DIVERT_GSO_TCP;
	return DIVERT_GSO_TCP | DIVERT_GSO_UDP;
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
