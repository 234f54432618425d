/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaches an XDP program and detaches it, again and again, in a network namespace of its own. The
 * kernel keeps a table of such programs for the whole host. Each time it locks the table until all
 * CPUs have passed a quiescent state (RCU). Prints how long that takes, in us, and "ready".
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 10

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(void)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);
	unsigned long n;
	long since;

	if (prog < 0 || unshare(CLONE_NEWNET))
		err(1, "an XDP program, in a network namespace");
	since = now_us();
	for (n = 1;; n++) {
		if (bpf_xdp_attach(1, prog, 0, NULL) || bpf_xdp_detach(1, 0, NULL))
			err(1, "attaching it");
		if (n == ROUNDS) {
			printf("%ld ready\n", (now_us() - since) / (2 * ROUNDS));
			fflush(stdout);
		}
	}
}
