// SPDX-License-Identifier: BSD-2-Clause
/* Releases flows: tells the kernel half that a port has seen enough of one. */
#include <errno.h>
#include <linux/if_ether.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "divert.h"
#include "engine/bytes.h"
#include "engine/flow_key.h"
#include "engine/reinject.h"
#include "lib/core/fdtable.h"
#include "lib/core/kernel.h"
#include "request.h"

_Static_assert((int)DIVERT_RELEASE_UNDO == (int)DIVERT_RELEASE_END &&
		       (int)DIVERT_RELEASE_PASS == (int)DIVERT_RELEASE_PASSES &&
		       (int)DIVERT_RELEASE_DROP == (int)DIVERT_RELEASE_DROPS,
	       "the kernel half takes the program's word");

/* len: at least all headers. A later fragment has no ports, so it does not name its flow. */
static int read_key(const uint8_t *packet, size_t len, struct divert_flow_key *key)
{
	struct bytes bytes = {packet, len};
	struct divert_packet p = {};
	struct packet_shape shape;

	if (!len || packet_read(&bytes, packet[0] >> 4 == 6 ? 6 : 4, UINT32_MAX, &p, &shape) ||
	    p.field[DIVERT_F_FLAGS] & DIVERT_IS_FRAG)
		return -EINVAL;
	flow_key(&p, key);
	return 0;
}

int request_release(const struct dsock *s, const uint8_t *packet, size_t len, uint32_t how)
{
	struct {
		struct divert_frame frame;
		struct divert_flow_key key;
	} __attribute__((packed, aligned(2))) request;
	struct divert_flow_key key;
	int rc = s->shared->bound ? read_key(packet, len, &key) : -ENOTCONN;

	if (rc)
		return rc;
	reinject_frame(&request.frame, ETH_P_IP);
	request.frame.reinject.flags |= DIVERT_REINJECT_SET;
	request.frame.reinject.tag = DIVERT_SET_RELEASE;
	request.frame.reinject.mark = how;
	request.key = key;
	if (syscall(SYS_sendto, s->reinject, &request, sizeof(request), 0, NULL, 0) >= 0)
		return 0;
	return errno == ENOBUFS ? -(int)socket_refusal(s, s->reinject) : -errno;
}

int divert_release(int fd, const void *packet, size_t len, int how)
{
	struct dsock *s = socket_get(fd);
	int rc;

	if (!s)
		return -1;
	if (!packet)
		rc = -EFAULT;
	else if (how < DIVERT_RELEASE_UNDO || how > DIVERT_RELEASE_DROP)
		rc = -EINVAL;
	else if (socket_is_cut_off(s))
		rc = -ENETDOWN;
	else
		rc = request_release(s, packet, len, how);
	socket_put(s);
	return rc ? fail(-rc) : 0;
}
