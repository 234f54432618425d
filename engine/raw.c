// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds ordinary raw sockets with a divert protocol number: their programs were not started by
 * divert-run.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define INODES 64

struct raws {
	unsigned long inode[INODES];
	bool found[INODES]; /* a process holds it */
	int n, left;	    /* left: not found yet */
};

/*
 * To the kernel 258 is a protocol like any other. /proc shows it where TCP has its port:
 * "00000000:0102".
 */
static void list(const char *path, struct raws *raws)
{
	FILE *f = fopen(path, "re");
	unsigned long inode;
	unsigned int protocol;
	char line[256];

	while (f && fgets(line, sizeof(line), f) && raws->n < INODES)
		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %*s %lu", &protocol,
			   &inode) == 2 &&
		    (protocol == 258 || protocol == 254))
			raws->inode[raws->n++] = inode;
	if (f)
		fclose(f);
}

static bool is_one(struct raws *raws, unsigned long inode)
{
	int i;

	for (i = 0; i < raws->n && raws->inode[i] != inode; i++)
		;
	if (i == raws->n)
		return false;
	raws->left -= !raws->found[i];
	raws->found[i] = true;
	return true;
}

/* Check all descriptors of the process: it may hold several of the sockets. */
static bool has(const char *pid, struct raws *raws)
{
	const struct dirent *entry;
	unsigned long inode;
	char path[300], to[64];
	bool found = false;
	ssize_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	while (dir && raws->left && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1);
		to[len < 0 ? 0 : len] = '\0';
		if (sscanf(to, "socket:[%lu]", &inode) == 1)
			found |= is_one(raws, inode);
	}
	if (dir)
		closedir(dir);
	return found;
}

int engine_raw_sockets(char *text, size_t size)
{
	struct raws raws = {};
	const struct dirent *entry;
	DIR *proc;

	*text = '\0';
	list("/proc/net/raw", &raws);
	list("/proc/net/raw6", &raws);
	raws.left = raws.n;
	proc = raws.n ? opendir("/proc") : NULL;
	while (proc && raws.left && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name) && has(entry->d_name, &raws))
			engine_program(entry->d_name, text, size);
	if (proc)
		closedir(proc);
	return raws.n;
}
