// SPDX-License-Identifier: BSD-2-Clause
/* Read and write packets. */
#include "interpose/next.h"

#include <divert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/ioctl.h>

PUBLIC ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (divert_is(fd))
		return divert_recv(fd, buf, len, flags);
	return NEXT(recv)(fd, buf, len, flags);
}

PUBLIC ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			socklen_t *fromlen)
{
	if (divert_is(fd))
		return divert_recvfrom(fd, buf, len, flags, from, fromlen);
	return NEXT(recvfrom)(fd, buf, len, flags, from, fromlen);
}

PUBLIC ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (divert_is(fd))
		return divert_recvmsg(fd, msg, flags);
	return NEXT(recvmsg)(fd, msg, flags);
}

PUBLIC int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, mmsg_flags flags,
		    struct timespec *timeout)
{
	if (divert_is(fd))
		return divert_recvmmsg(fd, msgs, n, flags, timeout);
	return NEXT(recvmmsg)(fd, msgs, n, flags, timeout);
}

/* Unlike recv(2), read(2) of 0 bytes takes no packet from a socket. */
static ssize_t read_packet(int fd, void *buf, size_t len)
{
	return len ? divert_recv(fd, buf, len, 0) : 0;
}

PUBLIC ssize_t read(int fd, void *buf, size_t len)
{
	if (divert_is(fd))
		return read_packet(fd, buf, len);
	return NEXT(read)(fd, buf, len);
}

/* Check a vector like the kernel does for readv(2) and writev(2). */
static bool vector_fits(const struct iovec *iov, int n, size_t *sum)
{
	int i;

	*sum = 0;
	if (!iov && n > 0 && n <= IOV_MAX) {
		errno = EFAULT;
		return false;
	}
	for (i = 0; n <= IOV_MAX && i < n; i++) {
		if (iov[i].iov_len > (size_t)SSIZE_MAX - *sum)
			break;
		*sum += iov[i].iov_len;
	}
	if (i == n)
		return true;
	errno = EINVAL;
	return false;
}

PUBLIC ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	size_t sum;

	if (!divert_is(fd))
		return NEXT(readv)(fd, iov, n);
	if (!vector_fits(iov, n, &sum))
		return -1;
	return sum ? divert_recvmsg(fd, &msg, 0) : 0;
}

PUBLIC ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	if (divert_is(fd))
		return divert_send(fd, buf, len, flags);
	return NEXT(send)(fd, buf, len, flags);
}

PUBLIC ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen)
{
	if (divert_is(fd))
		return divert_sendto(fd, buf, len, flags, to, tolen);
	return NEXT(sendto)(fd, buf, len, flags, to, tolen);
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (divert_is(fd))
		return divert_sendmsg(fd, msg, flags);
	return NEXT(sendmsg)(fd, msg, flags);
}

PUBLIC int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, mmsg_flags flags)
{
	if (divert_is(fd))
		return divert_sendmmsg(fd, msgs, n, flags);
	return NEXT(sendmmsg)(fd, msgs, n, flags);
}

PUBLIC ssize_t write(int fd, const void *buf, size_t len)
{
	if (divert_is(fd))
		return divert_send(fd, buf, len, 0);
	return NEXT(write)(fd, buf, len);
}

PUBLIC ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	size_t sum;

	if (!divert_is(fd))
		return NEXT(writev)(fd, iov, n);
	return vector_fits(iov, n, &sum) ? divert_sendmsg(fd, &msg, 0) : -1;
}

/*
 * Fortified functions: if the length exceeds the buffer's size, the next function aborts the
 * program.
 */

PUBLIC ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	if (len <= size && divert_is(fd))
		return read_packet(fd, buf, len);
	return NEXT(__read_chk)(fd, buf, len, size);
}

PUBLIC ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (len <= size && divert_is(fd))
		return divert_recv(fd, buf, len, flags);
	return NEXT(__recv_chk)(fd, buf, len, size, flags);
}

PUBLIC ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags,
			      struct sockaddr *from, socklen_t *fromlen)
{
	if (len <= size && divert_is(fd))
		return divert_recvfrom(fd, buf, len, flags, from, fromlen);
	return NEXT(__recvfrom_chk)(fd, buf, len, size, flags, from, fromlen);
}

/* The kernel handles other requests, above all FIONBIO, on the descriptor itself. */
PUBLIC int ioctl(int fd, ioctl_request request, ...)
{
	va_list args;
	void *arg;
	int n;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if ((request != FIONREAD && request != FIOASYNC) || !divert_is(fd))
		return NEXT(ioctl)(fd, request, arg);
	if (request == FIOASYNC)
		return 0; /* sockets accept it; a divert socket sends no signals */
	n = divert_nread(fd);
	if (n < 0)
		return -1;
	if (!arg) {
		errno = EFAULT;
		return -1;
	}
	*(int *)arg = n;
	return 0;
}
