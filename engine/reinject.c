// SPDX-License-Identifier: BSD-2-Clause
#include "reinject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "engine.h"

#define GSO_UDP_L4    5	 /* VIRTIO_NET_HDR_GSO_UDP_L4, missing in older headers */
#define IP_UDP	      28 /* bytes of both headers */
#define PROBE_SEGMENT 8

static int set_sender(const struct engine *e, int fd, const struct divert_sender *sender)
{
	return bpf_map_update_elem(e->map[ENGINE_SENDERS], &fd, sender, BPF_ANY) ? -errno : 0;
}

/*
 * Packets in an interface's queue are charged to the sending socket, and would block its other
 * packets. Lift the limit; the queue has its own.
 */
static int set_room(int fd)
{
	const int most = INT_MAX / 2;

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof(most)) ? -errno : 0;
}

static int open_sender(const struct engine *e, const struct divert_sender *sender)
{
	struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_ifindex = LO_IFINDEX};
	/* protocol 0: receives nothing, and sends each frame with its own type */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	/* bound: saves the kernel a lookup of lo for each frame */
	rc = bind(fd, (struct sockaddr *)&lo, sizeof(lo)) ? -errno : 0;
	if (!rc)
		rc = set_room(fd);
	if (!rc)
		rc = set_sender(e, fd, sender);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int reinject_open(const struct engine *e)
{
	const struct divert_sender unbound = {};

	return open_sender(e, &unbound);
}

int reinject_open_large(const struct engine *e)
{
	int fd = reinject_open(e), on = 1, error;

	if (fd < 0 || !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int reinject_open_engine(const struct engine *e)
{
	const struct divert_sender engine = {.engine = 1};

	return open_sender(e, &engine);
}

/* Probe with a frame that has no effect: it adds 0 to a counter. */
uint32_t reinject_large_types(int fd)
{
	struct {
		struct virtio_net_hdr large;
		struct divert_frame frame;
		uint8_t packet[IP_UDP + 2 * PROBE_SEGMENT];
	} __attribute__((packed, aligned(2))) probe = {
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

	reinject_frame(&probe.frame, ETH_P_IP);
	probe.frame.reinject.flags |= DIVERT_REINJECT_COUNT;
	if (send(fd, &probe, sizeof(probe), 0) < 0)
		return DIVERT_GSO_TCP;
	return DIVERT_GSO_TCP | DIVERT_GSO_UDP;
}

int reinject_bind(const struct engine *e, int fd, uint32_t key, uint32_t slot, uint32_t stats)
{
	const struct divert_sender bound = {.stats = stats, .key = key, .slot = slot};

	return set_sender(e, fd, &bound);
}

void reinject_frame(struct divert_frame *frame, uint16_t protocol)
{
	memset(frame, 0, sizeof(*frame));
	frame->reinject.flags = DIVERT_REINJECT_FRAME;
	frame->reinject.next = DIVERT_REINJECT_NEXT;
	frame->protocol = htons(protocol);
}
