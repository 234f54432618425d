/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pf(4) is not here. This is what its header has of divert sockets, for sources that include it for
 * that.
 */
#ifndef DIVERT_COMPAT_NET_PFVAR_H
#define DIVERT_COMPAT_NET_PFVAR_H

#pragma GCC system_header

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

/* OpenBSD: what a rule does. */
enum pf_divert_types { PF_DIVERT_NONE, PF_DIVERT_TO, PF_DIVERT_REPLY, PF_DIVERT_PACKET };

/* FreeBSD: a packet's first direction, and the one it goes on in. */
#define PF_DIVERT_MTAG_DIR_IN  1
#define PF_DIVERT_MTAG_DIR_OUT 2
struct pf_divert_mtag {
	uint16_t idir;
	uint16_t ndir;
};

#endif
