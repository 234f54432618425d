/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages of recvmsg(2), and what they say. */
#ifndef LIB_CONTROL_H
#define LIB_CONTROL_H

#include "divert.h"
#include "socket.h"

/* All but the time. len and gso_size: as below. */
void control_info(const struct divert_record *rec, uint32_t len, uint32_t gso_size,
		  struct divert_info *info);
/* What is to be added to a record's time to have that of the wall's clock as it goes now: ns. */
int64_t control_clock(void);

/*
 * What the socket asks for about a packet, into msg: its control messages and MSG_CTRUNC. len: of the packet.
 * gso_size: payload bytes of the segments it stands for, 0: it is one packet.
 */
void control_make(const struct dsock *s, const struct divert_record *rec, uint32_t len,
		  uint32_t gso_size, struct msghdr *msg);

#endif
