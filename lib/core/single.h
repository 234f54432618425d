/* SPDX-License-Identifier: BSD-2-Clause */
/* Does this process have a single thread? If the C library does not tell (musl), assume several. */
#ifndef DIVERT_SINGLE_H
#define DIVERT_SINGLE_H

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define is_single_threaded() (__libc_single_threaded)
#else
#define is_single_threaded() (0)
#endif

#endif
