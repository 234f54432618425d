/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INTERPOSE_FIREWALL_H
#define INTERPOSE_FIREWALL_H

#include <stdbool.h>
#include <sys/socket.h>

/* Is this a firewall option of Linux 2.2 that libdivert can handle? */
bool is_firewall_option(int level, int name, socklen_t len);

/* Handle it. Returns -1 and errno as Linux 2.2 did. */
int set_firewall_option(int fd, int name, const void *value, socklen_t len);

#endif
