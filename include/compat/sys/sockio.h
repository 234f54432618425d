/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the BSDs have the requests of ioctl(2) on interfaces, SIOCGIFADDR and its kin. */
#ifndef DIVERT_COMPAT_SYS_SOCKIO_H
#define DIVERT_COMPAT_SYS_SOCKIO_H

#pragma GCC system_header

#include <sys/ioctl.h>

#endif
