/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages of recvmsg(2) and their contents. */
#ifndef LIB_CONTROL_H
#define LIB_CONTROL_H

#include "divert.h"
#include "lib/core/socket.h"

/* Fill in all but the timestamp. len, gso_size: as in control_make(). */
void control_info(const struct divert_record *rec, uint32_t len, uint32_t gso_size,
		  struct divert_info *info);
/* Offset from a record's timestamp to the current wall clock, ns. */
int64_t control_clock(void);

/*
 * Write the control messages that the socket asks for into msg, and set MSG_CTRUNC if they do not
 * fit. len: of the packet. gso_size: payload bytes of its segments, 0: a single packet.
 */
void control_make(const struct dsock *s, const struct divert_record *rec, uint32_t len,
		  uint32_t gso_size, struct msghdr *msg);

#endif
