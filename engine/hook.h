/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hooks of one interface. Linux 6.6 and later run a chain of programs on each side (TCX), and then the classic
 * filters of the clsact qdisc, unless a program ended the chain: the engine's program is the first of the chain. Older
 * kernels have the filters alone. -errno everywhere.
 */
#ifndef DIVERT_ENGINE_HOOK_H
#define DIVERT_ENGINE_HOOK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hook_side {
	HOOK_IN,
	HOOK_OUT,
};

/* One of those that a packet meets on one side. */
struct hook {
	uint32_t prog_id;	/* 0: a filter that runs no program */
	uint32_t prio;		/* of a classic filter; 0: of the chain */
	uint32_t handle;	/* of a classic filter */
	uint32_t protocol;	/* of a classic filter, host order */
	bool bpf;		/* a program, or a classic filter of the kind bpf */
	bool ours;		/* an engine's, of any version and namespace */
	char name[IF_NAMESIZE]; /* the program's, or the filter's kind */
};

/* Does this kernel have the chain? */
bool hook_has_chain(void);

/* The id of the engine's program there; 0: there is none. */
int hook_query(uint32_t ifindex, enum hook_side side, uint32_t *prog_id);

/*
 * Hook the program, whose id is prog_id, in the place of another one of an engine's, or before all others: into the
 * chain, or as a classic filter, as the program was made for. Other people's are left alone.
 */
int hook_attach(uint32_t ifindex, enum hook_side side, int prog_fd, uint32_t prog_id, bool chain);

/* Name what packets meet before the program of this id: "'a', 'b'". How many these are. -ENOENT: it is not there. */
int hook_before(uint32_t ifindex, enum hook_side side, uint32_t prog_id, char *names, size_t size);

/* Take the engine's program away. */
int hook_detach(uint32_t ifindex, enum hook_side side);

/*
 * Add the qdisc, which only classic filters need; *ours: it was not there before. -EEXIST: the older ingress is there,
 * which has no egress, and would take a filter for that as one of its own.
 */
int hook_qdisc_add(uint32_t ifindex, int *ours);
/* Remove the qdisc if nothing but we used it. */
int hook_qdisc_remove(uint32_t ifindex);

#endif
