/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a packet is to go, as the program says it, and sending it there (lib/send.c). */
#ifndef LIB_ORDER_H
#define LIB_ORDER_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "divert.h"
#include "socket.h"

struct order {
	const struct sockaddr *addr; /* or NULL */
	socklen_t addrlen;
	const struct divert_info *info; /* or NULL; wins over the address */
	const uint32_t *mark;		/* or NULL: SO_MARK */
	struct batch *batch;		/* or NULL: it goes at once */
};

/*
 * One packet, in pieces: its length or -errno. With a batch it may wait there, behind others, or it goes on its
 * own, behind all of them: -EINPROGRESS where those could not go; batch->left then says how many have not.
 */
ssize_t order_send(struct dsock *s, int fd, const struct iovec *iov, size_t iovs, int flags,
		   const struct order *order);

#endif
