/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks the memory that a program gives to read from or to write to. The kernel would check all of it. Only NULL is
 * found here, the usual mistake; another bad pointer is a crash.
 */
#ifndef LIB_VECTOR_H
#define LIB_VECTOR_H

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

/* 0, -EFAULT, or -EMSGSIZE as the kernel has it. */
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
