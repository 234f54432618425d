/* SPDX-License-Identifier: BSD-2-Clause */
/* The sentence behind a failure: see engine_error(). */
#ifndef DIVERT_ENGINE_ERROR_H
#define DIVERT_ENGINE_ERROR_H

/* Store the sentence for this thread. Returns error: `return engine_fail(-EPERM, ...)`. */
int engine_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: engine_reason(error) is appended. */
int engine_fail_errno(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns -EPERM. The sentence says what is needed, what this process lacks, and how to get it. */
int engine_fail_privilege(void);

#endif
