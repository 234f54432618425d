/* SPDX-License-Identifier: BSD-2-Clause */
/* The divert sockets in the program's epoll(7) sets. */
#ifndef INTERPOSE_SETS_H
#define INTERPOSE_SETS_H

#include <stdbool.h>
#include <sys/epoll.h>

/* Do epoll_ctl(2) for a divert socket. */
int sets_change(int set, int op, int fd, struct epoll_event *event);

/* epoll_ctl(2) for another descriptor has succeeded, with this event. */
void sets_changed(int set, const struct epoll_event *event);

/* Is there a divert socket in the set, as far as this process knows? */
bool sets_has(int set);

/*
 * Remove those of n events that come only from fragments, on sockets that have nothing to receive.
 * Returns how many are left.
 */
int sets_keep(int set, struct epoll_event *events, int n);

/* Before a wait: is a socket of the set ready? *due: check again in this many ms; -1: no need. */
bool sets_look(int set, int *due);

#endif
