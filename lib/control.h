/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages of recvmsg(2). */
#ifndef LIB_CONTROL_H
#define LIB_CONTROL_H

#include "socket.h"

/*
 * What the socket asks for about a packet, into msg: its control messages and MSG_CTRUNC. len: of the packet.
 * gso_size: payload bytes of the segments it stands for, 0: it is one packet.
 */
void control_make(const struct dsock *s, const struct divert_record *rec, uint32_t len,
		  uint32_t gso_size, struct msghdr *msg);

#endif
