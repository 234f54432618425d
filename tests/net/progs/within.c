// SPDX-License-Identifier: BSD-2-Clause
/*
 * within NAMESPACE COMMAND...: runs the command in a network namespace of ip-netns(8)
 *
 * "ip netns exec" also makes a mount namespace, and mounts /sys in it. That takes longer than most
 * of the commands that tests run. Here /sys stays that of the namespace that a test started from.
 */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[256];
	int fd;

	if (argc < 3)
		errx(2, "within NAMESPACE COMMAND...");
	snprintf(path, sizeof(path), "/run/netns/%s", argv[1]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		err(1, "%s", path);
	execvp(argv[2], argv + 2);
	err(127, "%s", argv[2]);
}
