/* SPDX-License-Identifier: BSD-2-Clause */
/* GCC's own <stddef.h> wants this header where __FreeBSD__ is defined. */
#ifndef DIVERT_COMPAT_SYS__TYPES_H
#define DIVERT_COMPAT_SYS__TYPES_H

#pragma GCC system_header

#include <bits/types.h>

#endif
