/* SPDX-License-Identifier: BSD-2-Clause */
/* A send request: where the program wants a packet to go (lib/socket/send.c). */
#ifndef LIB_REQUEST_H
#define LIB_REQUEST_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "divert.h"
#include "lib/core/socket.h"

struct send_request {
	const struct sockaddr *addr; /* or NULL */
	socklen_t addrlen;
	const struct divert_info *info; /* or NULL; takes precedence over addr */
	const uint32_t *mark;		/* or NULL: use SO_MARK */
	struct batch *batch;		/* or NULL, or one with `alone` set: send at once */
};

/*
 * Send one packet. Returns its length or -errno. With a batch, the packet may wait in it, or it is
 * sent on its own after the whole batch. -EINPROGRESS: the batch could not be sent; batch->left
 * says how many of its packets were not.
 */
ssize_t request_send(struct dsock *s, int fd, const struct iovec *iov, size_t iovs, int flags,
		     const struct send_request *request);

/*
 * Release the packet's flow, or end that: divert_release(). len: of the packet, or at least of its
 * headers. 0 or -errno.
 */
int request_release(const struct dsock *s, const uint8_t *packet, size_t len, uint32_t how);

/* Reinject a fragment unchanged. It continues after rule `tag`. */
void socket_write_back(struct dsock *s, const struct divert_record *rec, uint16_t tag);

#endif
