// SPDX-License-Identifier: BSD-2-Clause
/* Counters of the rules: the kernel half's counts, minus their values at the last reset. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "engine.h"
#include "error.h"

static int read_sum(struct engine *e, uint32_t counter, struct divert_rule_counter *sum)
{
	int i, rc = 0, n = libbpf_num_possible_cpus();
	struct divert_rule_counter *cpu;

	memset(sum, 0, sizeof(*sum));
	cpu = n > 0 ? calloc(n, sizeof(*cpu)) : NULL;
	if (!cpu)
		return engine_fail(-ENOMEM, "no memory for counters");
	if (bpf_map_lookup_elem(e->map[ENGINE_RULE_COUNTERS], &counter, cpu))
		rc = engine_fail_errno(-errno, "counter %u", counter);
	for (i = 0; !rc && i < n; i++) {
		sum->packets += cpu[i].packets;
		sum->bytes += cpu[i].bytes;
		if (cpu[i].last > sum->last)
			sum->last = cpu[i].last;
	}
	free(cpu);
	return rc;
}

/*
 * Read the count since the last reset. Unsigned differences stay correct when the sum wraps around.
 */
static int read_since(struct engine *e, uint32_t counter, struct divert_rule_base *base,
		      struct divert_rule_counter *sum)
{
	int rc;

	/* read the base first: a base that is set meanwhile would exceed the sum */
	if (bpf_map_lookup_elem(e->map[ENGINE_RULE_BASES], &counter, base))
		return engine_fail_errno(-errno, "counter %u", counter);
	rc = read_sum(e, counter, sum);
	if (rc)
		return rc;
	sum->packets -= base->packets;
	sum->bytes -= base->bytes;
	if (!sum->packets)
		sum->last = 0;
	return 0;
}

int engine_counter_get(struct engine *e, uint32_t counter, struct divert_rule_counter *sum)
{
	struct divert_rule_base base;

	return read_since(e, counter, &base, sum);
}

int engine_counter_zero(struct engine *e, uint32_t counter, struct divert_rule_counter *sum)
{
	struct divert_rule_counter was;
	struct divert_rule_base base;
	int rc = read_since(e, counter, &base, &was);

	if (rc)
		return rc;
	base.packets += was.packets;
	base.bytes += was.bytes;
	if (bpf_map_update_elem(e->map[ENGINE_RULE_BASES], &counter, &base, BPF_EXIST))
		return engine_fail_errno(-errno, "counter %u", counter);
	if (sum)
		*sum = was;
	return 0;
}
