// SPDX-License-Identifier: BSD-2-Clause
/*
 * A larger buffer. A ring cannot grow: another takes its place, on the same descriptors. Nothing
 * must know the old one then: no port, no other process and no call that is under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "socket.h"
#include "table.h"

/* Nobody but the caller is inside: the others, when they come, wait for the lock. */
static bool alone(const struct dsock *s)
{
	uint32_t descriptors = 0;
	int fd;

	for (fd = table_next(0); fd >= 0; fd = table_next(fd + 1))
		descriptors += table_get(fd) == s;
	return __atomic_load_n(&s->users, __ATOMIC_ACQUIRE) == descriptors + 1;
}

/* Put the ring in the place of one descriptor, which keeps its flags. By system calls: they are not the program's. */
static int replace(int fd, int ring_fd)
{
	int flags = fcntl(fd, F_GETFD), status = fcntl(fd, F_GETFL), rc;

	if (flags < 0 || status < 0 ||
	    fcntl(ring_fd, F_SETFL, fcntl(ring_fd, F_GETFL) | (status & O_NONBLOCK)))
		return -errno;
	do {
		rc = syscall(SYS_dup3, ring_fd, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	} while (rc < 0 && (errno == EBUSY || errno == EINTR));
	return rc < 0 ? -errno : 0;
}

void socket_grow(struct dsock *s, size_t size)
{
	struct ring fresh;
	int fd, ring_fd, rc = 0;

	if (s->shared->bound || s->ring.eager || !alone(s))
		return;
	ring_fd = ring_create(size);
	if (ring_fd < 0)
		return; /* no privilege any more, or no memory */
	if (!ring_map(&fresh, ring_fd)) {
		for (fd = table_next(0); fd >= 0 && !rc; fd = table_next(fd + 1))
			if (table_get(fd) == s)
				rc = replace(fd, ring_fd);
		ring_unmap(rc ? &fresh : &s->ring);
		if (!rc)
			s->ring = fresh;
	}
	syscall(SYS_close, ring_fd);
}
