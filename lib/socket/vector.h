/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Check the buffers of a program's read or write. Unlike the kernel, we find only NULL, the usual
 * mistake; another bad pointer crashes the program.
 */
#ifndef LIB_VECTOR_H
#define LIB_VECTOR_H

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

/* 0, -EFAULT, or -EMSGSIZE, like the kernel. */
static inline int vector_check(const struct msghdr *msg)
{
	size_t i;

	if (!msg)
		return -EFAULT;
	if (msg->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (!msg->msg_iov && msg->msg_iovlen)
		return -EFAULT;
	for (i = 0; i < (size_t)msg->msg_iovlen; i++)
		if (!msg->msg_iov[i].iov_base && msg->msg_iov[i].iov_len)
			return -EFAULT;
	return 0;
}

#endif
