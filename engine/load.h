/* SPDX-License-Identifier: BSD-2-Clause */
/* What finding, loading and upgrading the kernel half share. -errno, and engine_error(). */
#ifndef DIVERT_ENGINE_LOAD_H
#define DIVERT_ENGINE_LOAD_H

#include <bpf/libbpf.h>
#include <stdarg.h>

#include "engine.h"

#define LO_IFINDEX 1
#define NEEDS	   "needs root (CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN)"

/* Libbpf's own words go nowhere: the library never prints. */
int engine_silent(enum libbpf_print_level level, const char *format, va_list args);

/* Nothing open in it; the first thing to do with one. */
void engine_clear(struct engine *e);

/* The enum engine_map of a map's name; -1: it is none of these. */
int engine_map_of(const char *name);

/* Take the descriptor of a map as one of the engine's, or close it. */
void engine_keep_map(struct engine *e, int fd);

/*
 * Open what is loaded. With -EPROTO the identity, and those of its maps that this build knows by name, are
 * there all the same; only what engine/layout.h calls stable may be read of them.
 */
int engine_find(struct engine *e);

/*
 * Load the programs of this build, hooked nowhere yet. old: NULL, or the engine that they are to take over from:
 * they have its secrets, and, if its layout is theirs, its maps.
 */
int engine_load_programs(struct engine *e, const struct engine *old);
int engine_write_identity(struct engine *e);

#endif
