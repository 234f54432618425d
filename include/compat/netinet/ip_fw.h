/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules are made by ipfw(8) or, in programs, by divert_rule_add() of libdivert(3). FreeBSD's way,
 * setsockopt(2) with structures of its kernel, is not here, and neither are they: sources that can
 * do without punching holes into the firewall are compiled so (libalias: -DNO_FW_PUNCH).
 */
#ifndef DIVERT_COMPAT_NETINET_IP_FW_H
#define DIVERT_COMPAT_NETINET_IP_FW_H

#pragma GCC system_header

#include <netinet/in.h>

#define IPFW_DEFAULT_RULE 65535

#endif
