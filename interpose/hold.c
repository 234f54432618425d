// SPDX-License-Identifier: BSD-2-Clause
/*
 * The rules of divert-run -r end when the last process closes a descriptor. Daemons close all that
 * they do not know; this one is kept.
 */
#include "interpose/child.h"
#include "interpose/next.h"

#include <divert-interposer.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is the descriptor this BPF map? A child may have put another file there. */
static int is_map(int fd, unsigned int map)
{
	char path[64], text[512], wanted[32];
	ssize_t len;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return 0;
	len = syscall(SYS_read, info, text, sizeof(text) - 1);
	syscall(SYS_close, info);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	snprintf(wanted, sizeof(wanted), "map_id:\t%u\n", map);
	return strstr(text, wanted) != NULL;
}

__attribute__((constructor)) static void hold(void)
{
	const char *at = getenv("DIVERT_RUN_RULES");
	const int saved = errno;
	unsigned int map;
	int fd, len;

	for (; at && sscanf(at, "%d:%u %n", &fd, &map, &len) == 2; at += len)
		if (fd > 2 && is_map(fd, map) && !divert_keep_inner(fd))
			watch_children();
	errno = saved;
}
