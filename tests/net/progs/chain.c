/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hangs on an interface by TCX, of which no tool of Debian 12 tells:
 *	chain list IFACE in|out			id and name of each program, in order; nothing: none
 *	chain attach IFACE in|out VERDICT [first]	a program that answers every packet so, as the last or the first one
 *	chain detach IFACE in|out VERDICT		take that away
 *	chain take IFACE in|out			take an engine's program away
 * Exit status 77: this kernel has no TCX.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BEFORE (1u << 3)

static uint32_t ifindex, type;

static int bpf(int command, void *attr, size_t size)
{
	return syscall(SYS_bpf, command, attr, size);
}

static void die(const char *what)
{
	fprintf(stderr, "chain: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int query(uint32_t *id)
{
	struct {
		uint32_t ifindex, type, query_flags, attach_flags;
		uint64_t ids;
		uint32_t count, reserved;
		uint64_t more[4];
	} q = {.ifindex = ifindex, .type = type, .ids = (uintptr_t)id, .count = 64};

	if (bpf(BPF_PROG_QUERY, &q, sizeof(q))) {
		if (errno == EINVAL)
			exit(77);
		die("query");
	}
	return q.count;
}

static int open_id(uint32_t id, struct bpf_prog_info *info)
{
	union bpf_attr attr = {.prog_id = id};
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));

	if (fd < 0)
		die("program");
	memset(info, 0, sizeof(*info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info = (uintptr_t)info;
	attr.info.info_len = sizeof(*info);
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		die("program");
	return fd;
}

static int load(int verdict, const char *name)
{
	struct bpf_insn insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)insn,
		.insn_cnt = 2,
		.license = (uintptr_t) "BSD",
	};
	int fd;

	snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
	fd = bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		die("load");
	return fd;
}

static void change(int command, int fd, uint32_t flags)
{
	struct {
		uint32_t ifindex, fd, type, flags, replace, relative;
		uint64_t revision;
	} a = {.ifindex = ifindex, .fd = fd, .type = type, .flags = flags};

	if (bpf(command, &a, sizeof(a)))
		die(command == BPF_PROG_ATTACH ? "attach" : "detach");
}

int main(int argc, char **argv)
{
	struct bpf_prog_info info;
	char name[BPF_OBJ_NAME_LEN];
	uint32_t id[64];
	int i, n, fd;

	if (argc < 4)
		return 2;
	ifindex = if_nametoindex(argv[2]);
	type = strcmp(argv[3], "in") ? 47 : 46;
	if (!ifindex)
		die(argv[2]);
	n = query(id);
	if (!strcmp(argv[1], "list")) {
		for (i = 0; i < n; i++) {
			close(open_id(id[i], &info));
			printf("%u %s\n", id[i], info.name);
		}
		return 0;
	}
	snprintf(name, sizeof(name), "answer_%d", argc > 4 ? atoi(argv[4]) & 0xff : 0);
	if (!strcmp(argv[1], "take"))
		snprintf(name, sizeof(name), "divert_%s", argv[3]);
	if (!strcmp(argv[1], "attach")) {
		change(BPF_PROG_ATTACH, load(atoi(argv[4]), name), argc > 5 ? BEFORE : 0);
		return 0;
	}
	for (i = 0; i < n; i++) {
		fd = open_id(id[i], &info);
		if (!strcmp(info.name, name))
			change(BPF_PROG_DETACH, fd, 0);
		close(fd);
	}
	return 0;
}
