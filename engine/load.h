/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the code that finds, loads and upgrades the kernel half. -errno, and engine_error(). */
#ifndef DIVERT_ENGINE_LOAD_H
#define DIVERT_ENGINE_LOAD_H

#include <bpf/libbpf.h>
#include <stdarg.h>

#include "engine.h"

#define NEEDS "needs root (CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN)"

/* Discards libbpf's messages: the library never prints. */
int engine_silent(enum libbpf_print_level level, const char *format, va_list args);

/* Initialise an engine with nothing open in it. */
void engine_clear(struct engine *e);

/* The enum engine_map for a map's name; -1: it is none of these. */
int engine_map_of(const char *name);

/* Keep the descriptor of a map if it is one of the engine's, else close it. */
void engine_keep_map(struct engine *e, int fd);

/*
 * Open the loaded engine. -ENOENT: there is none.
 * -EINPROGRESS: it is incompletely loaded or removed; a caller with the lock undoes it. Its
 *   remaining parts are open, and an unknown identity is 0xff.
 * -EPROTO: another layout. The identity, and the maps that this build knows by name, are open all
 *   the same; read only what engine/layout.h calls stable.
 */
int engine_find(struct engine *e);

/*
 * Load the programs of this build without hooking them. old: NULL, or the engine to replace: they
 * take over its secrets and, if the layout is the same, its maps.
 */
int engine_load_programs(struct engine *e, const struct engine *old);
int engine_write_identity(struct engine *e);

/* engine_find() with the lock held: an incomplete engine is removed, which gives -ENOENT. */
int engine_find_or_undo(struct engine *e);

/* Mark the engine as incomplete before its removal: engine_find() then gives -EINPROGRESS. */
int engine_unfinish(struct engine *e);

/*
 * Attach the first hook, egress of lo. From now on the engine, still incomplete, can be found
 * (engine/attach.c).
 */
int engine_attach_first(struct engine *e);

/*
 * Copy a table's entries to another engine, if the table has the same format in both
 * (engine/table.c).
 */
int engine_table_copy(struct engine *from, struct engine *to, enum engine_map map);

/*
 * Record where there are hooks of an engine, of any version, because this engine's reinjection
 * needs to know (engine/attach.c).
 */
int engine_attach_noted(struct engine *e);

#endif
