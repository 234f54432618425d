/* SPDX-License-Identifier: BSD-2-Clause */
/* The system's <sys/cdefs.h>, and what BSD sources begin with. */
#ifndef DIVERT_COMPAT_SYS_CDEFS_H
#define DIVERT_COMPAT_SYS_CDEFS_H

#pragma GCC system_header

#include_next <sys/cdefs.h>

/* The source's version, for the object file. FreeBSD itself leaves it out now. */
#ifndef __FBSDID
#define __FBSDID(text) struct __divert_compat_id
#endif
#ifndef __RCSID
#define __RCSID(text) struct __divert_compat_id
#endif
#ifndef __COPYRIGHT
#define __COPYRIGHT(text) struct __divert_compat_id
#endif
#ifndef __dead2
#define __dead2 __attribute__((__noreturn__))
#endif
#ifndef __printflike
#define __printflike(format, first) __attribute__((__format__(__printf__, format, first)))
#endif

#include "../divert-bsd.h"

/* Some of Linux's headers have members of this name. */
#if DIVERT_COMPAT_BSD && !defined __unused
#define __unused __attribute__((__unused__))
#endif

#endif
