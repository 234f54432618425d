// SPDX-License-Identifier: BSD-2-Clause
/*
 * System calls for TCX. libbpf has them since 1.3 and the kernel headers since 6.6, but we also
 * build with older ones.
 */
#include "chain.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

/* enum bpf_attach_type */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

#define FLAG_BEFORE  (1u << 3)
#define FLAG_REPLACE (1u << 2)

/* The part of union bpf_attr for BPF_PROG_ATTACH and BPF_PROG_DETACH. */
struct attach_attr {
	uint32_t ifindex, prog_fd, type, flags, replace_fd, relative;
	uint64_t revision;
};

/* The part of union bpf_attr for BPF_PROG_QUERY. */
struct query_attr {
	uint32_t ifindex, type, query_flags, attach_flags;
	uint64_t ids;
	uint32_t count, reserved;
	uint64_t attach_flags_of, link_ids, link_flags_of;
	uint64_t revision;
};

static uint32_t type_of(enum hook_side side)
{
	return side == HOOK_IN ? TCX_INGRESS : TCX_EGRESS;
}

static int call(int command, void *attr, size_t size)
{
	return syscall(SYS_bpf, command, attr, size) < 0 ? -errno : 0;
}

int chain_list(uint32_t ifindex, enum hook_side side, uint32_t *id, uint32_t max)
{
	struct query_attr attr = {.ifindex = ifindex,
				  .type = type_of(side),
				  .ids = (uintptr_t)id,
				  .count = max};
	int rc = call(BPF_PROG_QUERY, &attr, sizeof(attr));

	/* some kernels report an empty chain this way */
	if (rc == -ENOENT)
		return 0;
	return rc ? rc : (int)attr.count;
}

int chain_attach(uint32_t ifindex, enum hook_side side, int prog_fd, int old_fd)
{
	struct attach_attr attr = {.ifindex = ifindex, .prog_fd = prog_fd, .type = type_of(side)};

	if (old_fd < 0) {
		attr.flags = FLAG_BEFORE;
	} else {
		attr.flags = FLAG_REPLACE;
		attr.replace_fd = old_fd;
	}
	return call(BPF_PROG_ATTACH, &attr, sizeof(attr));
}

int chain_detach(uint32_t ifindex, enum hook_side side, int prog_fd)
{
	struct attach_attr attr = {.ifindex = ifindex, .prog_fd = prog_fd, .type = type_of(side)};

	return call(BPF_PROG_DETACH, &attr, sizeof(attr));
}
