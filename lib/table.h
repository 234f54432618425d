/* SPDX-License-Identifier: BSD-2-Clause */
/* Which descriptors of the process are divert sockets, or belong inside one. Lock-free to read. */
#ifndef LIB_TABLE_H
#define LIB_TABLE_H

#include "socket.h"

/* NULL: not a divert socket. */
struct dsock *table_get(int fd);
/* -ENOMEM, -EMFILE. was: the socket that stood there, whose descriptor was closed without a word. */
int table_set(int fd, struct dsock *s, struct dsock **was);
/* What was there. */
struct dsock *table_clear(int fd);

/* The first descriptor from fd on that is a divert socket; -1: none. */
int table_next(int fd);

bool table_is_inner(int fd);

/*
 * Move a descriptor out of the way of the program's own, mark it as inner; takes fd, also on
 * failure. The new descriptor, or -errno.
 */
int table_take_inner(int fd);
void table_close_inner(int *fd);

#endif
