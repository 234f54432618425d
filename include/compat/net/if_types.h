/* SPDX-License-Identifier: BSD-2-Clause */
/* Types of interfaces, as sdl_type of <net/if_dl.h> has them: with Linux's numbers. */
#ifndef DIVERT_COMPAT_NET_IF_TYPES_H
#define DIVERT_COMPAT_NET_IF_TYPES_H

#pragma GCC system_header

#include <net/if_arp.h>

#define IFT_ETHER     ARPHRD_ETHER
#define IFT_ISO88025  ARPHRD_PRONET
#define IFT_FDDI      ARPHRD_FDDI
#define IFT_PPP	      ARPHRD_PPP
#define IFT_LOOP      ARPHRD_LOOPBACK
#define IFT_SLIP      ARPHRD_SLIP
#define IFT_IEEE80211 ARPHRD_IEEE80211
#define IFT_TUNNEL    ARPHRD_TUNNEL
#define IFT_GIF	      ARPHRD_SIT
#define IFT_IEEE1394  ARPHRD_IEEE1394

#endif
