/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints how many slots this namespace's engine holds for sockets, living or dead. With "look", it
 * does not first give back the slots of dead sockets.
 */
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "engine/engine.h"

int main(int argc, char **argv)
{
	uint32_t slot, id, n = 0;
	struct engine e;

	if (engine_open(&e, argc > 1 && !strcmp(argv[1], "look") ? ENGINE_SOCKET : 0)) {
		fprintf(stderr, "engine_slots: %s\n", engine_error());
		return 1;
	}
	for (slot = 0; slot < DIVERT_SOCKETS_MAX; slot++)
		n += !bpf_map_lookup_elem(e.map[ENGINE_SOCKETS], &slot, &id);
	engine_close(&e);
	printf("%u\n", n);
	return 0;
}
