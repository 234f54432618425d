/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FreeBSD and macOS install a header of this name. To programs it gives nothing beyond
 * <netinet/in.h>, but some include it.
 */
#ifndef DIVERT_COMPAT_NETINET_IP_DIVERT_H
#define DIVERT_COMPAT_NETINET_IP_DIVERT_H

#pragma GCC system_header

#include <netinet/in.h>

#endif
