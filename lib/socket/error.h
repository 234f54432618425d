/* SPDX-License-Identifier: BSD-2-Clause */
/* Error messages of divert_socket() and divert_bind(), for divert_error(). */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

/* Store the message for this thread and set errno. Always returns -1. */
int refuse(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with the engine's message, or with `what` and the meaning of errno. */
int refuse_engine(int error);
int refuse_errno(int error, const char *what);

#endif
