/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpftime MILLISECONDS ID...: makes the kernel measure the run time of BPF programs for that long.
 * For each ID it prints: ID runs N ns N. The kernel stops measuring when this program ends, however
 * it ends, unless kernel.bpf_stats_enabled was on before.
 */
#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PROGRAMS_MAX 16

struct sample {
	unsigned long long runs, ns;
};

static struct sample take(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		err(1, "bpf_obj_get_info_by_fd");
	return (struct sample){.runs = info.run_cnt, .ns = info.run_time_ns};
}

int main(int argc, char **argv)
{
	struct sample before[PROGRAMS_MAX], after;
	int i, n = argc - 2, fd[PROGRAMS_MAX];
	struct timespec ts;
	long ms;

	if (n < 1 || n > PROGRAMS_MAX)
		errx(2, "usage: bpftime MILLISECONDS ID...");
	ms = atol(argv[1]);
	ts = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	for (i = 0; i < n; i++) {
		fd[i] = bpf_prog_get_fd_by_id((uint32_t)atol(argv[i + 2]));
		if (fd[i] < 0)
			err(1, "program %s", argv[i + 2]);
	}
	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		err(1, "bpf_enable_stats");
	for (i = 0; i < n; i++)
		before[i] = take(fd[i]);
	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
	for (i = 0; i < n; i++) {
		after = take(fd[i]);
		printf("%s runs %llu ns %llu\n", argv[i + 2], after.runs - before[i].runs,
		       after.ns - before[i].ns);
	}
	return fflush(stdout) ? 1 : 0;
}
