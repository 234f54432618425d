/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hooks of one interface. Linux 6.6 and later run a chain of programs on each side (TCX), then
 * the classic filters of the clsact qdisc unless a program ended the chain; the engine's program is
 * the first of the chain. Older kernels have the filters only. All calls return -errno on failure.
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

/* A program or filter that packets meet on one side. */
struct hook {
	uint32_t prog_id;	/* 0: a filter that runs no program */
	uint32_t prio;		/* of a classic filter; 0: a program of the chain */
	uint32_t handle;	/* of a classic filter */
	uint32_t protocol;	/* of a classic filter, host order */
	bool bpf;		/* a program of the chain, or a classic filter of the kind bpf */
	bool ours;		/* an engine's, of any version and namespace */
	char name[IF_NAMESIZE]; /* the program's, or the filter's kind */
};

/* Does this kernel have the chain? */
bool hook_has_chain(void);

/* The id of the engine's program there; 0: there is none. */
int hook_query(uint32_t ifindex, enum hook_side side, uint32_t *prog_id);

/* Is the chain empty? Also false if this kernel has no chain. */
bool hook_is_bare(uint32_t ifindex, enum hook_side side);

/*
 * Attach the program, whose id is prog_id: in place of another engine program, or else before all
 * others. chain: into the chain, else as a classic filter; the program was made for one of them.
 * Other hooks are left alone.
 */
int hook_attach(uint32_t ifindex, enum hook_side side, int prog_fd, uint32_t prog_id, bool chain);

/*
 * Name the programs and filters that run before the program with this id: "'a', 'b'". Returns how
 * many. -ENOENT: the program is not there.
 */
int hook_before(uint32_t ifindex, enum hook_side side, uint32_t prog_id, char *names, size_t size);

/* Detach the engine's program. */
int hook_detach(uint32_t ifindex, enum hook_side side);

/*
 * Add the clsact qdisc, which only classic filters need; *ours: it was not there before. -EEXIST:
 * the older ingress qdisc is there; it has no egress, and would take an egress filter as one of its
 * own.
 */
int hook_qdisc_add(uint32_t ifindex, int *ours);
/* Is the interface's qdisc one that hook_qdisc_add() added? 1, 0. */
int hook_qdisc_is_ours(uint32_t ifindex);
/* Remove the qdisc if only we used it. */
int hook_qdisc_remove(uint32_t ifindex);

#endif
