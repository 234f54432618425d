/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shows and changes what is attached to an interface by TCX. No tool of Debian 12 shows it.
 *
 *	chain list IFACE in|out			id and name of each program, in order
 *	chain attach IFACE in|out VERDICT [first]
 *		attach a program with this verdict for every packet, as the last or the first one
 *	chain count IFACE in|out VERDICT		how many packets that program has met
 *	chain detach IFACE in|out VERDICT		detach it
 *	chain take IFACE in|out			detach an engine's program
 *
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

static int counter_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(uint64_t),
		.max_entries = 1,
	};
	int fd = bpf(BPF_MAP_CREATE, &attr, sizeof(attr));

	if (fd < 0)
		die("map");
	return fd;
}

static int load(int verdict, const char *name)
{
	struct bpf_insn insn[] = {
		{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -4},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = counter_map()},
		{},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = 1},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW,
		 .dst_reg = BPF_REG_0,
		 .src_reg = BPF_REG_1,
		 .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)insn,
		.insn_cnt = sizeof(insn) / sizeof(*insn),
		.license = (uintptr_t) "BSD",
	};
	int fd;

	snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
	fd = bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		die("load");
	return fd;
}

static uint64_t counted(int prog)
{
	uint32_t map_id = 0, zero = 0;
	uint64_t count = 0;
	struct bpf_prog_info info = {.nr_map_ids = 1, .map_ids = (uintptr_t)&map_id};
	union bpf_attr attr = {
		.info = {.bpf_fd = prog, .info = (uintptr_t)&info, .info_len = sizeof(info)}};

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		die("program");
	memset(&attr, 0, sizeof(attr));
	attr.map_id = map_id;
	attr.map_fd = bpf(BPF_MAP_GET_FD_BY_ID, &attr, sizeof(attr));
	attr.key = (uintptr_t)&zero;
	attr.value = (uintptr_t)&count;
	attr.flags = 0;
	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)))
		die("map");
	return count;
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
		if (!strcmp(info.name, name)) {
			if (!strcmp(argv[1], "count"))
				printf("%llu\n", (unsigned long long)counted(fd));
			else
				change(BPF_PROG_DETACH, fd, 0);
		}
		close(fd);
	}
	return 0;
}
