// SPDX-License-Identifier: BSD-2-Clause
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"

#define LOCK_FILE "/proc/sys/net/ipv4/route/flush"

/* The order is that of struct divert_identity's sysctl_was. */
static const struct {
	const char *path;
	const char *why;
} setting[] = {
	/* the route look-up of the kernel half answers only where lo forwards */
	{"/proc/sys/net/ipv4/conf/lo/forwarding", "routing"},
	{"/proc/sys/net/ipv6/conf/lo/forwarding", "routing"},
	/* written back, a packet of this host to itself has lost the route that exempts it */
	{"/proc/sys/net/ipv4/conf/lo/accept_local", "loopback"},
	{"/proc/sys/net/ipv4/conf/lo/route_localnet", "loopback"},
};

#define SETTINGS (sizeof(setting) / sizeof(*setting))

/* Write '0' + value if it is not that; the old value, or -errno. */
static int exchange(const char *path, char value)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char was = 0;
	int rc;

	if (fd < 0)
		return -errno;
	if (read(fd, &was, 1) != 1)
		rc = -EIO;
	else if (was != value && pwrite(fd, &value, 1, 0) != 1)
		rc = -errno;
	else
		rc = was - '0';
	close(fd);
	return rc;
}

int sysctl_set(uint8_t was[8])
{
	size_t i;
	int rc;

	memset(was, 0xff, 8);
	for (i = 0; i < SETTINGS; i++) {
		rc = exchange(setting[i].path, '1');
		if (rc == -ENOENT)
			continue; /* no IPv6 */
		if (rc < 0) {
			sysctl_restore(was);
			return engine_fail_errno(rc, "%s has to be 1 for %s, and cannot be set",
						 setting[i].path, setting[i].why);
		}
		if (rc != 1)
			was[i] = rc;
	}
	return 0;
}

void sysctl_restore(const uint8_t was[8])
{
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		if (was[i] != 0xff)
			exchange(setting[i].path, '0' + was[i]);
}

static int open_lock(void)
{
	int fd = open(LOCK_FILE, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		return engine_fail_privilege();
	if (errno == ENOENT) /* which would say that no engine is loaded */
		return engine_fail(-ENODEV, "%s is not there: 'mount -t proc proc /proc'",
				   LOCK_FILE);
	return engine_fail_errno(-errno, "%s has to be open for writing", LOCK_FILE);
}

int sysctl_may_lock(void)
{
	int fd = open_lock();

	if (fd >= 0)
		close(fd);
	return fd == -EPERM ? fd : 0;
}

int sysctl_lock(void)
{
	int fd = open_lock();

	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR) {
			int error = errno;

			close(fd);
			return engine_fail_errno(-error, "%s: lock", LOCK_FILE);
		}
	}
	return fd;
}
