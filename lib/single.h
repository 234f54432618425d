/* SPDX-License-Identifier: BSD-2-Clause */
/* Has this process a single thread? Of a C library that does not tell, as musl, it is taken to have more. */
#ifndef DIVERT_SINGLE_H
#define DIVERT_SINGLE_H

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define is_single_threaded() (__libc_single_threaded)
#else
#define is_single_threaded() (0)
#endif

#endif
