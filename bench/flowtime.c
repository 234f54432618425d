/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flowtime FLOWS ID: runs the BPF program with this ID on the first packet of so many UDP flows,
 * then on the second packet of each, in another order. Prints: made NS found NS, the time that a
 * run took on average, by the kernel's own clock.
 */
#include <bpf/bpf.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 2654435761u /* odd: so each number below a power of two comes once */

static unsigned char packet[60] = {
	[12] = 8,  [14] = 0x45, [17] = 46, [22] = 64, [23] = 17, [26] = 10,
	[30] = 10, [34] = 0,	[36] = 0,  [37] = 53, [39] = 26,
};

/* From 10.N.N.N, port 1024 and more, to 10.0.0.1, port 53. */
static void number(uint32_t n)
{
	const uint16_t port = (uint16_t)(1024 + (n & 1023));

	packet[27] = (unsigned char)(1 + (n >> 26));
	packet[28] = (unsigned char)(n >> 18);
	packet[29] = (unsigned char)(n >> 10);
	packet[33] = 1;
	packet[34] = (unsigned char)(port >> 8);
	packet[35] = (unsigned char)port;
}

static double run(int fd, uint32_t flows, uint32_t step)
{
	unsigned long long sum = 0;
	uint32_t i, n = 0;

	for (i = 0; i < flows; i++, n += step) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = sizeof(packet), .repeat = 1);

		number(n % flows);
		if (bpf_prog_test_run_opts(fd, &opts))
			err(1, "a run of the program");
		sum += opts.duration;
	}
	return (double)sum / flows;
}

int main(int argc, char **argv)
{
	double made, found;
	uint32_t flows;
	int fd;

	if (argc != 3)
		errx(2, "usage: flowtime FLOWS ID");
	flows = (uint32_t)atol(argv[1]);
	fd = bpf_prog_get_fd_by_id((uint32_t)atol(argv[2]));
	if (fd < 0)
		err(1, "program %s", argv[2]);
	made = run(fd, flows, 1);
	found = run(fd, flows, STEP);
	printf("made %.0f found %.0f\n", made, found);
	return fflush(stdout) ? 1 : 0;
}
