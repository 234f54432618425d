/* SPDX-License-Identifier: BSD-2-Clause */
/* The sentence behind a failure of divert_socket() and divert_bind(): see divert_error(). */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

/* Remember the sentence for this thread, and set errno; -1, always. */
int refuse(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same; the sentence is the engine's, or goes on with what errno means. */
int refuse_engine(int error);
int refuse_errno(int error, const char *what);

#endif
