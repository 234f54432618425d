/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIVERT_RUN_PROGRAM_H
#define DIVERT_RUN_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* Find the file that execvp(3) would run. */
bool find_program(const char *name, char path[PATH_MAX]);

/* Why the dynamic loader would not preload a library into this program; NULL if it would. */
const char *why_not_preloadable(const char *path);

#endif
