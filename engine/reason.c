// SPDX-License-Identifier: BSD-2-Clause
/* Explains a failed system call: errno in words, the limit's value, and how to fix it. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "load.h"

/* ---- privilege ---- */

/* Capabilities that NEEDS may contain. */
static const struct {
	const char *name;
	unsigned int bit;
} capability[] = {
	{"CAP_NET_ADMIN", CAP_NET_ADMIN},
	{"CAP_NET_RAW", CAP_NET_RAW},
	{"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
	{"CAP_PERFMON", CAP_PERFMON},
	{"CAP_BPF", CAP_BPF},
	{"CAP_SYS_RESOURCE", CAP_SYS_RESOURCE},
};

#define CAPABILITIES (sizeof(capability) / sizeof(*capability))

static uint64_t effective(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	uint64_t caps;

	if (syscall(SYS_capget, &head, data))
		return 0;
	caps = data[0].effective | (uint64_t)data[1].effective << 32;
	/* it includes these two, which were split off from it */
	if (caps >> CAP_SYS_ADMIN & 1)
		caps |= 1ull << CAP_BPF | 1ull << CAP_PERFMON;
	return caps;
}

/* The initial user namespace maps every user to itself. */
static int in_user_namespace(void)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long first = 0, to = 0, n = 4294967295;

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu %lu", &first, &to, &n) != 3)
		n = 0; /* no user is mapped yet */
	fclose(f);
	return first || to || n != 4294967295;
}

/* List the missing ones: "CAP_BPF, CAP_PERFMON". Returns how many. */
static unsigned int missing(char *text, size_t size, unsigned int *asked)
{
	const uint64_t caps = effective();
	unsigned int n = 0;
	size_t i, len = 0;

	*asked = 0;
	*text = '\0';
	for (i = 0; i < CAPABILITIES; i++) {
		if (!strstr(NEEDS, capability[i].name))
			continue;
		++*asked;
		if (caps >> capability[i].bit & 1)
			continue;
		len += snprintf(text + len, size - len, "%s%s", n ? ", " : "", capability[i].name);
		n++;
	}
	return n;
}

static void privilege(char *text, size_t size)
{
	unsigned int n, asked;
	char lacks[160];

	n = missing(lacks, sizeof(lacks), &asked);
	if (in_user_namespace())
		snprintf(text, size,
			 NEEDS "; capabilities count in the initial user namespace only, and this "
			       "process is in another one: start it outside, or its container "
			       "without one ('docker run --userns=host', podman and LXC as root)");
	else if (!n)
		snprintf(text, size,
			 NEEDS "; this process has them, but a filter of system calls (docker: "
			       "'--security-opt seccomp=unconfined'), a security module or "
			       "lockdown forbids the call");
	else if (n < asked)
		snprintf(text, size, NEEDS "; this process lacks %s", lacks);
	else
		snprintf(text, size, NEEDS);
}

/* ---- other errors ---- */

static void files_of_process(char *text, size_t size)
{
	struct rlimit limit = {};

	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(text, size,
		 "%s: this process may have %llu (RLIMIT_NOFILE); 'ulimit -n NUMBER' before it "
		 "starts, or LimitNOFILE= of its systemd unit, gives it more",
		 strerror(EMFILE), (unsigned long long)limit.rlim_cur);
}

static void files_of_host(char *text, size_t size)
{
	FILE *f = fopen("/proc/sys/fs/file-max", "re"); /* root has a reserve */
	unsigned long long most = 0;

	if (f && fscanf(f, "%llu", &most) != 1)
		most = 0;
	if (f)
		fclose(f);
	snprintf(text, size,
		 "%s: the host may have %llu; 'sysctl fs.file-max=NUMBER' gives it more",
		 strerror(ENFILE), most);
}

void engine_reason(int error, char *text, size_t size)
{
	int len;

	switch (error < 0 ? -error : error) {
	case EPERM:
		len = snprintf(text, size, "%s: ", strerror(EPERM));
		if (len < (int)size)
			privilege(text + len, size - len);
		break;
	case EMFILE:
		files_of_process(text, size);
		break;
	case ENFILE:
		files_of_host(text, size);
		break;
	case ENOMEM:
		snprintf(text, size,
			 "%s: the host's, or the limit of its control group (memory.max), is "
			 "used up",
			 strerror(ENOMEM));
		break;
	case EROFS:
		snprintf(text, size,
			 "%s: remount it ('mount -o remount,bind,rw /proc/sys'), or start the "
			 "container with it writable ('docker run --privileged' or "
			 "'--security-opt systempaths=unconfined')",
			 strerror(EROFS));
		break;
	default:
		snprintf(text, size, "%s", strerror(error < 0 ? -error : error));
	}
}
