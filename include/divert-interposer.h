/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions of libdivert-socket to libdivert about descriptors. Not installed: these functions may
 * change with any version.
 *
 * An inner descriptor is one that a divert socket of this process uses internally; no other code
 * should touch it. No function waits, takes a lock or changes errno unless it fails.
 */
#ifndef DIVERT_INTERPOSER_H
#define DIVERT_INTERPOSER_H

#pragma GCC visibility push(default)

/* 1: fd is an inner descriptor. 0: it is not. */
int divert_is_inner(int fd);

/* The first descriptor from fd on that is a divert socket or an inner descriptor; -1: none. */
int divert_next(int fd);

/*
 * Move an inner descriptor away from this number, because the caller is about to put another file
 * there. 0, also if fd is no inner descriptor; -1 with the errors of fcntl(2), F_DUPFD, or EMFILE:
 * no room to remember the new one.
 */
int divert_move_inner(int fd);

/*
 * From now on fd, which this process was started with, is an inner descriptor: it is to stay open.
 * 0; -1, EMFILE: no room to remember it.
 */
int divert_keep_inner(int fd);

#pragma GCC visibility pop

#endif
