// SPDX-License-Identifier: BSD-2-Clause
/* The send calls, and their control messages. */
#include <errno.h>
#include <string.h>

#include "divert.h"
#include "lib/core/fdtable.h"
#include "lib/inject/batch.h"
#include "request.h"
#include "vector.h"

/* ---- control messages ---- */

/* Read our control messages. Ignore others, including those that a divert socket returned. */
static int read_control(const struct msghdr *msg, struct send_request *request,
			struct divert_info *info, uint32_t *mark)
{
	const char *at = msg->msg_control;
	size_t left = at ? msg->msg_controllen : 0, step;
	struct cmsghdr c;

	for (; left >= sizeof(c); at += step, left -= step) {
		memcpy(&c, at, sizeof(c));
		if (c.cmsg_len < sizeof(c) || c.cmsg_len > left)
			return -EINVAL;
		if (c.cmsg_level == SOL_DIVERT) {
			if (c.cmsg_type != DIVERT_INFO || c.cmsg_len != CMSG_LEN(sizeof(*info)))
				return -EINVAL;
			memcpy(info, at + CMSG_LEN(0), sizeof(*info));
			request->info = info;
		} else if (c.cmsg_level == SOL_SOCKET && c.cmsg_type == SO_MARK) {
			if (c.cmsg_len != CMSG_LEN(sizeof(*mark)))
				return -EINVAL;
			memcpy(mark, at + CMSG_LEN(0), sizeof(*mark));
			request->mark = mark;
		}
		step = CMSG_ALIGN(c.cmsg_len);
		if (step > left)
			break;
	}
	return 0;
}

static ssize_t send_msg(struct dsock *s, int fd, const struct msghdr *msg, int flags,
			struct batch *batch)
{
	struct send_request request = {.batch = batch};
	struct divert_info info;
	uint32_t mark;
	int rc = vector_check(msg);

	if (rc)
		return rc;
	request.addr = msg->msg_name;
	request.addrlen = msg->msg_namelen;
	rc = read_control(msg, &request, &info, &mark);
	return rc ? rc : request_send(s, fd, msg->msg_iov, msg->msg_iovlen, flags, &request);
}

/* ---- calls ---- */

ssize_t divert_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen)
{
	struct send_request request = {.addr = to, .addrlen = tolen};
	struct iovec iov = {(void *)buf, len};
	struct dsock *s = socket_get(fd);
	ssize_t n;

	if (!s)
		return -1;
	n = buf || !len ? request_send(s, fd, &iov, 1, flags, &request) : -EFAULT;
	socket_put(s);
	return n < 0 ? fail(-n) : n;
}

ssize_t divert_send(int fd, const void *buf, size_t len, int flags)
{
	return divert_sendto(fd, buf, len, flags, NULL, 0);
}

ssize_t divert_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct dsock *s = socket_get(fd);
	ssize_t n;

	if (!s)
		return -1;
	n = send_msg(s, fd, msg, flags, NULL);
	socket_put(s);
	return n < 0 ? fail(-n) : n;
}

struct messages {
	struct dsock *s;
	int fd, flags;
	struct mmsghdr *msgs;
};

static ssize_t send_one(void *arg, unsigned int i, struct batch *batch)
{
	const struct messages *m = arg;
	ssize_t n = send_msg(m->s, m->fd, &m->msgs[i].msg_hdr, m->flags, batch);

	if (n >= 0)
		m->msgs[i].msg_len = n;
	return n;
}

int divert_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	struct messages m = {.s = socket_get(fd), .fd = fd, .flags = flags, .msgs = msgs};
	unsigned int sent;
	int error = 0;

	if (!m.s)
		return -1;
	if (!msgs && n) {
		socket_put(m.s);
		return fail(EFAULT);
	}
	sent = batch_all(m.s, n, send_one, &m, &error);
	socket_put(m.s);
	return sent || !error ? (int)sent : fail(-error);
}
