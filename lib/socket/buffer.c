// SPDX-License-Identifier: BSD-2-Clause
/*
 * Enlarge the receive buffer. A ring cannot grow, so a new one replaces it on the same descriptors.
 * That is possible only while no port, no other process and no call in progress refers to the old
 * one.
 */
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/core/fdtable.h"

/* Is the caller the only one inside? Others that come wait for the lock. */
static bool alone(const struct dsock *s)
{
	uint32_t descriptors = 0;
	int fd;

	for (fd = fdtable_next(0); fd >= 0; fd = fdtable_next(fd + 1))
		descriptors += fdtable_get(fd) == s;
	return __atomic_load_n(&s->users, __ATOMIC_ACQUIRE) == descriptors + 1;
}

/*
 * Replace one descriptor by the ring and keep its flags. Uses system calls directly, because the
 * interposer would take these calls for the program's.
 */
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
		return; /* the process has dropped its privileges, or is out of memory */
	if (!ring_map(&fresh, ring_fd)) {
		for (fd = fdtable_next(0); fd >= 0 && !rc; fd = fdtable_next(fd + 1))
			if (fdtable_get(fd) == s)
				rc = replace(fd, ring_fd);
		ring_unmap(rc ? &fresh : &s->ring);
		if (!rc)
			s->ring = fresh;
	}
	syscall(SYS_close, ring_fd);
}
