// SPDX-License-Identifier: BSD-2-Clause
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"

#define LOCK_FILE "/proc/sys/net/ipv4/route/flush"

/* In the order of sysctl_was in struct divert_identity. */
static const struct {
	const char *path;
	const char *why;
} setting[] = {
	/* bpf_fib_lookup() only works where lo forwards */
	{"/proc/sys/net/ipv4/conf/lo/forwarding", "routing"},
	{"/proc/sys/net/ipv6/conf/lo/forwarding", "routing"},
	/*
	 * a reinjected packet from this host to itself has lost the route that exempts it from
	 * these checks
	 */
	{"/proc/sys/net/ipv4/conf/lo/accept_local", "loopback"},
	{"/proc/sys/net/ipv4/conf/lo/route_localnet", "loopback"},
};

#define SETTINGS (sizeof(setting) / sizeof(*setting))

/* Write '0' + value if it differs; with LOOK, only read. Returns the old value, or -errno. */
#define LOOK -1
static int exchange(const char *path, int value)
{
	const char is = '0' + value;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char was = 0;
	int rc;

	if (fd < 0)
		return -errno;
	if (read(fd, &was, 1) != 1)
		rc = -EIO;
	else if (value != LOOK && was != is && pwrite(fd, &is, 1, 0) != 1)
		rc = -errno;
	else
		rc = was - '0';
	close(fd);
	return rc;
}

static int refused(size_t i, int rc)
{
	return engine_fail_errno(rc, "%s has to be 1 for %s, and cannot be set", setting[i].path,
				 setting[i].why);
}

int sysctl_look(uint8_t was[8])
{
	size_t i;
	int rc;

	memset(was, 0xff, 8);
	for (i = 0; i < SETTINGS; i++) {
		rc = exchange(setting[i].path, LOOK);
		if (rc == -ENOENT)
			continue; /* no IPv6 */
		if (rc < 0)
			return refused(i, rc);
		if (rc != 1)
			was[i] = rc;
	}
	return 0;
}

int sysctl_set(const uint8_t was[8])
{
	size_t i;
	int rc;

	for (i = 0; i < SETTINGS; i++) {
		rc = was[i] == 0xff ? 0 : exchange(setting[i].path, 1);
		if (rc < 0) {
			sysctl_restore(was);
			return refused(i, rc);
		}
	}
	return 0;
}

void sysctl_restore(const uint8_t was[8])
{
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		if (was[i] != 0xff)
			exchange(setting[i].path, was[i]);
}

static int open_lock(void)
{
	int fd = open(LOCK_FILE, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		return engine_fail_privilege();
	if (errno == ENOENT) /* ENOENT would mean that no engine is loaded */
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

int sysctl_try_lock(void)
{
	int fd = open_lock();

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -EAGAIN;
	}
	return fd;
}
