/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor table: the descriptors of this process that are divert sockets, or that the library
 * uses internally ("inner"). Readers take no lock.
 */
#ifndef LIB_FDTABLE_H
#define LIB_FDTABLE_H

#include "socket.h"

/* NULL if fd is not a divert socket. */
struct dsock *fdtable_get(int fd);
/*
 * 0, -ENOMEM or -EMFILE. was: the socket that the table had for fd, if its descriptor was closed
 * behind our back.
 */
int fdtable_set(int fd, struct dsock *s, struct dsock **was);
/* Returns the socket that was there. */
struct dsock *fdtable_clear(int fd);

/* The first descriptor from fd on that is a divert socket; -1: none. */
int fdtable_next(int fd);

bool fdtable_is_inner(int fd);

/*
 * Move a descriptor to a high number, away from the program's own, and mark it as inner. Consumes
 * fd, also on failure. Returns the new descriptor or -errno.
 */
int fdtable_take_inner(int fd);
void fdtable_close_inner(int *fd);

/*
 * The socket behind a descriptor. The reference keeps it alive, even if the descriptor is closed
 * meanwhile, until socket_put(). NULL and ENOTSOCK if there is none.
 */
struct dsock *socket_get(int fd);
void socket_put(struct dsock *s);

#endif
