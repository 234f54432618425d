// SPDX-License-Identifier: BSD-2-Clause
#include "control.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "divert.h"
#include "lib/packet/reassemble.h"

#define TOLD (SOCKET_INFO | SOCKET_TIMESTAMP | SOCKET_TIMESTAMPNS | SOCKET_RXQ_OVFL)

/* Append a message, or nothing if it does not fit. The program's buffer may be unaligned. */
static void put(struct msghdr *msg, size_t *used, int level, int type, const void *data, size_t len)
{
	const struct cmsghdr head = {
		.cmsg_len = CMSG_LEN(len),
		.cmsg_level = level,
		.cmsg_type = type,
	};
	char *at = (char *)msg->msg_control + *used;

	if (!msg->msg_control || msg->msg_controllen - *used < CMSG_LEN(len)) {
		msg->msg_flags |= MSG_CTRUNC;
		return;
	}
	memcpy(at, &head, sizeof(head));
	memcpy(at + CMSG_LEN(0), data, len);
	*used += CMSG_SPACE(len);
	if (*used > msg->msg_controllen) /* the last message needs no padding */
		*used = msg->msg_controllen;
}

static int64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int64_t control_clock(void)
{
	return ns_of(CLOCK_REALTIME) - ns_of(CLOCK_MONOTONIC);
}

/* Wall-clock time of the packet; if no timestamp was enabled when it came, the current time. */
static int64_t wall_time(const struct divert_record *rec)
{
	return rec->tstamp ? control_clock() + (int64_t)rec->tstamp : ns_of(CLOCK_REALTIME);
}

static uint32_t info_flags(const struct divert_record *rec)
{
	uint32_t flags = 0;

	if (rec->flags & DIVERT_REC_OUT)
		flags |= DIVERT_INFO_OUT;
	if (rec->flags & DIVERT_REC_FORWARDED)
		flags |= DIVERT_INFO_FORWARDED;
	if (rec->flags & DIVERT_REC_TEE)
		flags |= DIVERT_INFO_TEE;
	if (rec->flags & REASSEMBLED)
		flags |= DIVERT_INFO_REASSEMBLED;
	return flags;
}

void control_info(const struct divert_record *rec, uint32_t len, uint32_t gso_size,
		  struct divert_info *info)
{
	*info = (struct divert_info){
		.ifindex = rec->ifindex,
		.out_ifindex = rec->oif,
		.rule = rec->tag,
		.mark = rec->mark,
		.uid = rec->meta.flags & DIVERT_META_OWNER ? rec->meta.uid : ~0u,
		.length = len,
		.flags = info_flags(rec),
		.gso_size = gso_size,
	};
}

void control_make(const struct dsock *s, const struct divert_record *rec, uint32_t len,
		  uint32_t gso_size, struct msghdr *msg)
{
	const uint32_t on = s->shared->on;
	struct divert_info info;
	struct timespec ts;
	struct timeval tv;
	size_t used = 0;
	int64_t wall;

	msg->msg_flags = 0;
	if (on & TOLD) {
		wall = wall_time(rec);
		ts = (struct timespec){wall / 1000000000, wall % 1000000000};
		tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
		if (on & SOCKET_TIMESTAMP)
			put(msg, &used, SOL_SOCKET, SCM_TIMESTAMP, &tv, sizeof(tv));
		if (on & SOCKET_TIMESTAMPNS)
			put(msg, &used, SOL_SOCKET, SCM_TIMESTAMPNS, &ts, sizeof(ts));
		if (on & SOCKET_RXQ_OVFL)
			put(msg, &used, SOL_SOCKET, SO_RXQ_OVFL, &rec->drops, sizeof(rec->drops));
		control_info(rec, len, gso_size, &info);
		info.timestamp = (uint64_t)wall;
		if (on & SOCKET_INFO)
			put(msg, &used, SOL_DIVERT, DIVERT_INFO, &info, sizeof(info));
	}
	msg->msg_controllen = used;
}
