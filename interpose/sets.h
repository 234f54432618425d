/* SPDX-License-Identifier: BSD-2-Clause */
/* The divert sockets in sets of epoll(7), as the program put them there. */
#ifndef INTERPOSE_SETS_H
#define INTERPOSE_SETS_H

#include <stdbool.h>
#include <sys/epoll.h>

/* epoll_ctl(2) of a divert socket's descriptor. */
int sets_change(int set, int op, int fd, struct epoll_event *event);

/* The same of another descriptor has been done, with this event. */
void sets_changed(int set, const struct epoll_event *event);

/* Is there a divert socket in the set, as far as this process knows? */
bool sets_has(int set);

/*
 * Of n events that the set has told, leave those of which the program is to know; how many. An event that a
 * fragment made of a socket that has nothing to receive is as if it had not been.
 */
int sets_keep(int set, struct epoll_event *events, int n);

/*
 * Look at its sockets, before a wait: is one of them ready? *due: in how many ms that is to be done
 * again; -1: not.
 */
bool sets_look(int set, int *due);

#endif
