/* SPDX-License-Identifier: BSD-2-Clause */
/* The sentence behind a failure: see engine_error(). */
#ifndef DIVERT_ENGINE_ERROR_H
#define DIVERT_ENGINE_ERROR_H

/* Remember the sentence for this thread; returns error, so that `return engine_fail(-EPERM, ...)` reads well. */
int engine_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a system call that failed: the sentence goes on with engine_reason(error). */
int engine_fail_errno(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -EPERM, and what is needed, what this process lacks of it, and how to get it. */
int engine_fail_privilege(void);

#endif
