// SPDX-License-Identifier: BSD-2-Clause
#include "kernel.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "engine/reinject.h"

uint32_t socket_refusal(const struct dsock *s, int reinject)
{
	uint32_t error = 0;

	if (bpf_map_lookup_elem(s->errors, &reinject, &error))
		return 0;
	bpf_map_delete_elem(s->errors, &reinject);
	return error;
}

void socket_count_losses(const struct dsock *s, enum divert_cause cause, uint32_t n)
{
	struct divert_frame frame;

	reinject_frame(&frame, ETH_P_IP);
	frame.reinject.flags |= DIVERT_REINJECT_COUNT;
	frame.reinject.ifindex = cause;
	frame.reinject.mark = n;
	syscall(SYS_sendto, s->reinject, &frame, sizeof(frame), MSG_DONTWAIT, NULL, 0);
}

void socket_count_loss(const struct dsock *s, enum divert_cause cause)
{
	socket_count_losses(s, cause, 1);
}

int socket_set(const struct dsock *s, enum divert_set what, uint32_t value)
{
	struct divert_frame frame;

	reinject_frame(&frame, ETH_P_IP);
	frame.reinject.flags |= DIVERT_REINJECT_SET;
	frame.reinject.tag = what;
	frame.reinject.mark = value;
	if (syscall(SYS_sendto, s->reinject, &frame, sizeof(frame), 0, NULL, 0) >= 0)
		return 0;
	return errno == ENOBUFS ? -(int)socket_refusal(s, s->reinject) : -errno;
}

bool socket_is_cut_off(const struct dsock *s)
{
	return ring_is_down(&s->ring) || (s->shared->bound && s->shared->engine_id != s->engine_id);
}

int socket_send_timeout(const struct dsock *s)
{
	const int64_t ns = s->shared->send_timeout;
	struct timeval t = {.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000};

	if (setsockopt(s->reinject, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) ||
	    setsockopt(s->reinject_gso, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)))
		return -errno;
	return 0;
}
