/* SPDX-License-Identifier: BSD-2-Clause */
/* Enlarge the receive buffer (SO_RCVBUF). */
#ifndef LIB_BUFFER_H
#define LIB_BUFFER_H

#include "lib/core/socket.h"

/* Make room for at least size bytes of packets, if still possible. The socket is locked. */
void socket_grow(struct dsock *s, size_t size);

#endif
